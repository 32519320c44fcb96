// What a killed drill leaves, and that it is healed, measured, removed and closed by whoever comes
// next. The drill is "killed" by dropping everything it had in memory: what is left is the journal,
// the ledger files and the stores.
#include "stack/dead_drills.h"

#include "engine/drill/fault.h"
#include "engine/drill/ledger.h"
#include "rig.h"

namespace aeterna::stack::test {
namespace {

using engine::FaultKind;

class DeadDrills : public ::testing::Test {
  protected:
    // A drill with one acknowledged write every 100 ms for a second; then, if wanted, its fault;
    // then its death.
    void die(const std::string& state, bool breaks) {
        engine::DrillRecord record;
        record.id = kId;
        record.drill = "q1";
        record.state = state;
        record.started_at = real().clock.wall_now();
        record.parameters = {{"fault", "pause"}, {"seed", 7}};
        ASSERT_TRUE(rig.journal().put_drill(record));
        ASSERT_TRUE(real().files.make_directories(rig.directory.file("drills/" + kId)));
        auto ledger =
            engine::Ledger::create(rig.directory.file("drills/" + kId + "/alpha.ledger"), kId,
                                   "alpha", {{"client", engine::PathKind::kClient}}, real());
        ASSERT_TRUE(ledger) << ledger.error().to_string();
        const MonoTime start = real().clock.now();
        for (std::uint64_t id = 1; id <= 10; ++id) {
            ASSERT_TRUE((*ledger)->intend(id, 0, start + id * 100ms, start + id * 100ms));
            ASSERT_TRUE((*ledger)->settle(id, start + id * 100ms, cluster.write("", id)));
        }
        if (breaks) break_it();
        // Sent, never answered.
        ASSERT_TRUE((*ledger)->intend(11, 0, start + 1500ms, start + 1500ms));
    }
    void break_it() {
        engine::FaultInjector injector(rig.stack, rig.journal(), real());
        auto fault = injector.prepare(kId, "alpha", FaultKind::kPause,
                                      {"node-1", {"node-1"}, {"node-1"}}, within(5s));
        ASSERT_TRUE(fault) << fault.error().to_string();
        const WallTime at = real().clock.wall_now();
        ASSERT_TRUE(injector.inject(*fault, within(5s)));
        ASSERT_TRUE(rig.journal().append_event({at, "alpha", "fault.injected", "node-1", "pause"}));
    }
    Result<Aftermath> end(const env::Context& context = within(20s)) {
        const DeadDrillParts parts{rig.stack, rig.journal(), [this] { return stores(); },
                                   [](const std::string&) {}, real()};
        return end_dead_drills(parts, context);
    }
    std::vector<std::unique_ptr<engine::DrillStore>> stores() {
        std::vector<std::unique_ptr<engine::DrillStore>> all;
        all.push_back(
            std::make_unique<FakeDrillStore>(cluster, log, std::vector<std::string>{"node-1"}));
        return all;
    }
    engine::DrillRecord record() { return rig.journal().drill(kId).value().value(); }

