// Why a failover does not happen: one line per hindrance.
#include "postgres/detect/explain_stuck.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fixtures.h"

namespace aeterna::postgres {
namespace {

using namespace testing;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Case {
    const char* expected;
    const char* proposal;
    void (*change)(Cluster&);
};

// postgres-1 led and is gone; 12 s of its lease remain.
void lose_primary(Cluster& cluster) {
    static_cast<void>(cluster.tick());
    cluster.fail("postgres-1", refused(), refused());
    cluster.dcs = dcs_view("postgres-1", 12);
}

TEST(ExplainStuck, Table) {
    const Case cases[] = {
        {"still has 12 s of 30 s", "promote 'postgres-2'", [](Cluster&) {}},
        {"the cluster is paused", "resume the cluster",
         [](Cluster& c) { c.dcs->config.paused = true; }},
        {"failsafe mode is active on 'patroni-2'", "",
         [](Cluster& c) { c.nodes["postgres-2"].rest->failsafe_active = true; }},
        {"no quorum", "restore etcd's quorum",
         [](Cluster& c) {
             c.dcs = silence();
             c.health = etcd_health(1);
         }},
        {"it has the tag nofailover", "promote 'postgres-3'",
         [](Cluster& c) { c.dcs->members["postgres-2"].nofailover = true; }},
        {"in place for up to 300 s", "",
         [](Cluster& c) { c.nodes["postgres-1"].rest = rest_view(true, "starting"); }},
        {"it is 4194304 bytes behind (limit 1048576)", "promote 'postgres-3'",
         [](Cluster& c) {
             c.nodes["postgres-2"].sql = sql_view(false, 1 << 20);
             c.nodes["postgres-3"].sql = sql_view(false, 5 << 20);
         }},
        {"it is 3144728 bytes behind (limit 1048576)", "promote 'postgres-3'",
         [](Cluster& c) {
             c.dcs->last_leader_position = 3 << 20;
             c.nodes["postgres-3"].sql = sql_view(false, 3 << 20);
         }},
        {"no synchronous standby: only the old primary", "bring 'postgres-1' back",
         [](Cluster& c) {
             c.dcs->config.synchronous_mode = true;
             c.dcs->sync = SyncState{"postgres-1", {}};
         }},
        {"no replica may take over", "bring 'postgres-1' back",
         [](Cluster& c) {
             for (const char* name : {"postgres-2", "postgres-3"}) c.nodes[name].rest = refused();
         }},
        {"holds the leader key but is not promoted yet", "",
         [](Cluster& c) { c.dcs = dcs_view("postgres-2"); }},
    };
    for (const Case& item : cases) {
        Cluster cluster;
        lose_primary(cluster);
        item.change(cluster);
        const World world = cluster.tick();
        EXPECT_THAT(explain_stuck(world), Contains(HasSubstr(item.expected)));
        EXPECT_THAT(propose_next_step(world), HasSubstr(item.proposal)) << item.expected;
    }
}

// It reports the end of the segment that it recovers from as received.
TEST(ExplainStuck, TheRestartingOldPrimaryIsNoMeasureOfTheOthers) {
    Cluster cluster;
    lose_primary(cluster);
    cluster.nodes["postgres-1"].sql = sql_view(false, 16 << 20);
    cluster.nodes["postgres-1"].rest = rest_view(false, "starting");
    cluster.nodes["postgres-1"].rest->received = 16 << 20;
    cluster.dcs->members["postgres-1"].location = 16 << 20;
    const World world = cluster.tick();
    EXPECT_EQ(candidate_lag(world, "postgres-2"), 0);
    EXPECT_EQ(takeover_hindrance(world, *world.settings->find("postgres-2")), "");
}

TEST(ExplainStuck, NothingToExplainWhileThereIsAPrimary) {
    Cluster cluster;
    cluster.dcs->config.paused = true;
    EXPECT_THAT(explain_stuck(cluster.tick()), IsEmpty());
}

}  // namespace
}  // namespace aeterna::postgres
