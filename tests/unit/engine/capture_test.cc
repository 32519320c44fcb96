// What a capture means for its store.
#include <gtest/gtest.h>

#include "engine/capture/exposure_judge.h"

namespace aeterna::engine {
namespace {

using namespace std::chrono_literals;

CaptureFacts calm() {
    CaptureFacts facts;
    facts.store = "postgres";
    facts.objective = 5min;
    facts.is_streaming = true;
    facts.rpo_now = 2s;
    facts.wanted_for = 1h;
    return facts;
}

TEST(CaptureJudge, CalmIsRunning) {
    const CaptureJudgement judgement = judge_capture(calm());
    EXPECT_EQ(judgement.word, "running");
    EXPECT_EQ(judgement.finding.state, FindingState::kClear);
    EXPECT_EQ(judgement.finding.detector, "postgres.rpo_exceeded");
    StoreStatus status;
    status.health = Health::kOk;
    apply(calm(), judgement, status);
    EXPECT_EQ(status.health, Health::kOk);
    EXPECT_EQ(status.capture, "running");
    EXPECT_EQ(status.rpo_now_seconds, 2.0);
    EXPECT_TRUE(status.reasons.empty());
}

TEST(CaptureJudge, AboveTheObjectiveDegradesAndFires) {
    CaptureFacts facts = calm();
    facts.rpo_now = 5min;
    EXPECT_EQ(judge_capture(facts).word, "running") << "just met";
    facts.rpo_now = 5min + 1s;
    facts.behind_bytes = 77;
    const CaptureJudgement judgement = judge_capture(facts);
    EXPECT_EQ(judgement.word, "behind");
    EXPECT_EQ(judgement.finding.state, FindingState::kFiring);
    StoreStatus status;
    status.health = Health::kOk;
    apply(facts, judgement, status);
    EXPECT_EQ(status.health, Health::kDegraded);
    ASSERT_EQ(status.reasons.size(), 2U);
    EXPECT_NE(status.reasons[1].find("77 bytes"), std::string::npos);
    status.health = Health::kDown;
    apply(facts, judgement, status);
    EXPECT_EQ(status.health, Health::kDown) << "never better than it was";
}

TEST(CaptureJudge, StoppedIsJudgedByWhatIsExposed) {
    CaptureFacts facts = calm();
    facts.is_streaming = false;
    facts.trouble = "no primary is found";
    EXPECT_EQ(judge_capture(facts).word, "stopped");
    EXPECT_EQ(judge_capture(facts).finding.state, FindingState::kClear);
    facts.rpo_now = 6min;
    EXPECT_EQ(judge_capture(facts).word, "stopped");
    EXPECT_EQ(judge_capture(facts).finding.reasons, std::vector<std::string>{"capture: no primary is found"});
}

TEST(CaptureJudge, WhatWasNeverKnownCountsFromTheBeginning) {
    CaptureFacts facts = calm();
    facts.is_streaming = false;
    facts.rpo_now.reset();
    facts.wanted_for = 4min;
    EXPECT_EQ(judge_capture(facts).finding.state, FindingState::kClear);
    facts.wanted_for = 6min;
    const CaptureJudgement judgement = judge_capture(facts);
    EXPECT_EQ(judgement.finding.state, FindingState::kFiring);
    StoreStatus status;
    apply(facts, judgement, status);
    EXPECT_FALSE(status.rpo_now_seconds) << "unknown is not a number";
    facts.is_blind = true;
    EXPECT_EQ(judge_capture(facts).finding.state, FindingState::kUnknown);
}

TEST(CaptureJudge, AHoleFiresOnceAndIsNeverClear) {
    const std::vector<CaptureEvent> events = {{"capture.slot_dropped", "postgres-1", "it held 17 GiB"},
                                              {std::string(kCaptureHole), "postgres-1", "from 0/1 to 0/2"}};
    const Finding hole = judge_holes(calm(), events);
    EXPECT_EQ(hole.detector, "postgres.capture_hole");
    EXPECT_EQ(hole.state, FindingState::kFiring);
    EXPECT_EQ(hole.reasons, std::vector<std::string>{"capture: from 0/1 to 0/2"});
    EXPECT_EQ(judge_holes(calm(), {events[0]}).state, FindingState::kUnknown);
    EXPECT_EQ(judge_holes(calm(), {}).state, FindingState::kUnknown);
    CaptureFacts facts = calm();
    facts.has_hole = true;
    EXPECT_EQ(judge_holes(facts, {}).state, FindingState::kUnknown) << "a person may close it";
    facts.has_hole = false;
    EXPECT_EQ(judge_holes(facts, {}).state, FindingState::kClear);
    EXPECT_EQ(judge_holes(facts, events).state, FindingState::kFiring);
}

TEST(CaptureRefusal, IsAnIncidentAtOnceAndEndsWithIt) {
    CaptureFacts facts = calm();
    EXPECT_EQ(judge_refusal(facts).state, FindingState::kClear);
    facts.is_refused = true;
    facts.trouble = "'n' has other WAL";
    const Finding refused = judge_refusal(facts);
    EXPECT_EQ(refused.state, FindingState::kFiring);
    EXPECT_EQ(refused.detector, facts.store + ".capture_refused");
    EXPECT_EQ(refused.reasons, std::vector<std::string>{"capture: 'n' has other WAL"});
    facts.is_refused = false;
    facts.is_blind = true;
    EXPECT_EQ(judge_refusal(facts).state, FindingState::kUnknown);
}

}  // namespace
}  // namespace aeterna::engine
