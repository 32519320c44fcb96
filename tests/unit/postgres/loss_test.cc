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
    const StepParts parts{scene.cluster.settings, fake.env, "", "", config::Assist::kAct, {}};
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

// What its agent says, look by look, half a second apart; "" is an agent that is too busy to answer.
struct Starts {
    const char* what;
    std::vector<std::string> states;
    int failed;
};

// A dead PostgreSQL beside a living agent, on a host that can fence.
struct WatchedStart {
    Scene scene;
    aeterna::testing::FakeEnv fake;
    const Settings& settings = scene.cluster.settings;
    const StepParts parts{settings, fake.env, "", "", config::Assist::kAct, {}};
    LossWatch watch{parts, settings.nodes[0]};

    WatchedStart() {
        config::Host host{"host-1", "a", "local", "/fences", {}};
        for (const char* node : {"patroni-1", "postgres-1"})
            host.processes.push_back({node, std::string("/run/") + node, {}, true});
        scene.cluster.settings.hosts = {host};
        scene.kill();
    }
    LossEvidence look(const std::string& state) {
        if (state.empty()) scene.cluster.nodes["postgres-1"].rest = silence();
        else scene.cluster.nodes["postgres-1"].rest = rest_view(true, state);
        return watch.gather(scene.cluster.tick(), {});
    }
    LossKind judge(const LossEvidence& evidence) { return judge_loss(scene.cluster.look(), settings.nodes[0], evidence).kind; }
};

TEST(LossWatch, TwoStartsThatFailedAreNotWaitedForAgain) {
    const Starts table[] = {
        {"none was tried", {"crashed", "crashed"}, 0},
        {"one that is under way", {"crashed", "starting", "starting"}, 0},
        {"one failed", {"starting", "crashed"}, 1},
        {"one that failed before a look met it", {"crashed", "start failed"}, 1},
        {"one failure that is seen again and again", {"starting", "start failed", "start failed", "start failed"}, 1},
        {"one failure behind an agent that fell silent", {"starting", "", "start failed", "", "start failed"}, 1},
        {"the second is under way", {"starting", "start failed", "starting"}, 1},
        {"the second failed", {"starting", "start failed", "starting", "start failed"}, 2},
        {"restarts count as starts", {"restarting", "stopped", "restarting", "crashed"}, 2},
        {"the first came up", {"starting", "running", "starting", "crashed"}, 1},
    };
    for (const Starts& row : table) {
        SCOPED_TRACE(row.what);
        WatchedStart watched;
        LossEvidence evidence;
        for (const std::string& state : row.states) evidence = watched.look(state);
        EXPECT_EQ(evidence.failed_starts, row.failed);
        EXPECT_EQ(watched.judge(evidence), row.failed >= 2 ? LossKind::kLost : LossKind::kWait);
    }
}

TEST(LossWatch, AStartThatLastsIsTimedFromItsFirstLook) {
    WatchedStart watched;
    static_cast<void>(watched.look("starting"));
    LossEvidence evidence;
    for (int look = 0; look < 5; ++look) evidence = watched.look("starting");
    EXPECT_EQ(evidence.starting_for, 2500ms);
    static_cast<void>(watched.look("start failed"));
    EXPECT_EQ(watched.look("starting").starting_for, Duration::zero()) << "another one";
}

// What a fence has to prove anew a moment later may have taken a minute to prove.
TEST(LossWatch, AnotherOneOfTheSameProcessGoesOnWithWhatItHasSeen) {
    struct Row {
        const char* what;
        int pid;
        Duration later;
        bool goes_on;
    };
    for (const Row& row : {Row{"at once", 0, 500ms, true}, Row{"another process", 1, 500ms, false},
                           Row{"it may have answered meanwhile", 0, 3500ms, false}}) {
        SCOPED_TRACE(row.what);
        WatchedStart watched;
        for (const char* state : {"starting", "start failed", "starting"}) static_cast<void>(watched.look(state));
        Json facts{{"prove_loss", {{"by", watched.parts.env.processes.own_pid() + row.pid}, {"watched", watched.watch.memory()}}}};
        engine::StepContext step{{}, facts, [](const std::string&) {}};
        watched.fake.clock.advance(watched.scene.cluster.look().now + row.later - watched.fake.clock.now());
        LossWatch next(watched.parts, watched.settings.nodes[0]);
        next.begin(step);
        watched.scene.cluster.nodes["postgres-1"].rest = rest_view(true, "starting");
        const LossEvidence evidence = next.gather(watched.scene.cluster.tick(), {});
        EXPECT_EQ(evidence.failed_starts, row.goes_on ? 1 : 0);
        EXPECT_EQ(evidence.starting_for > Duration::zero(), row.goes_on);
        EXPECT_EQ(evidence.down_for > 1s, row.goes_on);
    }
}

