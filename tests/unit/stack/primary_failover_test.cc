// Drill Q1 against a store in memory whose primary is a real process. The two longer tests pass real seconds: the drill
// waits for an unbroken 5 s of writes, and that span is part of what is tested.
#include "stack/primary_failover.h"

#include <atomic>

#include "rig.h"
#include "stack/healing.h"

namespace aeterna::stack::test {
namespace {

using engine::FaultKind;

PrimaryFailoverOptions quick(FaultKind fault) {
    PrimaryFailoverOptions options;
    options.fault = fault;
    options.seed = 7;
    options.warm_up = 3200ms;  // the drill wants to see 3 s of steady writes
    options.spread = 200ms;
    options.redundancy_wait = 10s;
    return options;
}

class PrimaryFailover : public ::testing::Test {
  protected:
    using Stores = std::vector<std::unique_ptr<engine::DrillStore>>;

    FakeCluster& add_store(Stores& stores, const std::string& name, FakeCluster::Behaviour behaviour,
                           std::vector<std::string> hit) {
        clusters_.push_back(std::make_unique<FakeCluster>(name, rig.process, rig.journal(), behaviour));
        stores.push_back(std::make_unique<FakeDrillStore>(*clusters_.back(), log, std::move(hit)));
        return *clusters_.back();
    }
    Result<engine::Scorecard> run(Stores stores, const PrimaryFailoverOptions& options, const env::Env& env,
                                  const env::Context& context) {
        PrimaryFailoverDrill drill(rig.stack, rig.journal(), status, [](const std::string&) {}, env);
        return drill.run(std::move(stores), options, context);
    }
    void expect_untouched(const env::ProcessId& before) {
        EXPECT_EQ(rig.process.id(), before);
        EXPECT_TRUE(rig.process.is_running());
        EXPECT_EQ(rig.count_events("fault.injected"), 0U);
        EXPECT_EQ(rig.unhealed(), 0U);
    }

    Rig rig;
    FakeDrillStore::Log log;
    PrimaryFailoverDrill::StatusSource status = [this](const env::Context&) -> Result<engine::StackStatus> {
        engine::StackStatus all;
        all.healthy = true;
        for (const auto& cluster : clusters_) {
            const engine::StackStatus one = cluster->status();
            all.healthy = all.healthy && one.healthy;
            all.stores.insert(all.stores.end(), one.stores.begin(), one.stores.end());
        }
        return all;
    };

