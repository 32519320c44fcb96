// The status after a single round of looks.
#include "postgres/detect/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fixtures.h"
#include "postgres/steps/switchover_guard.h"

namespace aeterna::postgres {
namespace {

using engine::Health;
using namespace testing;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const engine::NodeStatus& node_of(const engine::StoreStatus& status, const std::string& name) {
    for (const auto& node : status.nodes) {
        if (node.name == name) return node;
    }
    static const engine::NodeStatus none;
    return none;
}

TEST(Status, HealthyAfterOneRound) {
    Cluster cluster;
    const auto status = build_status(cluster.tick());
    EXPECT_EQ(status.health, Health::kOk) << ::testing::PrintToString(status.reasons);
    EXPECT_EQ(status.primary, "postgres-1");
    EXPECT_EQ(status.nodes.size(), 3u + 3 + 3 + 1);
    EXPECT_EQ(node_of(status, "postgres-2").state, "streaming");
    EXPECT_EQ(node_of(status, "postgres-2").lag_bytes, 0);
    EXPECT_EQ(node_of(status, "patroni-1").role, "leader");
    EXPECT_EQ(node_of(status, "haproxy-1").kind, "haproxy");
    EXPECT_EQ(status.extra.at("heartbeat"), "writing");
    EXPECT_EQ(status.extra.at("timeline"), 1);
}

TEST(Status, AHungPostmasterIsSaidBesideItsLivingSessions) {
    Cluster cluster;
    cluster.nodes["postgres-1"].connect = silence();
    cluster.client = silence();
    cluster.client_accepts = true;
    EXPECT_EQ(node_of(build_status(cluster.tick()), "postgres-1").note, "") << "one look is none";
    const auto status = build_status(cluster.tick());
    EXPECT_EQ(status.health, Health::kDegraded);
    EXPECT_EQ(status.primary, "postgres-1");
    EXPECT_EQ(node_of(status, "postgres-1").state, "running");
    EXPECT_EQ(node_of(status, "postgres-1").note, "starts no new session");
    EXPECT_THAT(status.reasons, Contains(HasSubstr("'postgres-1' accepts connections, but")));
    EXPECT_EQ(node_of(status, "haproxy-1").state, "running") << "it accepted";
    cluster.client_accepts = false;
    EXPECT_EQ(node_of(build_status(cluster.tick()), "haproxy-1").state, "unreachable");
}

struct HealthCase {
    const char* what;
    void (*change)(Cluster&);
    Health expected;
};

TEST(Status, HealthByWhatIsWrong) {
    const HealthCase cases[] = {
        {"a replica is gone", [](Cluster& c) { c.nodes["postgres-3"].sql = refused(); },
         Health::kDegraded},
        {"an etcd member is gone", [](Cluster& c) { c.health = etcd_health(2); },
         Health::kDegraded},
        {"the proxy is gone", [](Cluster& c) { c.client = refused(); }, Health::kDegraded},
        {"primary killed", [](Cluster& c) { c.fail("postgres-1", refused(), refused()); },
         Health::kDown},
        {"primary paused", [](Cluster& c) { c.fail("postgres-1", silence(), silence()); },
         Health::kDown},
        {"only our way to it is cut", [](Cluster& c) { c.nodes["postgres-1"].sql = silence(); },
         Health::kDegraded},
        {"our way to it is cut, and no client path tells",
         [](Cluster& c) {
             c.nodes["postgres-1"].sql = silence();
             c.settings.client.reset();
         },
         Health::kUnknown},
        {"our way to all of them is cut",
         [](Cluster& c) {
             for (const char* name : {"postgres-1", "postgres-2", "postgres-3"})
                 c.fail(name, silence(), silence());
         },
         Health::kUnknown},
        {"nobody leads",
         [](Cluster& c) {
             c.nodes["postgres-1"].sql = sql_view(false);
             c.dcs = dcs_view("");
         },
         Health::kDown},
        {"writes fail on both ways",
         [](Cluster& c) {
             c.nodes["postgres-1"].heartbeat = silence();
             c.client = silence();
         },
         Health::kDown},
        {"wrong password",
         [](Cluster& c) {
             for (auto& [name, node] : c.nodes)
                 node.sql = make_error(ErrorCode::kAuthentication, "28P01");
         },
         Health::kUnknown},
        {"nothing answers",
         [](Cluster& c) {
             for (auto& [name, node] : c.nodes) c.fail(name, silence(), silence());
             c.dcs = silence();
         },
         Health::kUnknown},
        {"two writers", [](Cluster& c) { c.nodes["postgres-2"].sql = sql_view(true); },
         Health::kDegraded},
    };
    for (const HealthCase& item : cases) {
        Cluster cluster;
        item.change(cluster);
        const auto status = build_status(cluster.tick());
        EXPECT_EQ(status.health, item.expected)
            << item.what << ": " << ::testing::PrintToString(status.reasons);
        EXPECT_FALSE(status.reasons.empty()) << item.what;
    }
}

TEST(Status, WithoutApprovalItSaysThatItOnlyReads) {
    Cluster cluster;
    cluster.settings.heartbeat_approved = false;
    const auto status = build_status(cluster.tick());
    EXPECT_EQ(status.health, Health::kOk);
    EXPECT_EQ(status.extra.at("heartbeat"), "read-only");
    EXPECT_THAT(status.reasons, Contains(HasSubstr("without writing")));
}

TEST(Status, OldLooksAreUnknown) {
    Cluster cluster;
    static_cast<void>(cluster.tick());
    cluster.sleep(60s);
    const auto status = build_status(cluster.look());
    EXPECT_EQ(status.health, Health::kUnknown);
    EXPECT_EQ(node_of(status, "postgres-1").state, "unknown");
    EXPECT_EQ(status.primary, std::nullopt);
}

TEST(SwitchoverGuard, Table) {
    struct Case {
        const char* expected;  // part of a reason; empty: allowed
        void (*change)(Cluster&);
    };
    const Case cases[] = {
        {"", [](Cluster&) {}},
        {"use failover", [](Cluster& c) { c.fail("postgres-1", refused(), refused()); }},
        {"paused", [](Cluster& c) { c.dcs->config.paused = true; }},
        {"pending",
         [](Cluster& c) {
             c.dcs->failover = FailoverRequest{"postgres-1", "postgres-3", ""};
         }},
        {"bytes behind", [](Cluster& c) { c.nodes["postgres-1"].sql = sql_view(true, 9 << 20); }},
        {"timeline 7", [](Cluster& c) { c.nodes["postgres-2"].sql = sql_view(false, 1000, 7); }},
        {"does not stream", [](Cluster& c) { c.nodes["postgres-2"].sql->receiver_status = ""; }},
        {"nofailover", [](Cluster& c) { c.dcs->members["postgres-2"].nofailover = true; }},
        {"patroni-2 REST", [](Cluster& c) { c.nodes["postgres-2"].rest = refused(); }},
        {"failsafe", [](Cluster& c) { c.nodes["postgres-3"].rest->failsafe_active = true; }},
        {"etcd cannot be read", [](Cluster& c) { c.dcs = silence(); }},
        {"no synchronous standby",
         [](Cluster& c) {
             c.dcs->config.synchronous_mode = true;
             c.dcs->sync = SyncState{"postgres-1", {"postgres-3"}};
         }},
    };
    for (const Case& item : cases) {
        Cluster cluster;
        item.change(cluster);
        const auto lines = switchover_hindrances(cluster.tick(), "postgres-2");
        if (*item.expected == '\0') {
            EXPECT_THAT(lines, IsEmpty());
        } else {
            EXPECT_THAT(lines, Contains(HasSubstr(item.expected)));
        }
    }
    Cluster cluster;
    EXPECT_THAT(switchover_hindrances(cluster.tick(), "postgres-1"),
                Contains(HasSubstr("primary already")));
    cluster.dcs->config.synchronous_mode = true;
    cluster.dcs->sync = SyncState{"postgres-1", {"postgres-3"}};
    EXPECT_EQ(choose_candidate(cluster.tick()), "postgres-3");
}

}  // namespace
}  // namespace aeterna::postgres