// 64 MiB of WAL a second, from where its last checkpoint is known to begin to what the replicas have received.
TEST(LossWatch, ARecoveryThatIsPredictedToTakeLongerThanAMinuteIsNotWaitedFor) {
    constexpr std::int64_t kSecond = 64LL << 20, kRedo = 10LL << 30;
    struct Row {
        const char* what;
        std::int64_t received_2, received_3, redo_2, redo_3;
        double seconds;
        LossKind kind;
    };
    const Row table[] = {
        {"nothing to replay", kRedo, kRedo, kRedo, kRedo, 0, LossKind::kWait},
        {"a minute", kRedo + 60 * kSecond, kRedo, kRedo, kRedo, 60, LossKind::kWait},
        {"more than a minute", kRedo + 61 * kSecond, kRedo + 61 * kSecond, kRedo, kRedo, 61, LossKind::kLost},
        {"the one that received most says how far", kRedo, kRedo + 90 * kSecond, kRedo, kRedo, 90, LossKind::kLost},
        {"the newest checkpoint says from where", kRedo + 90 * kSecond, kRedo + 90 * kSecond, kRedo, kRedo + 40 * kSecond, 50,
         LossKind::kWait},
        {"a redo behind all that was received", kRedo, kRedo, kRedo + kSecond, kRedo, 0, LossKind::kWait},
        {"no checkpoint that anybody knows", kRedo, kRedo, 0, 0, 0, LossKind::kWait},
    };
    for (const Row& row : table) {
        SCOPED_TRACE(row.what);
        WatchedStart watched;
        watched.scene.cluster.nodes["postgres-2"].sql->received = row.received_2;
        watched.scene.cluster.nodes["postgres-3"].sql->received = row.received_3;
        watched.scene.cluster.nodes["postgres-2"].sql->redo_lsn = row.redo_2;
        watched.scene.cluster.nodes["postgres-3"].sql->redo_lsn = row.redo_3;
        const LossEvidence evidence = watched.look("starting");
        EXPECT_DOUBLE_EQ(evidence.predicted_recovery_seconds, row.seconds);
        EXPECT_EQ(watched.judge(evidence), row.kind);
    }
}

TEST(LossWatch, NothingIsPredictedWhereNoReplicaSaysHowFarItCame) {
    WatchedStart watched;
    for (const char* replica : {"postgres-2", "postgres-3"}) watched.scene.cluster.nodes[replica].sql = silence();
    const LossEvidence evidence = watched.look("starting");
    EXPECT_EQ(evidence.predicted_recovery_seconds, 0);
    EXPECT_EQ(watched.judge(evidence), LossKind::kWait);
}

