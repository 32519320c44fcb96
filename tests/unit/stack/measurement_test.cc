// What cannot be read back is unknown, not lost and not passed.
#include "stack/measurement.h"

#include "rig.h"

namespace aeterna::stack::test {
namespace {

engine::StoreScore score_with(int failing_reads, FakeDrillStore::Log& log) {
    Rig rig;
    aeterna::testing::FakeClock clock;
    const env::Env env = with_clock(clock);
    FakeCluster cluster("alpha", rig.process, rig.journal(), {});
    EXPECT_EQ(cluster.write("", 7).outcome, engine::WriteOutcome::kOk);
    auto store = std::make_unique<FakeDrillStore>(cluster, log, std::vector<std::string>{"node-1"});
    store->failing_reads = failing_reads;
    auto measurement =
        Measurement::prepare(std::move(store), "q1-test", rig.directory.path(), env, clock.context());
    EXPECT_TRUE(measurement) << measurement.error().to_string();
    (*measurement)->mark_fault(clock.now(), clock.now(), clock.wall_now(), "node-1");
    return (*measurement)->score(rig.journal(), clock.context(2min));
}

TEST(Measurement, ReadBackThatFailsMakesTheVerdictUnknown) {
    FakeDrillStore::Log log;
    const engine::StoreScore score = score_with(1'000'000, log);
    EXPECT_FALSE(score.loss);
    EXPECT_FALSE(score.met());
    EXPECT_GT(log.read, 10) << "it has to be tried until the deadline";
    ASSERT_FALSE(score.notes.empty());
    EXPECT_EQ(score.notes.back(), "could not read back: nobody listens");
    engine::Scorecard card;
    card.stores = {score};
    EXPECT_EQ(card.verdict(), engine::Verdict::kUnknown);
    EXPECT_TRUE(to_json(card)["stores"]["alpha"]["lost"].is_null()) << "unknown must not look like none";
}

TEST(Measurement, ReadBackMayFailForAMoment) {
    FakeDrillStore::Log log;
    const engine::StoreScore score = score_with(3, log);
    EXPECT_EQ(log.read, 4);
    EXPECT_TRUE(score.loss);
    EXPECT_EQ(score.primary, "node-1");
}

TEST(Measurement, TakesTheAssistFromTheFailoverAfterTheFault) {
    Rig rig;
    aeterna::testing::FakeClock clock;
    const env::Env env = with_clock(clock);
    FakeCluster cluster("alpha", rig.process, rig.journal(), {});
    FakeDrillStore::Log log;
    auto store = std::make_unique<FakeDrillStore>(cluster, log, std::vector<std::string>{"node-1"});
    auto measurement = Measurement::prepare(std::move(store), "q1-test", rig.directory.path(), env, clock.context());
    ASSERT_TRUE(measurement) << measurement.error().to_string();
    const WallTime fault = clock.wall_now();
    (*measurement)->mark_fault(clock.now(), clock.now(), fault, "node-1");
    const auto execution = [&](const char* id, const char* of, Duration after, const char* outcome) {
        engine::ExecutionRecord record;
        record.id = id;
        record.store = of;
        record.started_at = fault + std::chrono::duration_cast<WallTime::duration>(after);
        record.facts = {{"assist", outcome}, {"assist_acted_at", format_time(record.started_at + 300ms)}};
        EXPECT_TRUE(rig.journal().put_execution(record));
    };
    execution("exec-1", "alpha", -5s, "off");
    execution("exec-2", "beta", 1s, "off");
    execution("exec-3", "alpha", 2s, "acted");
    execution("exec-4", "alpha", 20s, "not_needed");
    const engine::StoreScore score = (*measurement)->score(rig.journal(), clock.context(2min));
    ASSERT_TRUE(score.assist);
    EXPECT_EQ(score.assist->outcome, "acted");
    EXPECT_EQ(score.assist->acted_at_seconds, 2.3);
    const auto phase = std::find_if(score.phases.begin(), score.phases.end(),
                                    [](const engine::Phase& one) { return one.name == "assisted"; });
    ASSERT_NE(phase, score.phases.end());
    EXPECT_EQ(phase->at_seconds, 2.3);
}

// A machine so busy that the kill takes 7 s to take hold: writes go on meanwhile, and those are no recovery.
TEST(Scoring, WritesBeforeTheFaultHasTakenHoldAreNoRecovery) {
    Rig rig;
    FakeDrillStore::Log log;
    FakeCluster cluster("alpha", rig.process, rig.journal(), {});
    FakeDrillStore store(cluster, log, {"node-1"});
    engine::LedgerContent ledger;
    ledger.drill_id = "q1-test";
    ledger.paths = {{"client", engine::PathKind::kClient}, {"node-1", engine::PathKind::kDirect}};
    const auto write = [&](Duration at, engine::WriteOutcome outcome) {
        for (const std::uint32_t path : {0U, 1U}) {
            engine::LedgerEntry entry;
            entry.id = ledger.entries.size() + 1;
            entry.path = path;
            entry.sent = entry.intended = ledger.started + at;
            entry.done = entry.sent;
            entry.outcome = outcome;
            ledger.entries.push_back(entry);
        }
    };
    for (Duration at = 0s; at < 7s; at += 100ms) write(at, engine::WriteOutcome::kOk);
    for (Duration at = 7s; at < 20s; at += 100ms) write(at, engine::WriteOutcome::kFail);
    for (Duration at = 20s; at < 27s; at += 100ms) write(at, engine::WriteOutcome::kOk);
    const StoreFault fault{ledger.started, ledger.started + 7s, real().clock.wall_now(), "node-1", {}, {}};
    const auto score = score_store(store, ledger, fault, rig.journal(), real(), within(10s));
    ASSERT_TRUE(score.rto_seconds && score.client_rto_seconds);
    EXPECT_DOUBLE_EQ(*score.rto_seconds, 20) << "the drill would pass without having seen the outage";
    EXPECT_DOUBLE_EQ(*score.client_rto_seconds, 20);
    ASSERT_FALSE(score.notes.empty());
    EXPECT_EQ(score.notes.front(), "the injection took 7.0 s: outages may be shorter by as much");
}

}  // namespace
}  // namespace aeterna::stack::test
