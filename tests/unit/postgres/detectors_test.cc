// Every detector over timed observations: deaths, silences, our own failures, and what must not
// fire.
#include "postgres/detect/detectors/detectors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fixtures.h"
#include "postgres/detect/events.h"

namespace aeterna::postgres {
namespace {

using engine::FindingState;
using namespace testing;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Detectors, AHealthyClusterFiresNothing) {
    Cluster cluster;
    Watch watch(cluster);
    watch.run(60s);
    EXPECT_THAT(watch.firing(), IsEmpty());
    EXPECT_EQ(watch.state("primary_down", "postgres-1"), FindingState::kClear);
    EXPECT_EQ(watch.state("exporter_down", "postgres-2"), FindingState::kClear);
}

TEST(Detectors, TableIsSortedByName) {
    for (std::size_t i = 1; i < detector_specs().size(); ++i) {
        EXPECT_LT(detector_specs()[i - 1].name, detector_specs()[i].name);
    }
}

TEST(PrimaryDown, AKillFiresAtTheSecondRefusalFromTwoVantages) {
    Cluster cluster;
    Watch watch(cluster);
    watch.run(5s);
    cluster.fail("postgres-1", refused(), refused());
    EXPECT_EQ(watch.until_fires("primary_down", "postgres-1", 10s), 1s);
    EXPECT_EQ(watch.state("replica_down", "postgres-1"), FindingState::kClear);
    EXPECT_THAT(watch.finding("primary_down", "postgres-1").reasons,
                Contains(HasSubstr("patroni-1 REST")));
    EXPECT_THAT(watch.finding("primary_down", "postgres-1").reasons,
                Contains(HasSubstr("postgres-1 SQL")));
}

TEST(PrimaryDown, ItClearsWhenAnotherNodeTakesOver) {
    Cluster cluster;
    Watch watch(cluster);
    watch.run(5s);
    cluster.fail("postgres-1", refused(), refused());
    watch.run(5s);
    cluster.lead("postgres-2", 2);
    watch.run(3s);
    EXPECT_EQ(watch.state("primary_down", "postgres-1"), FindingState::kClear);
    EXPECT_EQ(watch.state("primary_down", "postgres-2"), FindingState::kClear);
    EXPECT_EQ(watch.state("replica_down", "postgres-1"), FindingState::kFiring);
}

TEST(PrimaryDown, KilledServerBesideALivingAgentFiresToo) {
    Cluster cluster;
    Watch watch(cluster);
    watch.run(5s);
    cluster.fail("postgres-1", refused(), refused());
    cluster.nodes["postgres-1"].rest = rest_view(true, "crashed");
    EXPECT_EQ(watch.until_fires("primary_down", "postgres-1", 10s), 1s);
}

TEST(AgentDown, ADeadAgentBesideALivingPrimaryFires) {
    Cluster cluster;
    Watch watch(cluster);
    watch.run(5s);
    cluster.nodes["postgres-1"].rest = refused();
    cluster.nodes["postgres-2"].rest = refused();
    EXPECT_EQ(watch.until_fires("agent_down", "postgres-1", 10s), 3s) << "two refusals, then 2 s";
    EXPECT_EQ(watch.state("agent_down", "postgres-2"), FindingState::kClear) << "a replica's lease is nobody's";
    EXPECT_THAT(watch.finding("agent_down", "postgres-1").reasons, Contains(HasSubstr("lease ends in 25 s")));
    EXPECT_NE(watch.state("primary_down", "postgres-1"), FindingState::kFiring) << "it takes writes";
    cluster.nodes["postgres-1"].rest = rest_view(true);
    watch.run(3s);
    EXPECT_EQ(watch.state("agent_down", "postgres-1"), FindingState::kClear);
}

TEST(AgentDown, SilenceOrAPausedClusterSaysNothing) {
    Cluster silent;
    Watch first(silent);
    first.run(5s);
    silent.nodes["postgres-1"].rest = silence();
    first.run(20s);
    EXPECT_EQ(first.state("agent_down", "postgres-1"), FindingState::kUnknown);

    Cluster paused;
    Watch second(paused);
    paused.dcs->config.paused = true;
    second.run(5s);
    paused.nodes["postgres-1"].rest = refused();
    second.run(20s);
    EXPECT_EQ(second.state("agent_down", "postgres-1"), FindingState::kClear);
}

TEST(PrimaryDown, APlannedHandoverIsNoDeath) {
    Cluster cluster;
    Watch watch(cluster);
    watch.run(5s);
    cluster.fail("postgres-1", refused(), refused());
    cluster.nodes["postgres-1"].rest = rest_view(true, "stopped");
    cluster.dcs->failover = FailoverRequest{"postgres-1", "postgres-2", ""};
    EXPECT_EQ(watch.until_fires("primary_down", "postgres-1", 2s), std::nullopt);
    cluster.dcs = dcs_view("postgres-2");  // it has the key, but is in recovery still
    EXPECT_EQ(watch.until_fires("primary_down", "postgres-1", 2s), std::nullopt);
    EXPECT_TRUE(watch.until_fires("primary_down", "postgres-1", 2s))
        << "one that takes too long is a loss";
}

TEST(PrimaryDown, APauseFiresOnlyAfterFiveSecondsOfSilence) {
    Cluster cluster;
    Watch watch(cluster);
    watch.run(5s);
    cluster.fail("postgres-1", silence(), silence());
    const auto fired = watch.until_fires("primary_down", "postgres-1", 20s);
    ASSERT_TRUE(fired);
    EXPECT_GE(*fired, kSilence);
    EXPECT_LE(*fired, kSilence + 1s);
}

TEST(PrimaryDown, AShortStallNeverFires) {
    Cluster cluster;
    Watch watch(cluster);
    watch.run(5s);
    for (int i = 0; i < 5; ++i) {
        cluster.fail("postgres-1", silence(), silence());
        EXPECT_EQ(watch.until_fires("primary_down", "postgres-1", 4s), std::nullopt);
        cluster.nodes["postgres-1"] = {};
        cluster.lead("postgres-1");
        watch.run(2s);
    }
}

TEST(PrimaryDown, OneVantageAloneIsNotBelieved) {
    Cluster cluster;
    cluster.settings.client.reset();
    Watch watch(cluster);
    watch.run(5s);
    cluster.nodes["postgres-1"].sql = silence();
    cluster.nodes["postgres-1"].heartbeat = silence();
    EXPECT_EQ(watch.until_fires("primary_down", "postgres-1", 60s), std::nullopt);
    EXPECT_EQ(watch.state("primary_down", "postgres-1"), FindingState::kUnknown);
}

TEST(PrimaryDown, AWriterBehindTheClientPathIsBelievedOverOurOwnSilence) {
    Cluster cluster;
    Watch watch(cluster);
    watch.run(5s);
    const Result<ClientView> through = cluster.client;
    cluster.fail("postgres-1", silence(), silence());
    cluster.client = through;
    EXPECT_EQ(watch.until_fires("primary_down", "postgres-1", 60s), std::nullopt);
    EXPECT_EQ(watch.state("primary_down", "postgres-1"), FindingState::kClear);
    EXPECT_EQ(watch.state("heartbeat_failed", "aeterna"), FindingState::kUnknown);
}

void silence_all(Cluster& cluster) {
    for (const char* name : {"postgres-1", "postgres-2", "postgres-3"})
        cluster.fail(name, silence(), silence());
    cluster.client = silence();
}

TEST(PrimaryDown, TheSilenceOfAllNodesBesideALivingLeaseIsOurCutWay) {
    Cluster cluster;
    Watch watch(cluster);
    watch.run(5s);
    silence_all(cluster);
    EXPECT_EQ(watch.until_fires("unreachable", "aeterna", 20s), kSilence + 500ms);
    watch.run(20s);
    EXPECT_THAT(watch.firing(), ElementsAre("unreachable aeterna"));
    EXPECT_THAT(watch.finding("unreachable", "aeterna").reasons,
                Contains("etcd: the lease of 'postgres-1' still has 25 s"));
}

TEST(PrimaryDown, TheSilenceOfAllNodesIsALossOnceTheLeaseHasEnded) {
    Cluster cluster;
    Watch watch(cluster);
    watch.run(5s);
    silence_all(cluster);
    watch.run(10s);
    cluster.dcs = dcs_view("");
    EXPECT_TRUE(watch.until_fires("primary_down", "postgres-1", kSilence + 1s));
}

TEST(PrimaryDown, IsolationFiresNothing) {
    Cluster cluster;
    Watch watch(cluster);
    watch.run(5s);
    for (const char* name : {"postgres-1", "postgres-2", "postgres-3"})
        cluster.fail(name, silence(), silence());
    cluster.dcs = silence();
    cluster.health = etcd_health(0);
    cluster.exporter = silence();
    cluster.isolated = true;
    watch.run(60s);
    EXPECT_THAT(watch.firing(), IsEmpty());
}

TEST(PrimaryDown, StaleObservationsAreUnknown) {
    Cluster cluster;
    Watch watch(cluster);
    watch.run(5s);
    cluster.fail("postgres-1", refused(), refused());
    watch.step();  // one refusal, not two
    cluster.frozen = true;
    watch.run(60s);
    EXPECT_THAT(watch.firing(), IsEmpty());
    EXPECT_EQ(watch.state("primary_down", "postgres-1"), FindingState::kUnknown);
}

TEST(PrimaryDown, AfterOurOwnStallSilenceIsCountedAnew) {
    Cluster cluster;
    Watch watch(cluster);
    watch.run(5s);
    cluster.fail("postgres-1", silence(), silence());
    watch.run(2s);
    cluster.sleep(30s);
    watch.step(/*stalled=*/true);
    EXPECT_THAT(watch.firing(), IsEmpty());
    const auto fired = watch.until_fires("primary_down", "postgres-1", 20s);
    ASSERT_TRUE(fired);
    EXPECT_GE(*fired, kSilence);
}

TEST(PrimaryDown, AReadOnlyClusterFiresWithoutAnyDeadNode) {
    Cluster cluster;
    Watch watch(cluster);
    watch.run(5s);
    cluster.nodes["postgres-1"].sql = sql_view(false);
    cluster.client = ClientView{"postgres-1", true, false};
    const auto fired = watch.until_fires("primary_down", "postgres-1", 20s);
    ASSERT_TRUE(fired);
    EXPECT_GE(*fired, kSilence);
}

TEST(PrimaryDown, WrongPasswordIsNotDeath) {
    Cluster cluster;
    Watch watch(cluster);
    for (auto& [name, node] : cluster.nodes)
        node.sql = make_error(ErrorCode::kAuthentication, "28P01");
    watch.run(30s);
    EXPECT_EQ(watch.state("primary_down", "postgres-1"), FindingState::kUnknown);
}

TEST(NoLeader, AbsentKeyAndExpiredLease) {
    for (const DcsView& view : {dcs_view(""), dcs_view("postgres-1", -1)}) {
        Cluster cluster;
        Watch watch(cluster);
        watch.run(5s);
        cluster.dcs = view;
        const auto fired = watch.until_fires("no_leader", "aeterna", 10s);
        ASSERT_TRUE(fired);
        EXPECT_GE(*fired, 3s);  // a switchover's gap is shorter
    }
}

TEST(NoLeader, WithoutEtcdTheAgentsAreAsked) {
    Cluster cluster;
    Watch watch(cluster);
    cluster.dcs = silence();
    watch.run(10s);
    EXPECT_EQ(watch.state("no_leader", "aeterna"), FindingState::kClear);
    for (auto& [name, node] : cluster.nodes) node.rest->cluster_unlocked = true;
    EXPECT_TRUE(watch.until_fires("no_leader", "aeterna", 10s));
}

struct ExporterCase {
    const char* what;
    ExporterView view;
    FindingState expected;
};

TEST(ExporterDown, ZeroFiresAndNoSampleIsUnknown) {
    const ExporterCase cases[] = {
        {"up 0", {{{"10.0.0.1:9187", 0, std::nullopt}}}, FindingState::kFiring},
        {"pg_up 0", {{{"10.0.0.1:9187", 1, 0}}}, FindingState::kFiring},
        {"both 1", {{{"10.0.0.1:9187", 1, 1}}}, FindingState::kClear},
        {"empty vector", {}, FindingState::kUnknown},
        {"another node's", {{{"10.0.0.2:9187", 0, 0}}}, FindingState::kUnknown},
        {"pg_up without up", {{{"10.0.0.1:9187", std::nullopt, 1}}}, FindingState::kUnknown},
    };
    for (const ExporterCase& item : cases) {
        Cluster cluster;
        Watch watch(cluster);
        cluster.exporter = item.view;
        watch.run(7s);
        EXPECT_EQ(watch.state("exporter_down", "postgres-1"), item.expected) << item.what;
    }
    Cluster cluster;
    Watch watch(cluster);
    cluster.exporter = refused();
    watch.run(7s);
    EXPECT_EQ(watch.state("exporter_down", "postgres-1"), FindingState::kUnknown);
}

TEST(ExporterDown, TheSampleFromBeforeAStartIsNoFault) {
    Cluster cluster;
    Watch watch(cluster);
    cluster.exporter = ExporterView{{{"10.0.0.1:9187", 1, 0}}};
    EXPECT_EQ(watch.until_fires("exporter_down", "postgres-1", 5500ms), std::nullopt);
    cluster.exporter = ExporterView{{{"10.0.0.1:9187", 1, 1}}};
    watch.run(1s);
    EXPECT_EQ(watch.state("exporter_down", "postgres-1"), FindingState::kClear);
}

TEST(Replica, DownLaggingAndOnAnotherTimeline) {
    Cluster cluster;
    Watch watch(cluster);
    cluster.nodes["postgres-1"].sql = sql_view(true, 5 << 20);
    cluster.nodes["postgres-2"].sql = sql_view(false, 1 << 20);
    cluster.nodes["postgres-3"].sql = sql_view(false, (5 << 20) - 100, 2);
    watch.run(40s);
    EXPECT_EQ(watch.firing(), (std::set<std::string>{"replication_lag postgres-2",
                                                     "timeline_mismatch postgres-3"}));
    cluster.nodes["postgres-2"].sql = refused();
    cluster.nodes["postgres-2"].rest = refused();
    const auto fired = watch.until_fires("replica_down", "postgres-2", 10s);
    ASSERT_TRUE(fired);
    EXPECT_GE(*fired, 3s);
    EXPECT_LE(*fired, 4s);
}

TEST(TwoPrimaries, NeedsAnOverlapInTime) {
    Cluster cluster;
    Watch watch(cluster);
    watch.run(5s);
    // A handover seen half a second apart: postgres-1's last look is older than postgres-2's first
    // as a primary.
    cluster.nodes["postgres-2"].sql = sql_view(true, 1000, 2);
    cluster.nodes["postgres-1"].sql = make_error(ErrorCode::kCancelled, "no look");
    watch.step();
    EXPECT_EQ(watch.state("two_primaries", "aeterna"), FindingState::kClear);
    cluster.nodes["postgres-1"].sql = sql_view(true);
    EXPECT_TRUE(watch.until_fires("two_primaries", "aeterna", 2s));
    EXPECT_EQ(watch.state("primary_down", "postgres-1"), FindingState::kClear);
}

TEST(TwoPrimaries, ALookBeforeTheOtherBeganIsNoOverlap) {
    const Settings settings = three_nodes();
    const MonoTime start = MonoTime{} + 1h;
    Board board(settings);
    post_sql(board, "postgres-1", sql_view(true), start, start + 10ms);
    post_sql(board, "postgres-2", sql_view(true), start + 400ms, start + 410ms);
    const auto judge = [&](MonoTime now) {
        return judge_two_primaries(
            make_world(settings, board.snapshot(), {now, {}, false, false}, {}, ""));
    };
    EXPECT_EQ(judge(start + 450ms).condition, false);
    post_sql(board, "postgres-1", sql_view(true), start + 500ms, start + 510ms);
    EXPECT_EQ(judge(start + 550ms).condition, true)
        << "postgres-1 was one before and after postgres-2";
}

TEST(Heartbeat, FailsOnlyWithApproval) {
    for (const bool approved : {true, false}) {
        Cluster cluster;
        cluster.settings.heartbeat_approved = approved;
        Watch watch(cluster);
        cluster.nodes["postgres-1"].heartbeat =
            make_error(ErrorCode::kServer, "disk full (SQLSTATE 53100)");
        watch.run(10s);
        EXPECT_EQ(watch.state("heartbeat_failed", "aeterna"),
                  approved ? FindingState::kFiring : FindingState::kClear);
    }
}

TEST(ClientPath, FailingAndEndingAtAReplica) {
    const Result<ClientView> cases[] = {refused(), ClientView{"postgres-2", true, false}};
    for (const auto& seen : cases) {
        Cluster cluster;
        Watch watch(cluster);
        cluster.client = seen;
        EXPECT_TRUE(watch.until_fires("client_path_down", "aeterna", 5s));
        EXPECT_EQ(watch.firing().size(), 1u);
    }
}

TEST(EtcdQuorum, TwoOfThreeLost) {
    Cluster cluster;
    Watch watch(cluster);
    cluster.health = etcd_health(1);
    watch.run(10s);
    EXPECT_EQ(watch.state("etcd_quorum", "aeterna"), FindingState::kClear)
        << "a linearizable read still succeeds";
    cluster.dcs = make_error(ErrorCode::kTimeout, "no quorum");
    EXPECT_TRUE(watch.until_fires("etcd_quorum", "aeterna", 10s));
    cluster.health = etcd_health(2);
    watch.run(5s);
    EXPECT_EQ(watch.state("etcd_quorum", "aeterna"), FindingState::kClear);
}

TEST(EtcdQuorum, SilenceOfAllIsNoneWhileAnAgentReachesIt) {
    Cluster cluster;
    Watch watch(cluster);
    cluster.dcs = silence();
    cluster.health = etcd_health(0);
    const auto seen_by_agent = [&](Duration ago) {
        cluster.nodes["postgres-2"].rest->dcs_last_seen =
            std::chrono::duration_cast<std::chrono::seconds>(
                (cluster.wall() - ago).time_since_epoch())
                .count();
    };
    for (int i = 0; i < 20; ++i) {
        seen_by_agent(9s);
        watch.step();
        EXPECT_NE(watch.state("etcd_quorum", "aeterna"), FindingState::kFiring);
    }
    // It reaches it no more; its last look ages.
    EXPECT_TRUE(watch.until_fires("etcd_quorum", "aeterna", 15s));
}

TEST(SyncKey, FiresAfterTwoLoops) {
    Cluster cluster;
    Watch watch(cluster);
    cluster.dcs->config.synchronous_mode = true;
    cluster.dcs->config.loop_wait = 3;
    cluster.dcs->sync = SyncState{"postgres-2", {}};
    const auto fired = watch.until_fires("sync_key_mismatch", "aeterna", 30s);
    ASSERT_TRUE(fired);
    EXPECT_GE(*fired, 6s);
    EXPECT_LE(*fired, 7s);
}

TEST(HungPostmaster, AcceptsButNeverAnswersWhileTheAgentSaysRunning) {
    Cluster cluster;
    Watch watch(cluster);
    cluster.nodes["postgres-1"].connect = silence();
    EXPECT_TRUE(watch.until_fires("hung_postmaster", "postgres-1", 10s));
    cluster.nodes["postgres-2"].connect = silence();
    cluster.nodes["postgres-2"].accepts = false;
    watch.run(10s);
    EXPECT_EQ(watch.state("hung_postmaster", "postgres-2"), FindingState::kUnknown)
        << "it may be the host or the network";
}

TEST(HungPostmaster, AFullAcceptQueueDoesNotClearIt) {
    Cluster cluster;
    Watch watch(cluster);
    auto& node = cluster.nodes["postgres-1"];
    node.connect = silence();
    ASSERT_TRUE(watch.until_fires("hung_postmaster", "postgres-1", 10s));
    node.accepts = false;
    watch.run(20s);
    EXPECT_EQ(watch.state("hung_postmaster", "postgres-1"), FindingState::kFiring);
    node.rest = silence();
    watch.run(20s);
    EXPECT_EQ(watch.state("hung_postmaster", "postgres-1"), FindingState::kFiring);
    node.connect = ConnectView{true};
    node.accepts = true;
    watch.run(3s);
    EXPECT_EQ(watch.state("hung_postmaster", "postgres-1"), FindingState::kClear);
}

TEST(Events, AFailoverIsToldOnceAndInOrder) {
    Cluster cluster;
    Detectors detectors(cluster.settings);
    Changes changes;
    std::vector<std::string> told;
    const auto run = [&](int ticks) {
        for (int i = 0; i < ticks; ++i) {
            const World world = cluster.tick();
            for (const auto& event : changes.compare(world, detectors.judge(world))) {
                told.push_back(event.kind + " " + event.subject);
            }
        }
    };
    run(4);
    EXPECT_THAT(told, IsEmpty());
    cluster.fail("postgres-1", refused(), refused());
    run(6);
    cluster.dcs = dcs_view("");
    run(2);
    cluster.lead("postgres-2", 2);
    run(6);
    cluster.nodes["postgres-1"] = {};
    cluster.lead("postgres-2", 2);
    run(4);
    EXPECT_EQ(told, (std::vector<std::string>{
                        "node.down postgres-1", "primary.lost postgres-1",
                        "leader_key.expired postgres-1", "leader_key.changed postgres-2",
                        "primary.changed postgres-2", "timeline.changed postgres-2",
                        "node.up postgres-1"}));
}

TEST(WalUpkeepDetectors, ASlotNearItsLimitFiresAndClears) {
    Cluster cluster;
    Watch watch(cluster);
    watch.run(5s);
    EXPECT_EQ(watch.state("slot_held", "postgres-2"), FindingState::kClear);
    cluster.nodes["postgres-2"].wal->held_bytes = 12LL << 30;
    watch.run(20s);
    EXPECT_EQ(watch.state("slot_held", "postgres-2"), FindingState::kClear) << "three quarters are not more than them";
    cluster.nodes["postgres-2"].wal->held_bytes = (12LL << 30) + 1;
    EXPECT_TRUE(watch.until_fires("slot_held", "postgres-2", 15s));
    EXPECT_THAT(watch.finding("slot_held", "postgres-2").reasons, Contains(HasSubstr("12288 MiB")));
    EXPECT_EQ(watch.state("slot_held", "postgres-1"), FindingState::kClear);
    cluster.nodes["postgres-2"].wal->held_bytes = 0;
    watch.run(10s);
    EXPECT_EQ(watch.state("slot_held", "postgres-2"), FindingState::kClear);
}

TEST(WalUpkeepDetectors, ALostSlotFiresAtOnce) {
    Cluster cluster;
    Watch watch(cluster);
    watch.run(5s);
    cluster.nodes["postgres-1"].wal->lost_slots = "other";
    EXPECT_EQ(watch.until_fires("slot_lost", "postgres-1", 5s), 500ms);
    EXPECT_THAT(watch.finding("slot_lost", "postgres-1").summary, HasSubstr("other"));
}

TEST(WalUpkeepDetectors, AnUnprotectedSlotFires) {
    Cluster cluster;
    Watch watch(cluster);
    watch.run(5s);
    EXPECT_EQ(watch.state("slot_unprotected", "aeterna"), FindingState::kClear);
    cluster.dcs->config.document = Json::object();
    EXPECT_TRUE(watch.until_fires("slot_unprotected", "aeterna", 20s));
    cluster.dcs->has_config = false;
    watch.run(20s);
    EXPECT_EQ(watch.state("slot_unprotected", "aeterna"), FindingState::kFiring) << "what was seen stays true";
    cluster.settings.captures = false;
    Watch without(cluster);
    without.run(20s);
    EXPECT_FALSE(without.firing().contains("slot_unprotected aeterna")) << "nobody needs it";
}

TEST(WalUpkeepDetectors, AFailingArchiverAndGrowingWalFire) {
    Cluster cluster;
    Watch watch(cluster);
    watch.run(5s);
    WalUpkeep& wal = *cluster.nodes["postgres-1"].wal;
    wal.archiver_fails = true;
    wal.failed_file = "000000010000000000000007";
    wal.wal_bytes = wal.expected_bytes + 1;
    EXPECT_TRUE(watch.until_fires("archiver_failing", "postgres-1", 40s));
    EXPECT_THAT(watch.finding("archiver_failing", "postgres-1").reasons, Contains(HasSubstr("000000010000000000000007")));
    EXPECT_TRUE(watch.until_fires("wal_growth", "postgres-1", 70s));
    EXPECT_THAT(watch.finding("wal_growth", "postgres-1").reasons, Contains("the archiver fails"));
    cluster.nodes["postgres-1"].wal = silence();
    watch.run(20s);
    EXPECT_EQ(watch.state("wal_growth", "postgres-1"), FindingState::kFiring) << "silence ends nothing";
    EXPECT_EQ(watch.state("archiver_failing", "postgres-2"), FindingState::kClear);
}

constexpr std::uint64_t kMiB = 1 << 20, kGiB = 1 << 30;

TEST(DiskDetector, AFullFileSystemFiresAlsoBelowADeadServer) {
    struct Row {
        std::uint64_t free, total;
        bool fires;
    };
    const Row rows[] = {{4 * kMiB, 100 * kMiB, true},  {6 * kMiB, 100 * kMiB, false}, {kGiB - 1, 100 * kGiB, true},
                        {kGiB, 100 * kGiB, false},     {0, kGiB, true},               {40 * kGiB, 1000 * kGiB, false}};
    for (const Row& row : rows) {
        Cluster cluster;
        Watch watch(cluster);
        watch.run(5s);
        cluster.fail("postgres-2", refused(), refused());
        cluster.nodes["postgres-2"].disks =
            std::vector<DiskView>{{"/data", {50 * kGiB, 1, 100 * kGiB}}, {"/data/pg_wal", {row.free, 2, row.total}}};
        EXPECT_EQ(watch.until_fires("disk_full", "postgres-2", 10s).has_value(), row.fires) << row.free << " of " << row.total;
        if (!row.fires) continue;
        EXPECT_THAT(watch.finding("disk_full", "postgres-2").reasons, Contains(HasSubstr("'/data/pg_wal' has")));
        EXPECT_EQ(watch.state("disk_full", "postgres-1"), FindingState::kClear);
    }
}

// Without an executor, and where a quota or a reserve is used up that statvfs does not show.
TEST(DiskDetector, WhatTheServerItselfSaysFires) {
    Cluster cluster;
    Watch watch(cluster);
    for (auto& [name, node] : cluster.nodes) node.disks = make_error(ErrorCode::kConfiguration, "executor 'none'");
    watch.run(5s);
    EXPECT_EQ(watch.state("disk_full", "postgres-1"), FindingState::kClear);
    cluster.nodes["postgres-1"].heartbeat =
        make_error(ErrorCode::kServer, "UPDATE: could not extend file: no space (SQLSTATE 53100)");
    EXPECT_TRUE(watch.until_fires("disk_full", "postgres-1", 10s));
    EXPECT_EQ(watch.state("disk_full", "postgres-2"), FindingState::kClear);
    cluster.fail("postgres-1", refused(), refused());
    cluster.nodes["postgres-1"].disks = make_error(ErrorCode::kConfiguration, "executor 'none'");
    watch.run(20s);
    EXPECT_EQ(watch.state("disk_full", "postgres-1"), FindingState::kFiring) << "dead, it cannot say otherwise";
    cluster.nodes["postgres-1"] = Cluster::Node{};
    watch.run(20s);
    EXPECT_EQ(watch.state("disk_full", "postgres-1"), FindingState::kClear);
}

}  // namespace
}  // namespace aeterna::postgres
