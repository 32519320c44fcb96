#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/fake_env.h"
#include "engine/detect/hysteresis.h"
#include "engine/detect/incident_book.h"
#include "engine/detect/isolation.h"

namespace aeterna::engine {
namespace {

using ::testing::IsEmpty;

constexpr auto kClear = FindingState::kClear;
constexpr auto kSuspect = FindingState::kSuspect;
constexpr auto kFiring = FindingState::kFiring;
constexpr auto kUnknown = FindingState::kUnknown;

// One character per second: '1' true, '0' false, '?' unknown, '!' true with strong evidence, 'r' restart.
// Fires after 2 s, clears after 3 s. Gives c, s, f, u per character.
std::string play(const std::string& input) {
    Hysteresis hysteresis({std::chrono::seconds(2), std::chrono::seconds(3)});
    MonoTime now{};
    std::string states;
    for (const char c : input) {
        now += std::chrono::seconds(1);
        if (c == 'r') hysteresis.restart();
        if (c == '!') hysteresis.update_strong(true, now);
        if (c == '1' || c == '0') hysteresis.update(c == '1', now);
        if (c == '?') hysteresis.update(std::nullopt, now);
        states += "csfu"[static_cast<int>(hysteresis.state())];
    }
    return states;
}

TEST(Hysteresis, Table) {
    static_assert(static_cast<int>(kClear) == 0 && static_cast<int>(kUnknown) == 3);
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"000", "ccc"},
        {"111", "ssf"},
        {"110110", "sscssc"},          // a break starts anew
        {"1110000", "ssffffc"},        // clears late
        {"11100100010", "ssfffffffff"},  // a break in the clearing starts it anew
        {"???", "uuu"},
        {"?0", "uc"},
        {"1?11", "suss"},              // unknown breaks the suspicion
        {"111?000", "ssfffff"},        // unknown holds firing, and breaks the clearing
        {"111?0000", "ssfffffc"},
        {"!0000", "ffffc"},
        {"1!", "sf"},
        {"11r11", "ssuss"},            // a stall forgets the suspicion
        {"111r00", "ssffff"},
        {"110r00", "sscccc"},
    };
    for (const auto& [input, expected] : cases) {
        EXPECT_EQ(play(input), expected) << input;
    }
}

Reach vantage(const std::string& host, bool tried, bool answered) { return {host + " REST", host, answered, tried}; }

struct IsolationCase {
    const char* what;
    std::vector<Reach> reach;
    bool isolated;
};

TEST(Isolation, Table) {
    const std::vector<IsolationCase> cases = {
        {"nothing is watched", {}, false},
        {"nothing was tried yet", {vantage("a", false, false), vantage("b", false, false)}, false},
        {"two hosts silent", {vantage("a", true, false), vantage("b", true, false)}, true},
        {"one of them answers", {vantage("a", true, false), vantage("b", true, true)}, false},
        {"only one of two hosts was tried", {vantage("a", true, false), vantage("a", true, false), vantage("b", false, false)}, false},
        {"one host, two vantages", {vantage("a", true, false), vantage("a", true, false)}, true},
        {"one host, one vantage", {vantage("a", true, false)}, false},
    };
    for (const IsolationCase& c : cases) {
        IsolationGuard guard({2, std::chrono::seconds(2)});
        MonoTime now{};
        EXPECT_FALSE(guard.judge(c.reach, now).isolated) << c.what << ": one round is not enough";
        EXPECT_EQ(guard.judge(c.reach, now + 200ms).isolated, c.isolated) << c.what;
    }
}

TEST(Isolation, OneAnswerEndsItAtOnce) {
    IsolationGuard guard;
    const std::vector<Reach> silent = {vantage("a", true, false), vantage("b", true, false)};
    MonoTime now{};
    for (int i = 0; i < 5; ++i) static_cast<void>(guard.judge(silent, now += 100ms));
    EXPECT_TRUE(guard.judge(silent, now += 100ms).isolated);
    EXPECT_FALSE(guard.judge({vantage("a", true, true), vantage("b", true, false)}, now += 100ms).isolated);
    EXPECT_FALSE(guard.judge(silent, now += 100ms).isolated);
}

