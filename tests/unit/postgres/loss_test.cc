// When the lease's wait may be cut short, and everything that forbids it.
#include "postgres/steps/loss.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/strings.h"
#include "fixtures.h"
#include "postgres/steps/assist.h"
#include "../support/fake_env.h"

namespace aeterna::postgres {
namespace {

using namespace testing;
using ::testing::HasSubstr;

// postgres-1 led; what the probes and its host see then is up to each test.
struct Scene {
    Cluster cluster;
    LossEvidence evidence;

    Scene() {
        static_cast<void>(cluster.tick());
        for (const char* replica : {"postgres-2", "postgres-3"})
            cluster.nodes[replica].sql->receiver_silent_seconds = 0.1;
        evidence.host_answered = true;
    }
    void kill() {
        cluster.fail("postgres-1", refused(), refused());
        evidence.agent = evidence.server = {};
        deafen();
    }
    void pause() {
        cluster.fail("postgres-1", silence(), silence());
        evidence.agent = {1, 1, 0};
        evidence.server = {9, 9, 0};
        evidence.silent_for = 6s;
        for (const char* replica : {"postgres-2", "postgres-3"})
            cluster.nodes[replica].sql->receiver_silent_seconds = 6;
    }
    void deafen() {
        for (const char* replica : {"postgres-2", "postgres-3"}) {
            cluster.nodes[replica].sql->receiver_silent_seconds = std::nullopt;
            cluster.nodes[replica].sql->receiver_status = "";
        }
    }
    LossVerdict judge() { return judge_loss(cluster.tick(), cluster.settings.nodes[0], evidence); }
    std::string why() { return join(judge().reasons, "; "); }
};

TEST(Loss, DeadIsProvenByPortsAndProcessTable) {
    Scene scene;
    scene.kill();
    EXPECT_EQ(scene.judge().kind, LossKind::kLost);
    EXPECT_THAT(scene.why(), HasSubstr("postgres-1 SQL: refused"));
    EXPECT_THAT(scene.why(), HasSubstr("none of its processes is left"));
}

TEST(Loss, OneVantageAloneProvesNothing) {
    Scene without_host;
    without_host.kill();
    without_host.evidence.host_answered = false;
    EXPECT_EQ(without_host.judge().kind, LossKind::kWait);

    Scene backend_lives;
    backend_lives.kill();
    backend_lives.evidence.server.alive = 1;
    EXPECT_EQ(backend_lives.judge().kind, LossKind::kWait);

    backend_lives.evidence.server.is_headless = true;
    EXPECT_EQ(backend_lives.judge().kind, LossKind::kLost) << "its postmaster is dead: the fence ends the orphan";
    EXPECT_THAT(backend_lives.why(), HasSubstr("its main process is dead; 1 orphan is left"));

    Scene only_sql;
    only_sql.kill();
    only_sql.cluster.nodes["postgres-1"].rest = silence();
    EXPECT_EQ(only_sql.judge().kind, LossKind::kWait);
}

TEST(Loss, SilenceNeedsTimeAndTheReplicasWord) {
    Scene scene;
    scene.pause();
    EXPECT_EQ(scene.judge().kind, LossKind::kLost);

    Scene short_stall;
    short_stall.pause();
    short_stall.evidence.silent_for = 4900ms;
    EXPECT_EQ(short_stall.judge().kind, LossKind::kWait);
    EXPECT_THAT(short_stall.why(), HasSubstr("it may be a stall"));

    // Partitioned from us alone: a replica still hears it.
    Scene ours;
    ours.pause();
    ours.evidence.server = {9, 0, 0};
    ours.cluster.nodes["postgres-2"].sql->receiver_silent_seconds = 0.4;
    EXPECT_EQ(ours.judge().kind, LossKind::kWait);

    // A replica's ears weigh more than the process table: it may have been continued just now.
    Scene heard;
    heard.pause();
    heard.cluster.nodes["postgres-2"].sql->receiver_silent_seconds = 0.4;
    EXPECT_EQ(heard.judge().kind, LossKind::kWait);

    // Nobody else can be asked, and it is not stopped: no second vantage.
    Scene alone;
    alone.pause();
    alone.evidence.server = {9, 0, 0};
    for (const char* replica : {"postgres-2", "postgres-3"}) alone.cluster.nodes[replica].sql = silence();
    EXPECT_EQ(alone.judge().kind, LossKind::kWait);
}

TEST(Loss, ALivingAgentGetsItsChance) {
    Scene scene;
    scene.kill();
    scene.cluster.nodes["postgres-1"].rest = rest_view(true, "starting");
    scene.evidence.agent.alive = 1;
    EXPECT_EQ(scene.judge().kind, LossKind::kWait);
    scene.evidence.failed_starts = 1;
    EXPECT_EQ(scene.judge().kind, LossKind::kWait);
    scene.evidence.failed_starts = 2;
    EXPECT_EQ(scene.judge().kind, LossKind::kLost);
    scene.evidence.failed_starts = 0;
    scene.evidence.starting_for = 60s;
    EXPECT_EQ(scene.judge().kind, LossKind::kLost);
    scene.evidence.starting_for = 1s;
    scene.evidence.predicted_recovery_seconds = 61;
    EXPECT_EQ(scene.judge().kind, LossKind::kLost);
}

TEST(Loss, AHungPostmasterIsLeftToAPerson) {
    Scene scene;
    scene.pause();
    scene.cluster.nodes["postgres-1"].rest = rest_view(true);
    scene.evidence.agent = {1, 0, 0};
    EXPECT_EQ(scene.judge().kind, LossKind::kWait);
    EXPECT_THAT(scene.why(), HasSubstr("only a person can decide"));
}

TEST(Loss, ALivingPrimaryIsStoppedOnlyBeforeASecondOneIsPromoted) {
    Scene scene;
    scene.cluster.nodes["postgres-1"].rest = refused();
    scene.cluster.dcs = dcs_view("postgres-1", 9);
    EXPECT_EQ(scene.judge().kind, LossKind::kWait);
    scene.cluster.dcs = dcs_view("postgres-1", 8);
    EXPECT_EQ(scene.judge().kind, LossKind::kLost);
    // Asked while etcd elects a leader, which prolongs every lease.
    scene.cluster.dcs = dcs_view("postgres-1", std::nullopt);
    scene.cluster.dcs->leader->granted_seconds = 0;
    EXPECT_EQ(scene.judge().kind, LossKind::kWait);
    EXPECT_THAT(scene.why(), HasSubstr("could not be read"));
    scene.cluster.dcs = dcs_view("postgres-1", 8);
    scene.evidence.agent.alive = 1;
    EXPECT_EQ(scene.judge().kind, LossKind::kNotNeeded) << "its agent lives: it will renew the lease";
}

TEST(Loss, NothingToDoWhereSomebodyLeadsOrTheKeyIsFree) {
    Scene promoted;
    promoted.kill();
    promoted.cluster.nodes["postgres-2"].sql = sql_view(true, 1000, 2);
    EXPECT_EQ(promoted.judge().kind, LossKind::kNotNeeded);

    Scene expired;
    expired.kill();
    expired.cluster.dcs = dcs_view("postgres-1", -1);
    EXPECT_EQ(expired.judge().kind, LossKind::kNotNeeded);

    Scene moved;
    moved.kill();
    moved.cluster.dcs = dcs_view("postgres-2");
    EXPECT_EQ(moved.judge().kind, LossKind::kNotNeeded);
}

// A stack that is dead beyond doubt, with one thing that speaks against acting.
struct Refusal {
    const char* reason;
    void (*change)(Scene&);
};

void synchronous(Scene& scene, const SyncState& sync) {
    scene.cluster.dcs->config.synchronous_mode = true;
    scene.cluster.dcs->sync = sync;
}

class LossRefusal : public ::testing::TestWithParam<Refusal> {};

TEST_P(LossRefusal, IsAbsoluteWhateverIsDead) {
    for (const bool paused : {false, true}) {
        Scene scene;
        if (paused) scene.pause();
        else scene.kill();
        ASSERT_EQ(scene.judge().kind, LossKind::kLost);
        GetParam().change(scene);
        const LossVerdict verdict = scene.judge();
        EXPECT_EQ(verdict.kind, LossKind::kRefused);
        EXPECT_THAT(join(verdict.reasons, "; "), HasSubstr(GetParam().reason));
    }
}

INSTANTIATE_TEST_SUITE_P(
    Table, LossRefusal,
    ::testing::Values(
        Refusal{"not readable from here", [](Scene& s) { s.cluster.dcs = silence(); }},
        Refusal{"no readable Patroni configuration", [](Scene& s) { s.cluster.dcs->has_config = false; }},
        Refusal{"unreadable sync", [](Scene& s) { s.cluster.dcs->unreadable = {"sync: nonsense"}; }},
        Refusal{"the cluster is paused", [](Scene& s) { s.cluster.dcs->config.paused = true; }},
        Refusal{"patroni-3 REST: the cluster is paused",
                [](Scene& s) { s.cluster.nodes["postgres-3"].rest->paused = true; }},
        Refusal{"standby cluster", [](Scene& s) { s.cluster.dcs->config.is_standby_cluster = true; }},
        Refusal{"asked for by hand",
                [](Scene& s) { s.cluster.dcs->failover = FailoverRequest{"", "postgres-2", ""}; }},
        Refusal{"failsafe mode is active",
                [](Scene& s) { s.cluster.nodes["postgres-2"].rest->failsafe_active = true; }},
        Refusal{"the sync key does not belong to 'postgres-1'",
                [](Scene& s) { synchronous(s, {"postgres-2", {"postgres-3"}}); }},
        Refusal{"the sync key does not belong to 'postgres-1'",
                [](Scene& s) {
                    s.cluster.dcs->config.synchronous_mode = true;
                    s.cluster.dcs->sync.reset();
                }},
        Refusal{"it is no synchronous standby", [](Scene& s) { synchronous(s, {"postgres-1", {}}); }},
        Refusal{"'postgres-2': its agent does not answer",
                [](Scene& s) {
                    synchronous(s, {"postgres-1", {"postgres-2"}});
                    s.cluster.nodes["postgres-2"].rest = refused();
                }},
        Refusal{"nofailover",
                [](Scene& s) {
                    for (const char* n : {"postgres-2", "postgres-3"}) s.cluster.dcs->members[n].nofailover = true;
                }},
        Refusal{"no host that runs", [](Scene& s) { s.evidence.cannot_fence = "no host that runs it"; }},
        Refusal{"hardware watchdog", [](Scene& s) { s.evidence.watchdog_armed = true; }}));

// As at a full disk: the agent tries and tries, answers nobody, and its lease is renewed.
TEST(Loss, AServerThatStaysDownBesideALivingAgentIsLost) {
    Scene scene;
    scene.kill();
    scene.evidence.agent = {3, 0, 0};
    scene.cluster.nodes["postgres-1"].rest = silence();
    scene.evidence.down_for = kLongestRecovery - 1ms;
    EXPECT_EQ(scene.judge().kind, LossKind::kWait);
    scene.evidence.down_for = kLongestRecovery;
    EXPECT_EQ(scene.judge().kind, LossKind::kLost);
    EXPECT_THAT(scene.why(), HasSubstr("PostgreSQL has been down for 1 min"));
    scene.evidence.server.alive = 1;
    EXPECT_EQ(scene.judge().kind, LossKind::kWait) << "its host says that something of it lives";

    Scene flapping;
    flapping.kill();
    flapping.cluster.nodes["postgres-1"].rest = rest_view(true, "starting");
    EXPECT_EQ(flapping.judge().kind, LossKind::kWait);
    flapping.evidence.down_for = kLongestRecovery;
    EXPECT_EQ(flapping.judge().kind, LossKind::kLost);
}

TEST(LossWatch, AReaderOfAMomentIsDownAllTheWhile) {
    Scene scene;
    scene.kill();
    aeterna::testing::FakeEnv fake;
    const StepParts parts{scene.cluster.settings, fake.env, "", "", "act", {}};
    LossWatch watch(parts, scene.cluster.settings.nodes[0]);
    const auto gather = [&] { return watch.gather(scene.cluster.tick(), {}); };
    for (int look = 0; look < 20; ++look) static_cast<void>(gather());
    scene.cluster.nodes["postgres-1"].sql = sql_view(false);
    static_cast<void>(gather());
    scene.cluster.nodes["postgres-1"].sql = refused();
    EXPECT_GT(gather().down_for, 10s) << "20 looks of half a second";
    scene.cluster.nodes["postgres-1"].sql = sql_view(true);
    EXPECT_EQ(gather().down_for, Duration::zero());
}

TEST(Loss, WhatMayPassIsToldFromWhatSomebodyHasToChange) {
    Scene behind;
    behind.kill();
    behind.cluster.dcs->last_leader_position = 9 << 20;
    EXPECT_EQ(behind.judge().kind, LossKind::kRefused);
    EXPECT_TRUE(behind.judge().may_pass);
    behind.cluster.dcs->config.paused = true;
    EXPECT_FALSE(behind.judge().may_pass);

    RefusalWatch watch;
    const LossVerdict passing{LossKind::kRefused, true, {"it is 9 MiB behind"}};
    EXPECT_FALSE(watch.settles(passing, MonoTime{}));
    EXPECT_FALSE(watch.settles(passing, MonoTime{} + 1min));
    const LossVerdict lost{LossKind::kLost, false, {}};
    EXPECT_FALSE(watch.settles(lost, MonoTime{} + 1min + kCalmAfterRefusal - 1ms)) << "fit for a moment only";
    EXPECT_TRUE(watch.settles(lost, MonoTime{} + 1min + kCalmAfterRefusal));
}

TEST(Loss, ARefusalStandsOnlyWhenItHasLasted) {
    const LossVerdict refused{LossKind::kRefused, false, {"the cluster is paused"}};
    const LossVerdict open{LossKind::kWait, false, {}};
    const MonoTime begin{};
    RefusalWatch watch;
    EXPECT_TRUE(RefusalWatch().settles({LossKind::kLost, false, {}}, begin)) << "nothing was ever refused";
    EXPECT_FALSE(watch.settles(refused, begin));
    EXPECT_FALSE(watch.settles(refused, begin + kRefusalStands - 1ms));
    EXPECT_FALSE(watch.settles(open, begin + kRefusalStands)) << "it was a late answer";
    EXPECT_FALSE(watch.settles(refused, begin + 2 * kRefusalStands));
    EXPECT_TRUE(watch.settles(refused, begin + 3 * kRefusalStands));
}

// PostgreSQL crashed and came back while we were cut off: its replicas lost their connection for a second.
TEST(Loss, AConnectionThatWasJustLostIsNoDeafness) {
    Scene scene;
    scene.pause();
    scene.evidence.server = {9, 0, 0};
    scene.deafen();
    EXPECT_EQ(scene.judge().kind, LossKind::kWait);
    scene.evidence.cut_for["postgres-2"] = kSilenceBeforeFence;
    EXPECT_EQ(scene.judge().kind, LossKind::kLost);
}

TEST(Loss, InSynchronousModeAHealthyStandbyIsEnough) {
    Scene scene;
    scene.kill();
    synchronous(scene, {"postgres-1", {"postgres-3"}});
    scene.cluster.nodes["postgres-2"].rest = refused();
    EXPECT_EQ(scene.judge().kind, LossKind::kLost);
}

TEST(Loss, OneReplicaFarBehindDoesNotHinderTheOther) {
    Scene scene;
    scene.kill();
    scene.cluster.nodes["postgres-2"].sql = sql_view(false, 1000);
    scene.cluster.nodes["postgres-3"].sql = sql_view(false, 5 << 20);
    EXPECT_EQ(scene.judge().kind, LossKind::kLost);
    scene.cluster.dcs->members["postgres-3"].nofailover = true;
    EXPECT_EQ(scene.judge().kind, LossKind::kRefused) << "the only one left is 5 MiB behind";
}

}  // namespace
}  // namespace aeterna::postgres
