// The arithmetic of RTO and RPO on hand-made ledgers.
#include "engine/drill/scorecard.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "ledger_builder.h"

namespace aeterna::engine::test {
namespace {

constexpr auto kOk = WriteOutcome::kOk;
constexpr auto kFail = WriteOutcome::kFail;
constexpr auto kUnknown = WriteOutcome::kUnknown;

TEST(StableSpan, IsTheFirstAcknowledgementOfTheFirstUnbrokenFiveSeconds) {
    LedgerBuilder ledger;
    ledger.span(1, 0, 1000, 100, kOk);       // before the fault at 1 s
    ledger.span(1, 1000, 9000, 100, kFail);  // the old primary refuses
    ledger.span(2, 9000, 11000, 100, kOk);   // a false start of 2 s …
    ledger.span(2, 12000, 20000, 100, kOk);  // … then a gap of 1 s, then steady
    const auto span = find_stable_span(ledger.content(), PathKind::kDirect, at_ms(1000));
    ASSERT_TRUE(span.has_value());
    EXPECT_EQ(span->first, at_ms(12000));
    EXPECT_EQ(span->stable, at_ms(17000));
}

TEST(StableSpan, AReplicasRefusalBreaksOnlyTheClientsPath) {
    LedgerBuilder direct, client;
    direct.span(2, 1000, 8000, 100, kOk);
    direct.span(1, 1050, 8000, 100, kFail);
    EXPECT_EQ(find_stable_span(direct.content(), PathKind::kDirect, at_ms(1000))->first, at_ms(1000));
    client.span(0, 1000, 4000, 100, kOk);
    client.add(0, 4050, kUnknown);
    client.span(0, 4100, 10000, 100, kOk);
    EXPECT_EQ(find_stable_span(client.content(), PathKind::kClient, at_ms(1000))->first, at_ms(4100));
}

TEST(StableSpan, AnOutageThatNeverEndsGivesNothing) {
    LedgerBuilder ledger;
    ledger.span(0, 0, 1000, 100, kOk);
    ledger.span(0, 1000, 9000, 100, kFail);
    ledger.span(0, 9000, 13900, 100, kOk);  // 4.8 s are not 5 s
    EXPECT_FALSE(find_stable_span(ledger.content(), PathKind::kClient, at_ms(1000)).has_value());
}

TEST(ComputeLoss, CountsAcknowledgedAndAbsentOnly) {
    LedgerBuilder ledger;
    std::vector<std::uint64_t> present = {ledger.add(0, 100, kOk)};
    const auto lost_early = ledger.add(0, 400, kOk);
    const auto lost_late = ledger.add(0, 900, kOk);
    ledger.add(0, 950, kFail);
    present.push_back(ledger.add(0, 960, kUnknown));
    ledger.add(0, 970, kUnknown);
    ledger.content().entries.back().done.reset();  // the drill died before the outcome
    const Loss loss = compute_loss(ledger.content(), present, at_ms(1000));
    EXPECT_EQ(loss.acknowledged, 3U);
    EXPECT_EQ(loss.lost, (std::vector<std::uint64_t>{lost_early, lost_late}));
    EXPECT_EQ(loss.unknown, 2U);
    EXPECT_EQ(loss.unknown_present, 1U);
    EXPECT_EQ(loss.unexpected, 0U);
    EXPECT_DOUBLE_EQ(loss.rpo_seconds, 0.6);
}

TEST(ComputeLoss, RpoIsTheLongerOfBeforeAndAfterTheFault) {
    LedgerBuilder ledger;
    ledger.add(0, 900, kOk);    // 0.1 s before the fault
    ledger.add(1, 20000, kOk);  // a returned primary acknowledged for 9.5 s, all lost
    ledger.add(1, 29500, kOk);
    const Loss loss = compute_loss(ledger.content(), {}, at_ms(1000));
    EXPECT_EQ(loss.lost_before, 1U);
    EXPECT_EQ(loss.lost_after, 2U);
    EXPECT_DOUBLE_EQ(loss.rpo_seconds, 9.5);
}

TEST(ComputeLoss, ARefusedWriteThatIsThereMakesTheVerdictUnknown) {
    LedgerBuilder ledger;
    ledger.add(0, 10, kOk);
    const auto ghost = ledger.add(0, 20, kFail);
    StoreScore score;
    score.objectives = {300s, 300s};
    score.rto_seconds = score.client_rto_seconds = 1.0;
    score.loss = compute_loss(ledger.content(), {ledger.content().entries[0].id, ghost}, at_ms(1000));
    EXPECT_EQ(score.loss->unexpected, 1U);
    EXPECT_EQ(score.met(), std::nullopt);
}

Scorecard card(std::optional<double> rto, std::optional<double> client_rto, bool read_back) {
    Scorecard result;
    result.objectives = {900s, 300s};
    StoreScore score;
    score.store = "redis";
    score.faulted = true;
    score.objectives = {120s, 300s};
    score.rto_seconds = rto;
    score.client_rto_seconds = client_rto;
    if (read_back) {
        score.loss = Loss{};
        score.loss->acknowledged = 10;
    }
    result.stores.push_back(score);
    return result;
}

TEST(Verdict, TakesTheLargerOutageAndKnowsUnknown) {
    EXPECT_EQ(card(30, 33, true).verdict(), Verdict::kPass);
    EXPECT_EQ(card(30, 121, true).verdict(), Verdict::kFail);
    EXPECT_EQ(card(30, std::nullopt, true).verdict(), Verdict::kFail);
    EXPECT_EQ(card(30, 33, false).verdict(), Verdict::kUnknown);
    EXPECT_EQ(Scorecard{}.verdict(), Verdict::kUnknown);
    EXPECT_DOUBLE_EQ(card(30, 33, true).overall_rto_seconds().value(), 33);
}

TEST(Steady, NeedsAcknowledgementsWithoutAGap) {
    LedgerBuilder ledger;
    ledger.span(0, 0, 3000, 100, kOk);
    EXPECT_TRUE(is_steady(ledger.content(), at_ms(3000), 2s));
    EXPECT_FALSE(is_steady(ledger.content(), at_ms(3700), 2s));
    EXPECT_FALSE(is_steady(LedgerBuilder().content(), at_ms(3000), 2s));
    ledger.add(0, 3000, kFail);
    EXPECT_FALSE(is_steady(ledger.content(), at_ms(3050), 2s));
}

TEST(FirstFailure, LooksAtTheClientAndTheOldPrimaryOnly) {
    LedgerBuilder ledger;
    ledger.add(2, 1010, kFail);  // a replica always refuses
    ledger.add(1, 1030, kFail);
    ledger.add(0, 1050, kUnknown);
    EXPECT_EQ(find_first_failure(ledger.content(), at_ms(1000), "node-1"), at_ms(1030));
    EXPECT_EQ(find_first_failure(ledger.content(), at_ms(1040), "node-1"), at_ms(1050));
}

TEST(FindWrite, IsTheOneWhoseOutcomeWasKnownThen) {
    LedgerBuilder ledger;
    ledger.add(0, 1030, kFail);
    ledger.add(1, 1050, kOk);
    const LedgerContent content = ledger.content();
    EXPECT_EQ(find_write(content, at_ms(1050)), content.entries[1].id);
    EXPECT_EQ(find_write(content, at_ms(1040)), std::nullopt);
}

TEST(ScorecardJson, HasTheContractsMembers) {
    Scorecard one = card(30, 33, true);
    one.stores[0].phases = {{"detected", "redis", 0.9}, {"first_success", "redis", 2.5, 17}};
    const Json json = to_json(one);
    EXPECT_FALSE(json["phases"][0].contains("write"));
    EXPECT_EQ(json["phases"][1]["write"], 17);
    for (const char* key : {"drill", "seed", "fault", "assist", "started_at", "verdict", "overall", "stores", "phases",
                            "repeats", "post_mortem"}) {
        EXPECT_TRUE(json.contains(key)) << key;
    }
    for (const char* key :
         {"rto_seconds", "client_rto_seconds", "rpo_seconds", "detect_seconds", "acknowledged", "lost", "unknown",
          "objective_rto_seconds", "objective_rpo_seconds", "met", "server"}) {
        EXPECT_TRUE(json["stores"]["redis"].contains(key)) << key;
    }
    EXPECT_EQ(json["phases"][0]["name"], "detected");
    const Json many = to_json(std::vector<Scorecard>{card(10, 11, true), card(30, 33, true), card(20, 21, true)});
    EXPECT_EQ(many["repeats"].size(), 3U);
    EXPECT_EQ(many["overall"]["rto_seconds"], 33);
    EXPECT_EQ(many["summary"]["stores"]["redis"]["rto_seconds"]["median"], 20);
    EXPECT_EQ(many["summary"]["passes"], 3);
}

}  // namespace
}  // namespace aeterna::engine::test
