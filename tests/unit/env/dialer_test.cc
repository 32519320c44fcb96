#include <arpa/inet.h>
#include <sys/socket.h>

#include "env/posix/errors.h"
#include "real_env.h"

namespace aeterna::env::testing {
namespace {

// A listening socket; nobody accepts unless the test does.
class Listener {
  public:
    explicit Listener(int backlog = 8) : endpoint_(free_endpoint()) {
        socket_ = Descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const sockaddr_in address = address_of(endpoint_);
        const int on = 1;
        ::setsockopt(socket_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
        EXPECT_EQ(::listen(socket_.get(), backlog), 0);
    }
    static sockaddr_in address_of(const Endpoint& endpoint) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(endpoint.port));
        ::inet_pton(AF_INET, endpoint.host.c_str(), &address.sin_addr);
        return address;
    }
    [[nodiscard]] const Endpoint& endpoint() const { return endpoint_; }
    Descriptor accept() { return Descriptor(::accept(socket_.get(), nullptr, nullptr)); }

  private:
    Endpoint endpoint_;
    Descriptor socket_;
};

TEST(Dialer, CarriesBytesBothWaysAndSeesTheOrderlyEnd) {
    Listener listener;
    auto stream = real().dialer.connect(listener.endpoint(), within(5s));
    ASSERT_TRUE(stream) << stream.error().to_string();
    Descriptor peer = listener.accept();
    ASSERT_TRUE((*stream)->write_all("ping", within(5s)));
    char buffer[16];
    ASSERT_EQ(::recv(peer.get(), buffer, sizeof buffer, 0), 4);
    ASSERT_EQ(::send(peer.get(), "pong!", 5, 0), 5);
    const auto got = (*stream)->read_some(buffer, within(5s));
    ASSERT_TRUE(got);
    EXPECT_EQ(std::string(buffer, *got), "pong!");
    peer.reset();
    EXPECT_EQ((*stream)->read_some(buffer, within(5s)).value(), 0U);
}

// Link-local without an interface: EINVAL before any packet, as behind a route that drops.
TEST(Dialer, AKernelThatSendsNothingIsNoAnswer) {
    EXPECT_EQ(real().dialer.connect({"fe80::1", 1}, within(5s)).error().code, ErrorCode::kUnreachable);
}

TEST(Dialer, TellsARefusalFromAReset) {
    EXPECT_EQ(real().dialer.connect(free_endpoint(), within(5s)).error().code, ErrorCode::kConnectionRefused);

    Listener listener;
    auto stream = real().dialer.connect(listener.endpoint(), within(5s));
    ASSERT_TRUE(stream);
    {
        const Descriptor peer = listener.accept();
        const linger abort{1, 0};
        ::setsockopt(peer.get(), SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
    }
    char buffer[1];
    EXPECT_EQ((*stream)->read_some(buffer, within(5s)).error().code, ErrorCode::kConnectionLost);
}

TEST(Dialer, SilenceIsATimeoutAndStopIsCancelled) {
    Listener listener;
    auto stream = real().dialer.connect(listener.endpoint(), within(5s));
    ASSERT_TRUE(stream);
    char buffer[1];
    EXPECT_EQ((*stream)->read_some(buffer, within(30ms)).error().code, ErrorCode::kTimeout);

    std::stop_source stop;
    ErrorCode code{};
    const auto thread = real().threads.start("reader", [&](std::stop_token) {
        code = (*stream)->read_some(buffer, within(1h, stop.get_token())).error().code;
    });
    stop.request_stop();
    thread->join();
    EXPECT_EQ(code, ErrorCode::kCancelled);
}

TEST(Dialer, AFullPeerStopsTheWriteAtTheDeadlineWithUnknownEffect) {
    Listener listener;
    auto stream = real().dialer.connect(listener.endpoint(), within(5s));
    ASSERT_TRUE(stream);
    const auto written = (*stream)->write_all(std::string(64 << 20, 'x'), within(200ms));
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().code, ErrorCode::kTimeout);
    EXPECT_EQ(written.error().effect, Effect::kUnknown);
}

TEST(Dialer, AFullBacklogIsSilence) {
    Listener listener(0);
    std::vector<std::unique_ptr<Stream>> taken;
    Result<std::unique_ptr<Stream>> stream = make_error(ErrorCode::kInternal, "");
    for (int i = 0; i < 8; ++i) {
        stream = real().dialer.connect(listener.endpoint(), within(150ms));
        if (!stream) break;
        taken.push_back(std::move(*stream));
    }
    ASSERT_FALSE(stream);
    EXPECT_EQ(stream.error().code, ErrorCode::kTimeout);
}

TEST(Dialer, AnUnknownNameIsUnreachable) {
    const auto stream = real().dialer.connect({"no-such-host.invalid", 1}, within(20s));
    ASSERT_FALSE(stream);
    EXPECT_TRUE(stream.error().code == ErrorCode::kUnreachable || stream.error().code == ErrorCode::kTimeout)
        << stream.error().to_string();
}

TEST(Dialer, CanListenOnlyWhereNobodyDoes) {
    Listener listener;
    EXPECT_FALSE(real().dialer.can_listen(listener.endpoint()));
    EXPECT_TRUE(real().dialer.can_listen(free_endpoint()));
    EXPECT_FALSE(real().dialer.can_listen({"192.0.2.1", 5000}));
}

}  // namespace
}  // namespace aeterna::env::testing
