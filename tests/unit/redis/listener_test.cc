// The subscription to a Sentinel that goes silent without closing: noticed, and subscribed to anew.
// The server is raw bytes behind the dialer: it says what the test puts into its mouth, and time
// passes only while nobody speaks.
#include "redis/detect/listener.h"

#include <gtest/gtest.h>

#include "../support/fake_env.h"
#include "fixtures.h"

namespace aeterna::redis {
namespace {

using namespace testing;

class RawSentinel final : public env::Dialer {
  public:
    int connections = 0;
    int pings = 0;
    bool is_mute = false;
    std::string says;  // sent when it is read next
    aeterna::testing::FakeEnv fake;
    env::Env env{fake.clock, fake.random, fake.threads,       fake.files, fake.processes,
                 *this,      fake.http,   fake.http_listener, fake.sql,   fake.log};

    Result<std::unique_ptr<env::Stream>> connect(const env::Endpoint&,
                                                 const env::Context&) override {
        ++connections;
        says.clear();
        return std::unique_ptr<env::Stream>(std::make_unique<Wire>(*this));
    }
    bool can_listen(const env::Endpoint&) override { return false; }

  private:
    class Wire final : public env::Stream {
      public:
        explicit Wire(RawSentinel& server) : server_(server) {}
        Status write_all(std::string_view bytes, const env::Context&) override {
            // What a half-open connection takes disappears in the kernel's buffer.
            if (server_.is_mute) return {};
            if (bytes.find("PSUBSCRIBE") != std::string_view::npos)
                server_.says += "*3\r\n$10\r\npsubscribe\r\n$1\r\n*\r\n:1\r\n";
            if (bytes.find("PING") != std::string_view::npos) {
                ++server_.pings;
                server_.says += "*2\r\n$4\r\npong\r\n$0\r\n\r\n";
            }
            return {};
        }
        Result<std::size_t> read_some(std::span<char> buffer,
                                      const env::Context& context) override {
            if (server_.is_mute || server_.says.empty()) {
                static_cast<void>(server_.fake.clock.sleep_until(context.deadline, {}));
                return make_error(ErrorCode::kTimeout, "silence");
            }
            const std::size_t count = std::min(buffer.size(), server_.says.size());
            std::copy_n(server_.says.begin(), count, buffer.begin());
            server_.says.erase(0, count);
            return count;
        }

      private:
        RawSentinel& server_;
    };
};

class ListenerTest : public ::testing::Test {
  protected:
    void run(int times) {
        for (int i = 0; i < times; ++i) listener.run(1s, server.fake.clock.context(2s));
    }
    static std::string event(const std::string& channel, const std::string& payload) {
        std::string text = "*4\r\n";
        for (const std::string& part :
             {std::string("pmessage"), std::string("*"), channel, payload})
            text += "$" + std::to_string(part.size()) + "\r\n" + part + "\r\n";
        return text;
    }

    RawSentinel server;
    SettingsPointer settings = make_settings();
    Board board{settings};
    Listener listener{Target{"sentinel-1", {"10.0.0.1", 26379}, "", {}}, board, server.env};
};

TEST_F(ListenerTest, StaysSubscribedWhileTheSentinelAnswers) {
    run(60);
    EXPECT_EQ(server.connections, 1) << "a minute without events is no silence";
    EXPECT_EQ(server.pings, 59);
    server.says += event("+sdown", "master m 10.0.0.1 6379");
    run(1);
    ASSERT_EQ(board.take_events().size(), 1U);
}

TEST_F(ListenerTest, SubscribesAnewWhenTheServerGoesSilent) {
    run(5);
    server.is_mute = true;
    run(3);
    EXPECT_EQ(server.connections, 1) << "a late answer is not yet silence";
    run(3);
    EXPECT_GT(server.connections, 1) << "a half-open subscription would stay deaf for ever";
    server.is_mute = false;
    run(2);
    const int connections = server.connections;
    server.says += event("+sdown", "master m 10.0.0.1 6379");
    run(2);
    EXPECT_EQ(board.take_events().size(), 1U) << "it hears again";
    EXPECT_EQ(server.connections, connections);
}

TEST_F(ListenerTest, AServerThatForbidsPingIsHeardAllTheSame) {
    run(1);
    for (int i = 0; i < 10; ++i) {
        server.says += "-NOPERM this user has no permissions to run the 'ping' command\r\n";
        run(1);
    }
    EXPECT_EQ(server.connections, 1);
}

}  // namespace
}  // namespace aeterna::redis