TEST(Isolation, AStallIsSeenOnceAndVoidsEarlierSilence) {
    IsolationGuard guard;
    const std::vector<Reach> silent = {vantage("a", true, false), vantage("b", true, false)};
    MonoTime now{};
    EXPECT_FALSE(guard.judge(silent, now).stalled);
    EXPECT_FALSE(guard.judge(silent, now += 2s).stalled);
    const IsolationGuard::Verdict woken = guard.judge(silent, now += 2001ms);
    EXPECT_TRUE(woken.stalled);
    EXPECT_FALSE(woken.isolated);
    EXPECT_FALSE(guard.judge(silent, now += 100ms).stalled);
}

TEST(Isolation, ItsEndVoidsTheSilenceThatWasOurs) {
    IsolationGuard guard;
    const std::vector<Reach> silent = {vantage("a", true, false), vantage("b", true, false)};
    const std::vector<Reach> half = {vantage("a", true, true), vantage("b", true, false)};
    MonoTime now{};
    EXPECT_FALSE(guard.judge(half, now).stalled);
    for (int i = 0; i < 3; ++i) EXPECT_FALSE(guard.judge(silent, now += 150ms).stalled);
    const IsolationGuard::Verdict back = guard.judge(half, now += 150ms);
    EXPECT_FALSE(back.isolated);
    EXPECT_TRUE(back.stalled);
    EXPECT_FALSE(guard.judge(half, now += 150ms).stalled) << "once";
}

class IncidentBookTest : public ::testing::Test {
  protected:
    static Finding finding(FindingState state, std::string summary = "down", Severity severity = Severity::kCritical) {
        return {"redis.primary_down", "redis", "redis-1", severity, state, std::move(summary), {"r1"}, {}};
    }
    ::aeterna::testing::FakeRandom random;
    IncidentBook book{random};
    WallTime now{std::chrono::seconds(1772359200)};
};

TEST_F(IncidentBookTest, OpensOnceAndCloses) {
    EXPECT_THAT(book.update({finding(kSuspect), finding(kUnknown), finding(kClear)}, now), IsEmpty());
    const auto opened = book.update({finding(kFiring)}, now);
    ASSERT_EQ(opened.size(), 1u);
    EXPECT_EQ(opened[0].kind, IncidentChange::Kind::kOpened);
    EXPECT_EQ(opened[0].incident.id, "inc-20260301T100000Z-0001");
    EXPECT_EQ(opened[0].incident.severity, "critical");
    EXPECT_EQ(opened[0].incident.opened_at, now);
    for (const FindingState state : {kFiring, kSuspect, kUnknown}) {
        EXPECT_THAT(book.update({finding(state)}, now + 1s), IsEmpty());
    }
    EXPECT_THAT(book.update({}, now + 1s), IsEmpty());
    EXPECT_EQ(book.open().size(), 1u);
    const auto closed = book.update({finding(kClear)}, now + 9s);
    ASSERT_EQ(closed.size(), 1u);
    EXPECT_EQ(closed[0].kind, IncidentChange::Kind::kClosed);
    EXPECT_EQ(closed[0].incident.id, opened[0].incident.id);
    EXPECT_EQ(closed[0].incident.state, "closed");
    EXPECT_EQ(closed[0].incident.closed_at, now + 9s);
    EXPECT_THAT(book.open(), IsEmpty());
    EXPECT_NE(book.update({finding(kFiring)}, now + 10s)[0].incident.id, opened[0].incident.id);
}

TEST_F(IncidentBookTest, KeepsSubjectsApart) {
    Finding other = finding(kFiring);
    other.subject = "redis-2";
    EXPECT_EQ(book.update({finding(kFiring), other}, now).size(), 2u);
    EXPECT_EQ(book.update({finding(kClear), other}, now).size(), 1u);
    EXPECT_EQ(book.open()[0].subject, "redis-2");
}