    const std::string kId = "q1-20260301T100000Z-dead";
    Rig rig;
    FakeDrillStore::Log log;
    FakeCluster cluster{"alpha", rig.process, rig.journal(), {}};
};

TEST_F(DeadDrills, IsHealedMeasuredRemovedAndClosed) {
    die("running", /*breaks=*/true);
    ASSERT_TRUE(env::testing::eventually([&] { return !rig.process.is_running(); }));
    const auto done = end();
    ASSERT_TRUE(done) << done.error().to_string();
    EXPECT_EQ(done->healed, 1U);
    EXPECT_EQ(done->closed, std::vector<std::string>{kId});
    EXPECT_TRUE(env::testing::eventually([&] { return rig.process.is_running(); }));
    EXPECT_EQ(rig.unhealed(), 0U);
    EXPECT_EQ(log.cleaned, 1);
    EXPECT_EQ(record().state, "aborted");
    EXPECT_TRUE(record().ended_at);
    const Json card = record().scorecard;
    EXPECT_EQ(card["verdict"], "unknown");
    EXPECT_EQ(card["cut_short"], true);
    EXPECT_EQ(card["healed"], true);
    EXPECT_EQ(card["seed"], 7);
    EXPECT_EQ(card["fault"], "pause");
    const Json& score = card["stores"]["alpha"];
    EXPECT_EQ(score["acknowledged"], 10);
    EXPECT_EQ(score["lost"], 0);
    EXPECT_EQ(score["unknown"], 1);
    EXPECT_EQ(score["primary"], "node-1");
    EXPECT_TRUE(score["met"].is_null()) << "a drill that did not end proves nothing";
    EXPECT_EQ(score["notes"][0].get<std::string>().rfind("the drill died ", 0), 0U)
        << score["notes"].dump();
}

TEST_F(DeadDrills, TwiceEqualsOnce) {
    die("running", /*breaks=*/true);
    ASSERT_TRUE(end());
    const Json card = record().scorecard;
    const auto again = end();
    ASSERT_TRUE(again);
    EXPECT_EQ(again->healed, 0U);
    EXPECT_TRUE(again->closed.empty());
    EXPECT_EQ(record().scorecard, card);
    EXPECT_EQ(log.cleaned, 1);
}

TEST_F(DeadDrills, OneThatBrokeNothingSaysSo) {
    die("running", /*breaks=*/false);
    ASSERT_TRUE(end());
    EXPECT_EQ(record().state, "aborted");
    const Json score = record().scorecard["stores"]["alpha"];
    EXPECT_EQ(score["faulted"], false);
    EXPECT_EQ(score["acknowledged"], 10);
    EXPECT_TRUE(score["rto_seconds"].is_null());
    EXPECT_EQ(score["notes"], Json({"the drill died before it broke anything here"}));
}

TEST_F(DeadDrills, WhatWasRemovedIsNeverTakenForLost) {
    die("running", /*breaks=*/true);
    log.failing_cleans = 1;
    const auto done = end();
    ASSERT_TRUE(done);
    EXPECT_TRUE(done->left) << "something is left, so it is not done";
    EXPECT_TRUE(done->closed.empty());
    EXPECT_EQ(record().state, "ending");
    EXPECT_FALSE(record().ended_at);
    const int reads = log.read;
    const auto again = end();
    ASSERT_TRUE(again) << again.error().to_string();
    EXPECT_FALSE(again->left);
    EXPECT_EQ(again->closed, std::vector<std::string>{kId});
    EXPECT_EQ(log.read, reads) << "scored a second time, over what may be gone";
    EXPECT_EQ(record().state, "aborted");
    EXPECT_EQ(record().scorecard["stores"]["alpha"]["lost"], 0);
}

TEST_F(DeadDrills, OneThatWasMeasuredToItsEndIsFinished) {
    die("ending", /*breaks=*/false);
    engine::DrillRecord measured = record();
    measured.scorecard = {{"verdict", "pass"}, {"cut_short", false}};
    ASSERT_TRUE(rig.journal().put_drill(measured));
    ASSERT_TRUE(end());
    EXPECT_EQ(record().state, "finished");
    EXPECT_EQ(record().scorecard["verdict"], "pass");
    EXPECT_EQ(log.read, 0);
    EXPECT_EQ(log.cleaned, 1);
}

TEST_F(DeadDrills, WithoutALedgerNothingIsMeasured) {
    die("running", /*breaks=*/true);
    ASSERT_TRUE(real().files.remove(rig.directory.file("drills/" + kId + "/alpha.ledger")));
    ASSERT_TRUE(end());
    EXPECT_EQ(record().state, "aborted");
    EXPECT_EQ(record().scorecard["verdict"], "unknown");
    EXPECT_TRUE(record().scorecard["stores"]["alpha"]["lost"].is_null());
    EXPECT_EQ(log.cleaned, 1);
}

TEST_F(DeadDrills, AStopWhileMeasuringLeavesItForTheNext) {
    die("running", /*breaks=*/true);
    std::stop_source stop;
    stop.request_stop();
    const auto done = end(within(20s, stop.get_token()));
    EXPECT_TRUE(!done || done->left);
    EXPECT_EQ(record().state, "running");
    EXPECT_EQ(log.cleaned, 0);
    ASSERT_TRUE(end());
    EXPECT_EQ(record().state, "aborted");
}

}  // namespace
}  // namespace aeterna::stack::test
