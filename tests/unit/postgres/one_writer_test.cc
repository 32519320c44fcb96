// One writer, proven by writes: servers that answer as they are told, and a proxy before one of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/fake_env.h"
#include "fixtures.h"
#include "postgres/steps/steps.h"

namespace aeterna::postgres {
namespace {

using namespace testing;
using ::testing::HasSubstr;

struct RowServer {
    bool is_up = true;
    bool in_recovery = true;
    bool refuses_rows = true;
    int rows = 0;
};

class RowServers final : public env::SqlConnector {
  public:
    std::map<std::string, RowServer> by_host;  // of its address
    std::string behind_proxy;               // the host that the proxy leads to; empty: it has none
    std::function<void()> on_row;

    Result<std::unique_ptr<env::SqlConnection>> connect(const env::SqlTarget& target, const env::Context&) override {
        const std::string host = target.endpoint.port == 5000 ? behind_proxy : target.endpoint.host;
        const auto server = by_host.find(host);
        if (server == by_host.end() || !server->second.is_up)
            return make_error(ErrorCode::kConnectionRefused, "connection refused");
        return std::unique_ptr<env::SqlConnection>(std::make_unique<Session>(*this, host));
    }

  private:
    struct Session final : env::SqlConnection {
        Session(RowServers& all, std::string at) : servers(all), host(std::move(at)) {}
        Result<env::SqlRows> query(const std::string& sql, const std::vector<std::optional<std::string>>&,
                                   const env::Context&) override {
            RowServer& server = servers.by_host[host];
            const std::string recovery = server.in_recovery ? "t" : "f";
            if (sql.find("inet_server_addr") != std::string::npos) return env::SqlRows{{}, {{host + ":5432", recovery}}, 0};
            if (sql.find("INSERT INTO aeterna_dr.heartbeat") == std::string::npos)
                return env::SqlRows{{}, {{recovery, "1000", "1000", "1", "7", {}, {}, "0"}}, 0};
            if (server.refuses_rows) return make_error(ErrorCode::kReadOnly, "read-only transaction (SQLSTATE 25006)");
            ++server.rows;
            if (servers.on_row) servers.on_row();
            return env::SqlRows{{}, {}, 1};
        }
        bool is_usable() const override { return true; }
        RowServers& servers;
        std::string host;
    };
};

// postgres-1 was replaced by postgres-2.
struct WriterStage {
    Settings settings = three_nodes();
    aeterna::testing::FakeEnv fake;
    aeterna::testing::InlineThreads threads;
    RowServers servers;
    env::Env env{fake.clock, fake.random, threads, fake.files, fake.processes, fake.dialer, fake.http, fake.http_listener,
                 servers, fake.log};
    Json facts = Json::object();
    std::string told;
    engine::StepContext step{fake.clock.context(10s), facts, [this](const std::string& line) { told += line + "\n"; }};
    std::unique_ptr<engine::Step> confirm = make_confirm_one_writer({settings, env, "", "", config::Assist::kAct});

    WriterStage() {
        for (const NodeSettings& node : settings.nodes) servers.by_host[node.address.host];
        servers.by_host["10.0.0.1"].is_up = false;
        lead(2);
        servers.behind_proxy = "10.0.0.2";
    }
    RowServer& at(int n) { return servers.by_host["10.0.0." + std::to_string(n)]; }
    void lead(int n) { at(n).in_recovery = at(n).refuses_rows = false; }
    void bring_back_as_primary() {
        lead(1);
        at(1).is_up = true;
    }
    Duration passed() const { return fake.clock.now() - begun; }
    const MonoTime begun = fake.clock.now();
};

TEST(ConfirmOneWriter, TheOneThatTakesARowIsTheNewPrimary) {
    WriterStage stage;
    ASSERT_TRUE(stage.confirm->apply(stage.step)) << stage.told;
    EXPECT_EQ(stage.facts["new_primary"], "postgres-2");
    EXPECT_EQ(stage.at(2).rows, 2) << "directly, and through the client path";
    EXPECT_EQ(stage.at(3).rows, 0);
    EXPECT_TRUE(stage.confirm->verify(stage.step));
}

TEST(ConfirmOneWriter, TwoThatTakeARowAreAnErrorThatSaysSo) {
    WriterStage stage;
    stage.bring_back_as_primary();
    const Status confirmed = stage.confirm->apply(stage.step);
    ASSERT_FALSE(confirmed);
    EXPECT_EQ(confirmed.error().code, ErrorCode::kServer);
    EXPECT_THAT(confirmed.error().message, HasSubstr("2 nodes accepted a row instead of exactly one"));
    EXPECT_THAT(confirmed.error().hint, HasSubstr("rows are being lost"));
    EXPECT_FALSE(stage.facts.contains("new_primary"));
    EXPECT_GT(stage.passed(), 8s) << "the old one got time to step down";
}

TEST(ConfirmOneWriter, AnOldPrimaryThatLingersIsWaitedFor) {
    WriterStage stage;
    stage.bring_back_as_primary();
    stage.servers.on_row = [&] {
        if (stage.passed() >= 3s) stage.at(1).is_up = false;
    };
    ASSERT_TRUE(stage.confirm->apply(stage.step)) << stage.told;
    EXPECT_EQ(stage.facts["new_primary"], "postgres-2");
    EXPECT_THAT(stage.told, HasSubstr("'postgres-1' accepted; 'postgres-2' accepted"));
    EXPECT_GE(stage.passed(), 3s);
}

TEST(ConfirmOneWriter, WhoClaimsToBeThePrimaryAndTakesNoRowIsNone) {
    WriterStage stage;
    stage.bring_back_as_primary();
    stage.at(1).refuses_rows = true;
    ASSERT_TRUE(stage.confirm->apply(stage.step)) << stage.told;
    EXPECT_EQ(stage.facts["new_primary"], "postgres-2");

    WriterStage none;
    none.at(2).refuses_rows = true;
    EXPECT_THAT(none.confirm->apply(none.step).error().message, HasSubstr("0 nodes accepted a row"));
    EXPECT_THAT(none.told, HasSubstr("'postgres-2' refused"));

    WriterStage nobody;
    nobody.at(2).in_recovery = true;
    EXPECT_THAT(nobody.confirm->apply(nobody.step).error().message, HasSubstr("no node claims to be the primary"));
}

TEST(ConfirmOneWriter, ApplicationsHaveToReachIt) {
    for (const char* behind : {"", "10.0.0.3"}) {
        WriterStage stage;
        stage.servers.behind_proxy = behind;
        const Status confirmed = stage.confirm->apply(stage.step);
        ASSERT_FALSE(confirmed) << behind;
        EXPECT_THAT(confirmed.error().message, HasSubstr("applications cannot write through the client path"));
        EXPECT_EQ(stage.facts["new_primary"], "postgres-2") << "who took the row is known all the same";
        EXPECT_GT(stage.passed(), 8s) << "the proxy's checks come seconds after a promotion";
    }
}

TEST(ConfirmOneWriter, AnotherThatLeavesRecoveryAfterTheRowIsSeen) {
    WriterStage stage;
    ASSERT_TRUE(stage.confirm->apply(stage.step));
    stage.bring_back_as_primary();
    EXPECT_THAT(stage.confirm->verify(stage.step).error().message,
                HasSubstr("these nodes are not in recovery: postgres-1, postgres-2"));
}

}  // namespace
}  // namespace aeterna::postgres