TEST_F(IncidentBookTest, NewWordsWaitANewSeverityDoesNot) {
    static_cast<void>(book.update({finding(kFiring, "lag 1")}, now));
    EXPECT_THAT(book.update({finding(kFiring, "lag 2")}, now + 1s), IsEmpty());
    const auto worse = book.update({finding(kFiring, "lag 3", Severity::kDegraded)}, now + 2s);
    ASSERT_EQ(worse.size(), 1u);
    EXPECT_EQ(worse[0].kind, IncidentChange::Kind::kUpdated);
    EXPECT_EQ(worse[0].incident.severity, "degraded");
    EXPECT_EQ(worse[0].incident.summary, "lag 3");
    EXPECT_EQ(worse[0].incident.opened_at, now);
    EXPECT_THAT(book.update({finding(kFiring, "lag 4", Severity::kDegraded)}, now + 6s), IsEmpty());
    EXPECT_EQ(book.update({finding(kFiring, "lag 4", Severity::kDegraded)}, now + 7s).size(), 1u);
}

TEST_F(IncidentBookTest, GoesOnAfterARestart) {
    const IncidentSummary open = book.update({finding(kFiring)}, now)[0].incident;
    IncidentSummary older = open, done = open;
    older.id = "inc-older";
    done.id = "inc-done";
    done.subject = "redis-9";
    done.closed_at = now;
    IncidentBook next(random);
    const auto changes = next.restore({open, older, done}, now + 60s);
    ASSERT_EQ(changes.size(), 1u);
    EXPECT_EQ(changes[0].incident.id, "inc-older");
    EXPECT_EQ(changes[0].incident.state, "closed");
    EXPECT_THAT(next.update({finding(kUnknown)}, now + 60s), IsEmpty());
    EXPECT_THAT(next.update({finding(kFiring)}, now + 61s), IsEmpty());
    EXPECT_EQ(next.update({finding(kClear)}, now + 62s)[0].incident.id, open.id);
}

TEST_F(IncidentBookTest, IsClosedByHandOnceNothingFiresAnyMore) {
    const std::string id = book.update({finding(kFiring)}, now)[0].incident.id;
    EXPECT_EQ(book.close("inc-none", {}, now).error().code, ErrorCode::kNotFound);
    const auto refused = book.close(id, {finding(kFiring)}, now);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kGuardRefused);
    EXPECT_EQ(book.open().size(), 1u);
    // Its detector is blind, or its node is not in the stack file any more.
    Finding other = finding(kFiring);
    other.subject = "redis-2";
    const auto closed = book.close(id, {finding(kUnknown), other}, now + 1s);
    ASSERT_TRUE(closed);
    EXPECT_EQ(closed->kind, IncidentChange::Kind::kClosed);
    EXPECT_EQ(closed->incident.closed_at, now + 1s);
    EXPECT_EQ(book.close(id, {}, now).error().code, ErrorCode::kNotFound);
    EXPECT_EQ(book.update({finding(kFiring)}, now + 2s)[0].kind, IncidentChange::Kind::kOpened);
}

TEST_F(IncidentBookTest, AnAcknowledgementStaysWithTheIncident) {
    const std::string id = book.update({finding(kFiring)}, now)[0].incident.id;
    EXPECT_FALSE(book.acknowledge("inc-none", "ann", now));
    const auto known = book.acknowledge(id, "ann", now + 1s);
    ASSERT_TRUE(known);
    EXPECT_EQ(known->kind, IncidentChange::Kind::kUpdated);
    const auto worse = book.update({finding(kFiring, "worse", Severity::kDegraded)}, now + 2s);
    ASSERT_EQ(worse.size(), 1u);
    EXPECT_EQ(worse[0].incident.acknowledged_by, "ann");
    EXPECT_EQ(worse[0].incident.acknowledged_at, now + 1s);
    EXPECT_EQ(to_json(worse[0].incident)["acknowledged_by"], "ann");
    EXPECT_EQ(book.update({finding(kClear)}, now + 3s)[0].incident.acknowledged_by, "ann");
}

}  // namespace
}  // namespace aeterna::engine
