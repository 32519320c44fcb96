// How far a failover may go: the table of the cooldown, and what it remembers.
#include "app/daemon/assist.h"

#include <gtest/gtest.h>

namespace aeterna::app {
namespace {

using config::Assist;
using namespace std::chrono_literals;

const WallTime kEnd = from_unix_us(1'772'359'200'000'000);  // 2026-03-01T10:00:00Z

AssistedFailure cured() { return {"exec-1", "postgres", "postgres.primary_down", "critical", "postgres-1", kEnd}; }

AssistQuestion again() {
    AssistQuestion question;
    question.store = "postgres";
    question.detector = "postgres.primary_down";
    question.severity = "critical";
    question.node = "postgres-1";
    question.by_file = Assist::kAct;
    question.cooldown = 10min;
    question.now = kEnd + 3min;
    return question;
}

TEST(DecideAssist, ACooldownHoldsBackTheSameFailureAndNothingWorse) {
    struct Row {
        const char* what;
        void (*change)(AssistQuestion&, AssistedFailure&);
        Assist expected;
    };
    const Row rows[] = {
        {"the same failure", [](auto&, auto&) {}, Assist::kPropose},
        {"at the very end of the execution", [](auto& q, auto&) { q.now = kEnd; }, Assist::kPropose},
        {"the last moment", [](auto& q, auto&) { q.now = kEnd + 10min - 1us; }, Assist::kPropose},
        {"after the cooldown", [](auto& q, auto&) { q.now = kEnd + 10min; }, Assist::kAct},
        {"no cooldown wanted", [](auto& q, auto&) { q.cooldown = 0s; }, Assist::kAct},
        {"the next primary died", [](auto& q, auto&) { q.node = "postgres-2"; }, Assist::kAct},
        {"nobody knows which node", [](auto& q, auto&) { q.node = ""; }, Assist::kAct},
        {"nobody knew which node", [](auto&, auto& p) { p.node = ""; }, Assist::kAct},
        {"neither is known", [](auto& q, auto& p) { q.node = p.node = ""; }, Assist::kAct},
        {"another detector", [](auto& q, auto&) { q.detector = "postgres.no_leader"; }, Assist::kAct},
        {"worse than before", [](auto&, auto& p) { p.severity = "degraded"; }, Assist::kAct},
        {"milder than before", [](auto& q, auto&) { q.severity = "degraded"; }, Assist::kPropose},
        {"another store", [](auto& q, auto&) { q.store = "redis"; }, Assist::kAct},
        {"a clock set back", [](auto& q, auto&) { q.now = kEnd - 1s; }, Assist::kAct},
        {"the file only proposes", [](auto& q, auto&) { q.by_file = Assist::kPropose; }, Assist::kPropose},
        {"the file says off", [](auto& q, auto&) { q.by_file = Assist::kOff; }, Assist::kOff},
        {"a drill runs", [](auto& q, auto&) { q.drill = "q1-1"; }, Assist::kAct},
        {"a drill says act", [](auto& q, auto&) { q.drill = "q1-1", q.by_drill = Assist::kAct; }, Assist::kAct},
        {"a drill says off", [](auto& q, auto&) { q.drill = "q1-1", q.by_drill = Assist::kOff; }, Assist::kOff},
    };
    for (const Row& row : rows) {
        AssistQuestion question = again();
        AssistedFailure past = cured();
        row.change(question, past);
        EXPECT_EQ(decide_assist(question, {past}).assist, row.expected) << row.what;
    }
    EXPECT_EQ(decide_assist(again(), {}).assist, Assist::kAct);
}

TEST(DecideAssist, RemembersEveryNodeOfTheLastMinutes) {
    AssistedFailure other = cured();
    other.execution = "exec-2";
    other.node = "postgres-2";
    other.ended_at = kEnd + 2min;
    EXPECT_EQ(decide_assist(again(), {cured(), other}).assist, Assist::kPropose) << "postgres-1, postgres-2, postgres-1";
}

TEST(DecideAssist, SaysWhyItIsNotTheStackFilesWord) {
    EXPECT_EQ(decide_assist(again(), {cured()}).note,
              "assist only proposes until 2026-03-01T10:10:00.000Z: exec-1 cured the same failure of postgres-1 at "
              "2026-03-01T10:00:00.000Z");
    AssistQuestion drilled = again();
    drilled.drill = "q1-1";
    drilled.by_drill = Assist::kOff;
    EXPECT_EQ(decide_assist(drilled, {}).note, "assist off by q1-1");
    drilled.by_drill = Assist::kAct;
    EXPECT_EQ(decide_assist(drilled, {}).note, "");
    EXPECT_EQ(decide_assist(again(), {}).note, "");
}

class AssistedFailureTest : public ::testing::Test {
  protected:
    AssistedFailureTest() {
        execution.id = "exec-1";
        execution.store = "postgres";
        execution.trigger = "incident:inc-1";
        execution.parameters = {{"old_primary", "postgres-1"}, {"assist", "act"}};
        execution.started_at = kEnd - 1min;
        execution.ended_at = kEnd;
        execution.facts = {{"assist", "acted"}};
        incidents = {{"inc-1", "postgres.primary_down", "postgres", "postgres-1", "critical", "open", "", {}, {}, {}}};
    }
    [[nodiscard]] auto ask() const { return assisted_failure(execution, incidents, drills); }

    engine::ExecutionRecord execution;
    std::vector<engine::IncidentSummary> incidents;
    std::vector<engine::DrillRecord> drills;
};

TEST_F(AssistedFailureTest, IsWhatTheIncidentWas) {
    const auto failure = ask();
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->detector, "postgres.primary_down");
    EXPECT_EQ(failure->severity, "critical");
    EXPECT_EQ(failure->node, "postgres-1");
    EXPECT_EQ(failure->ended_at, kEnd);
    execution.parameters.erase("old_primary");
    execution.facts["old_primary"] = "postgres-3";
    EXPECT_EQ(ask()->node, "postgres-3");
}

TEST_F(AssistedFailureTest, OnlyOfAnAssistThatActedByPolicy) {
    execution.facts["assist"] = "refused";
    EXPECT_FALSE(ask());
    execution.facts["assist"] = "acted";
    execution.trigger = "cli";
    EXPECT_FALSE(ask());
    execution.trigger = "incident:inc-2";
    EXPECT_FALSE(ask()) << "an incident that nobody knows";
    execution.trigger = "incident:inc-1";
    execution.ended_at.reset();
    EXPECT_FALSE(ask());
}

TEST_F(AssistedFailureTest, NotOfADrill) {
    engine::DrillRecord drill;
    drill.started_at = kEnd - 2min;
    drill.ended_at = kEnd - 1min - 1s;
    drills = {drill};
    EXPECT_TRUE(ask()) << "over before";
    drills[0].ended_at = kEnd;
    EXPECT_FALSE(ask());
    drills[0].ended_at.reset();
    EXPECT_FALSE(ask()) << "it runs";
    drills[0].started_at = kEnd;
    EXPECT_TRUE(ask()) << "begun after";
}

}  // namespace
}  // namespace aeterna::app