// A host that lives resets what its dead process had open; a host that is gone says nothing.
TEST(Loss, AConnectionThatIsResetCountsAsRefused) {
    const Error reset = make_error(ErrorCode::kConnectionLost, "connection reset by peer", "", Effect::kUnknown);
    const std::pair<ErrorCode, Answer> table[] = {
        {ErrorCode::kConnectionRefused, Answer::kRefused}, {ErrorCode::kConnectionLost, Answer::kRefused},
        {ErrorCode::kTimeout, Answer::kSilent},            {ErrorCode::kDeadline, Answer::kSilent},
        {ErrorCode::kUnreachable, Answer::kSilent},        {ErrorCode::kUnavailable, Answer::kUnavailable},
        {ErrorCode::kCancelled, Answer::kNever},           {ErrorCode::kAuthentication, Answer::kRejected},
        {ErrorCode::kReadOnly, Answer::kRejected},         {ErrorCode::kProtocol, Answer::kRejected},
    };
    for (const auto& [code, answer] : table) EXPECT_EQ(answer_of(make_error(code, "x")), answer) << code_name(code);

    Scene scene;
    scene.kill();
    scene.cluster.fail("postgres-1", reset, reset);
    EXPECT_EQ(scene.judge().kind, LossKind::kLost);
    EXPECT_THAT(scene.why(), HasSubstr("postgres-1 SQL: refused"));

    Cluster cluster;
    Watch watch(cluster);
    watch.run(5s);
    cluster.fail("postgres-1", reset, reset);
    EXPECT_EQ(watch.until_fires("primary_down", "postgres-1", 10s), 1s) << "as fast as a refusal";
}

// Patroni makes a node that is named leader without asking what it asks of others.
struct Candidate {
    const char* hindrance;
    void (*change)(Cluster&);
};

TEST(Candidate, IsNamedOnlyWhereNothingHindersIt) {
    const Candidate table[] = {
        {"", [](Cluster&) {}},
        {"", [](Cluster& c) { c.nodes["postgres-2"].rest = rest_view(false, "streaming"); }},
        {"", [](Cluster& c) { c.nodes["postgres-3"].sql = sql_view(false, 1 << 20); }},
        {"", [](Cluster& c) { c.dcs = silence(); }},
        {"its agent does not answer (silent)", [](Cluster& c) { c.nodes["postgres-2"].rest = silence(); }},
        {"its agent does not answer (refused)", [](Cluster& c) { c.nodes["postgres-2"].rest = refused(); }},
        {"PostgreSQL is 'starting'", [](Cluster& c) { c.nodes["postgres-2"].rest = rest_view(false, "starting"); }},
        {"it is no member in etcd", [](Cluster& c) { c.dcs->members.erase("postgres-2"); }},
        {"it has the tag nofailover", [](Cluster& c) { c.dcs->members["postgres-2"].nofailover = true; }},
        {"it is no synchronous standby",
         [](Cluster& c) {
             c.dcs->config.synchronous_mode = true;
             c.dcs->sync = SyncState{"postgres-1", {"postgres-3"}};
         }},
        {"it is 4194304 bytes behind (limit 1048576)",
         [](Cluster& c) {
             c.nodes["postgres-2"].sql = sql_view(false, 1 << 20);
             c.nodes["postgres-3"].sql = sql_view(false, 5 << 20);
         }},
        {"it is 9436184 bytes behind (limit 1048576)", [](Cluster& c) { c.dcs->last_leader_position = 9 << 20; }},
        {"it is on timeline 1, 'postgres-3' on 2", [](Cluster& c) { c.nodes["postgres-3"].rest->timeline = 2; }},
    };
    for (const Candidate& row : table) {
        SCOPED_TRACE(*row.hindrance ? row.hindrance : "fit");
        Scene scene;
        scene.kill();
        row.change(scene.cluster);
        aeterna::testing::FakeEnv fake;
        const StepParts parts{scene.cluster.settings, fake.env, "postgres-2", "", config::Assist::kAct, {}};
        const std::string why = candidate_hindrance(parts, scene.cluster.tick());
        EXPECT_EQ(why, *row.hindrance ? std::string("'postgres-2' may not take over: ") + row.hindrance : "");
    }
}

TEST(Candidate, IsNotThePrimaryThatIsToBeReplaced) {
    Scene scene;
    scene.kill();
    aeterna::testing::FakeEnv fake;
    const StepParts named{scene.cluster.settings, fake.env, "postgres-1", "", config::Assist::kAct, {}};
    EXPECT_THAT(candidate_hindrance(named, scene.cluster.tick()), HasSubstr("is the primary that is to be replaced"));
    const StepParts nobody{scene.cluster.settings, fake.env, "", "", config::Assist::kAct, {}};
    EXPECT_EQ(candidate_hindrance(nobody, scene.cluster.tick()), "");
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