  private:
    std::vector<std::unique_ptr<FakeCluster>> clusters_;
};

std::vector<std::string> phase_names(const engine::StoreScore& score) {
    std::vector<std::string> names;
    for (const engine::Phase& phase : score.phases) names.push_back(phase.name);
    return names;
}

TEST_F(PrimaryFailover, KillIsMeasuredHealedAndJournaled) {
    const env::ProcessId before = rig.process.id();
    Stores stores;
    FakeCluster& cluster = add_store(stores, "alpha", {200ms, 900ms, 5, false}, {"node-1"});
    const auto card = run(std::move(stores), quick(FaultKind::kKill), real(), within(2min));
    ASSERT_TRUE(card) << card.error().to_string();
    EXPECT_EQ(card->verdict(), engine::Verdict::kPass);
    EXPECT_TRUE(card->healed);
    ASSERT_EQ(card->stores.size(), 1U);
    const engine::StoreScore& score = card->stores[0];
    EXPECT_TRUE(score.faulted);
    EXPECT_EQ(score.primary, "node-1");
    EXPECT_EQ(score.new_primary, "node-2");
    EXPECT_EQ(score.notes, std::vector<std::string>{});

    const double outage = to_seconds(cluster.outage());
    ASSERT_TRUE(score.rto_seconds && score.client_rto_seconds && score.detect_seconds);
    EXPECT_GE(*score.rto_seconds, outage);
    EXPECT_LE(*score.rto_seconds, outage + 0.3);
    EXPECT_GE(*score.client_rto_seconds, outage);
    EXPECT_LE(*score.client_rto_seconds, outage + 0.3);
    EXPECT_GE(*score.detect_seconds, 0.2);
    EXPECT_LT(*score.detect_seconds, *score.rto_seconds);

    ASSERT_TRUE(score.loss);
    const std::set<std::uint64_t> dropped = cluster.dropped();
    ASSERT_EQ(dropped.size(), 5U);
    EXPECT_EQ(std::set<std::uint64_t>(score.loss->lost.begin(), score.loss->lost.end()), dropped);
    // The fault's instant is taken before the signal is sent: writes in between count as after it.
    EXPECT_EQ(score.loss->lost_before + score.loss->lost_after, 5U);
    EXPECT_EQ(score.loss->unexpected, 0U);
    EXPECT_EQ(score.loss->acknowledged, cluster.records().size() + 5);
    EXPECT_GT(score.loss->rpo_seconds, 0);
    EXPECT_LT(score.loss->rpo_seconds, 1);

    EXPECT_EQ(phase_names(score),
              (std::vector<std::string>{"injected", "first_failure", "detected", "promoted", "first_success", "stable",
                                        "redundancy_restored"}));
    EXPECT_GE(score.phases[5].at_seconds, outage + 5);
    for (const std::size_t of_ledger : {1, 4, 5}) EXPECT_TRUE(score.phases[of_ledger].write) << of_ledger;
    EXPECT_FALSE(score.phases[2].write);

    EXPECT_TRUE(rig.process.is_running());
    EXPECT_NE(rig.process.id(), before) << "nothing was killed";
    EXPECT_EQ(rig.unhealed(), 0U);
    EXPECT_EQ(rig.count_events("fault.injected"), 1U);
    EXPECT_EQ(rig.count_events("fault.healed"), 1U);
    const auto record = rig.journal().drill(card->drill_id).value();
    ASSERT_TRUE(record);
    EXPECT_EQ(record->state, "finished");
    EXPECT_TRUE(record->ended_at);
    EXPECT_EQ(record->scorecard["stores"]["alpha"]["lost"], 5);
    EXPECT_EQ(record->parameters["seed"], 7);
    EXPECT_EQ(record->parameters["assist"], "off");
    EXPECT_EQ(record->parameters["assist_by"], "stack");
    EXPECT_EQ(record->parameters["process"]["pid"], real().processes.own_pid());
    EXPECT_TRUE(is_drill_alive(*record, real()));
    EXPECT_TRUE(real().files.exists(rig.directory.file("drills/" + card->drill_id + "/alpha.ledger")));
    EXPECT_EQ(log.cleaned, 1);
}

TEST_F(PrimaryFailover, PauseThatIsStoppedHalfwayIsHealed) {
    const env::ProcessId before = rig.process.id();
    std::stop_source stop;
    Stores stores;
    FakeCluster& cluster = add_store(stores, "alpha", {100ms, 1h, 0, false}, {"node-1"});
    std::atomic<bool> was_stopped = false;
    cluster.on_silence = [&] {
        was_stopped = rig.process.now().has_value();  // silent, yet there
        stop.request_stop();
    };
    const auto card = run(std::move(stores), quick(FaultKind::kPause), real(), within(2min, stop.get_token()));
    ASSERT_FALSE(card);
    EXPECT_EQ(card.error().code, ErrorCode::kCancelled);
    EXPECT_TRUE(was_stopped);
    EXPECT_TRUE(env::testing::eventually([&] { return rig.process.is_running(); })) << "it is still stopped";
    EXPECT_EQ(rig.process.id(), before);
    EXPECT_EQ(rig.unhealed(), 0U);
    EXPECT_EQ(rig.count_events("fault.healed"), 1U);
    const auto drills = rig.journal().drills(10).value();
    ASSERT_EQ(drills.size(), 1U);
    EXPECT_EQ(drills[0].state, "aborted");
    EXPECT_TRUE(drills[0].ended_at);
    EXPECT_EQ(log.cleaned, 1) << "its table would stay for ever";
}

// The word is in the record before anything is broken: serve reads it there.
TEST_F(PrimaryFailover, AWordForTheAssistIsRecordedFirst) {
    std::stop_source stop;
    Stores stores;
    FakeCluster& cluster = add_store(stores, "alpha", {100ms, 1h, 0, false}, {"node-1"});
    Json recorded;
    cluster.on_silence = [&] {
        recorded = rig.journal().drills(1).value().at(0).parameters;
        stop.request_stop();
    };
    PrimaryFailoverOptions options = quick(FaultKind::kKill);
    options.assist = config::Assist::kAct;
    const auto card = run(std::move(stores), options, real(), within(2min, stop.get_token()));
    ASSERT_FALSE(card);
    EXPECT_EQ(recorded["assist"], "act");
    EXPECT_EQ(recorded["assist_by"], "drill");
}

TEST(IsDrillAlive, OnlyWhileItsProcessIs) {
    engine::DrillRecord drill;
    EXPECT_FALSE(is_drill_alive(drill, real())) << "of a version that did not say";
    const auto own = real().processes.inspect(real().processes.own_pid());
    ASSERT_TRUE(own);
    drill.parameters["process"] = {{"pid", own->id.pid}, {"start", own->id.start_ticks}};
    EXPECT_TRUE(is_drill_alive(drill, real()));
    drill.parameters["process"]["start"] = own->id.start_ticks + 1;
    EXPECT_FALSE(is_drill_alive(drill, real())) << "another one with its pid";
    drill.parameters["process"] = "none";
    EXPECT_FALSE(is_drill_alive(drill, real()));
}

TEST_F(PrimaryFailover, UnknownNodeBreaksNothingAnywhere) {
    const env::ProcessId before = rig.process.id();
    Stores stores;
    add_store(stores, "alpha", {}, {"node-1"});
    add_store(stores, "beta", {}, {"ghost-1"});
    const auto card = run(std::move(stores), quick(FaultKind::kKill), real(), within(2min));
    ASSERT_FALSE(card);
    EXPECT_EQ(card.error().code, ErrorCode::kConfiguration);
    EXPECT_EQ(card.error().message, "no host has the node 'ghost-1'");
    expect_untouched(before);
    EXPECT_EQ(rig.journal().drills(10).value()[0].state, "aborted");
}

TEST_F(PrimaryFailover, RefusesAWorkloadThatIsNotSteady) {
    const env::ProcessId before = rig.process.id();
    Stores stores;
    add_store(stores, "alpha", {100ms, 400ms, 0, true}, {"node-1"});
    PrimaryFailoverOptions options = quick(FaultKind::kKill);
    options.warm_up = 100ms;
    const auto card = run(std::move(stores), options, real(), within(2min));
    ASSERT_FALSE(card);
    EXPECT_EQ(card.error().code, ErrorCode::kGuardRefused);
    EXPECT_EQ(card.error().message,
              "alpha does not take writes steadily before any fault: no writes by order");
    expect_untouched(before);
    EXPECT_EQ(log.cleaned, 1);
}

TEST_F(PrimaryFailover, RefusesAStackThatIsNotHealthy) {
    aeterna::testing::FakeClock clock;
    const env::ProcessId before = rig.process.id();
    status = [](const env::Context&) -> Result<engine::StackStatus> {
        engine::StackStatus sick;
        engine::StoreStatus store;
        store.store = "alpha";
        store.health = engine::Health::kDegraded;
        sick.stores = {store};
        sick.incidents = {{"inc-9", "alpha.replica_lag", "alpha", "node-2", "degraded", "open", "", {}, {}, {}}};
        return sick;
    };
    Stores stores;
    add_store(stores, "alpha", {}, {"node-1"});
    const auto card = run(std::move(stores), quick(FaultKind::kKill), with_clock(clock), clock.context(10min));
    ASSERT_FALSE(card);
    EXPECT_EQ(card.error().code, ErrorCode::kGuardRefused);
    EXPECT_EQ(card.error().message,
              "the stack is not healthy: alpha is degraded, incident alpha.replica_lag");
    expect_untouched(before);
    EXPECT_EQ(log.prepared, 0);
    EXPECT_TRUE(rig.journal().drills(10).value().empty());
}

TEST_F(PrimaryFailover, RefusesWithoutAWatcher) {
    status = [](const env::Context&) -> Result<engine::StackStatus> {
        return make_error(ErrorCode::kConnectionRefused, "nobody listens");
    };
    const auto card = run({}, quick(FaultKind::kKill), real(), within(2min));
    ASSERT_FALSE(card);
    EXPECT_EQ(card.error().code, ErrorCode::kGuardRefused);
}

TEST_F(PrimaryFailover, RefusesWhileAnEarlierFaultIsNotHealed) {
    engine::FaultRecord fault;
    fault.id = "fault-1";
    fault.drill_id = "q1-earlier";
    fault.store = "alpha";
    fault.kind = "kill";
    fault.state = "injected";
    ASSERT_TRUE(rig.journal().put_fault(fault));
    const env::ProcessId before = rig.process.id();
    Stores stores;
    add_store(stores, "alpha", {}, {"node-1"});
    const auto card = run(std::move(stores), quick(FaultKind::kKill), real(), within(2min));
    ASSERT_FALSE(card);
    EXPECT_EQ(card.error().code, ErrorCode::kGuardRefused);
    EXPECT_EQ(card.error().hint, "Run `aeterna-dr drill heal` first.");
    EXPECT_EQ(rig.process.id(), before);
    EXPECT_EQ(rig.unhealed(), 1U);
    EXPECT_EQ(log.prepared, 0);
}

}  // namespace
}  // namespace aeterna::stack::test
