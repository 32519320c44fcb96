#include "repository/storage/retrying.h"

#include <gtest/gtest.h>

#include "unit/support/fake_env.h"

namespace aeterna::repository {
namespace {

using aeterna::testing::FakeClock;

// Answers from a list; then with success.
class ScriptedChannel final : public S3Channel {
  public:
    std::vector<Result<env::HttpResponse>> answers;
    std::vector<Duration> given_time;
    const FakeClock* clock = nullptr;
    std::size_t sent = 0;

    Result<env::HttpResponse> send(S3Request&, const env::Context& context) override {
        given_time.push_back(context.deadline - clock->now());
        if (sent < answers.size()) return answers[sent++];
        ++sent;
        return env::HttpResponse{200, {}, ""};
    }
};

// The largest value: every jittered wait is as long as it can be.
class LargestRandom final : public env::Random {
  public:
    std::uint64_t next() override { return value; }
    std::uint64_t value = 0;
};

class RetryingTest : public ::testing::Test {
  protected:
    RetryingTest() { renew(); }
    void renew() {
        next = std::make_unique<ScriptedChannel>();
        inner = next.get();
        inner->clock = &clock;
    }
    RetryingChannel make(RetryPolicy policy = {}) { return {std::move(next), clock, random, policy}; }
    static env::HttpResponse status(int code, const std::string& error = "") {
        return {code, {}, error.empty() ? "" : "<Error><Code>" + error + "</Code></Error>"};
    }
    static Error lost(Effect effect = Effect::kNone) {
        return make_error(ErrorCode::kConnectionLost, "reset", "", effect);
    }

    FakeClock clock;
    LargestRandom random;
    std::unique_ptr<ScriptedChannel> next;
    ScriptedChannel* inner = nullptr;  // the same, also after a channel took it
    S3Request request;
};

TEST_F(RetryingTest, PassingFaultsAreTriedAgain) {
    inner->answers = {status(503, "SlowDown"), status(500), status(429), lost(), status(400, "RequestTimeout"),
                      make_error(ErrorCode::kTimeout, "silence")};
    auto channel = make();
    const auto answer = channel.send(request, clock.context());
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(inner->sent, 7U);
    EXPECT_EQ(channel.retries(), 6U);
}

TEST_F(RetryingTest, FinalAnswersAreNot) {
    for (const auto& [code, error] : std::initializer_list<std::pair<int, const char*>>{
             {200, ""}, {404, "NoSuchKey"}, {403, "AccessDenied"}, {412, "PreconditionFailed"}, {400, "InvalidPart"},
             {501, "NotImplemented"}, {507, ""}}) {
        renew();
        inner->answers = {status(code, error)};
        auto channel = make();
        ASSERT_TRUE(channel.send(request, clock.context()));
        EXPECT_EQ(inner->sent, 1U) << code;
    }
}

TEST_F(RetryingTest, AnErrorInsideASuccessIsSeenWhereItCanBe) {
    inner->answers = {status(200, "InternalError"), status(200, "InternalError")};
    auto channel = make();
    ASSERT_TRUE(channel.send(request, clock.context()));
    EXPECT_EQ(inner->sent, 1U);
    request.may_fail_inside_success = true;
    const auto answer = channel.send(request, clock.context());
    EXPECT_EQ(inner->sent, 3U);
    EXPECT_TRUE(answer->body.empty());
}

TEST_F(RetryingTest, GivesUpAfterItsAttemptsWithTheLastAnswer) {
    for (int i = 0; i < 20; ++i) inner->answers.push_back(status(503, "SlowDown"));
    RetryPolicy policy;
    policy.attempts = 4;
    auto channel = make(policy);
    const auto answer = channel.send(request, clock.context());
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 503);
    EXPECT_EQ(inner->sent, 4U);
}

TEST_F(RetryingTest, WaitsGrowAndStayBelowTheirBounds) {
    inner->answers = {lost(), lost(), lost(), lost()};
    RetryPolicy policy;
    policy.first_wait = 100ms;
    policy.longest_wait = 250ms;
    random.value = 99'999'999;  // ns: just below the first bound, and the same for the later ones
    auto channel = make(policy);
    const MonoTime begin = clock.now();
    ASSERT_TRUE(channel.send(request, clock.context()));
    EXPECT_EQ(clock.now() - begin, 4 * Duration(99'999'999));
    random.value = 249'999'999;  // 50 ms, 50 ms, and then the whole of it
    inner->answers = {lost(), lost(), lost(), lost()};
    inner->sent = 0;
    const MonoTime again = clock.now();
    ASSERT_TRUE(channel.send(request, clock.context()));
    EXPECT_EQ(clock.now() - again, Duration(49'999'999 + 49'999'999 + 249'999'999 + 249'999'999));
}

TEST_F(RetryingTest, HonoursRetryAfter) {
    env::HttpResponse busy = status(503, "SlowDown");
    busy.headers["retry-after"] = "7";
    inner->answers = {busy};
    auto channel = make();
    const MonoTime begin = clock.now();
    ASSERT_TRUE(channel.send(request, clock.context()));
    EXPECT_EQ(clock.now() - begin, 7s);
}

TEST_F(RetryingTest, NeverWaitsPastTheContext) {
    env::HttpResponse busy = status(503, "SlowDown");
    busy.headers["retry-after"] = "90";
    inner->answers = {busy};
    auto channel = make();
    const MonoTime begin = clock.now();
    const auto answer = channel.send(request, clock.context(60s));
    EXPECT_EQ(answer->status, 503);
    EXPECT_EQ(clock.now(), begin);
}

TEST_F(RetryingTest, AStallEndsBeforeTheContextDoes) {
    request.method = "PUT";
    request.body.assign(1U << 20, 'x');
    RetryPolicy policy;
    policy.attempt_timeout = 5s;
    policy.slowest_bytes_per_second = 1U << 20;
    auto channel = make(policy);
    ASSERT_TRUE(channel.send(request, clock.context(60s)));
    EXPECT_EQ(inner->given_time.at(0), 6s);
}

TEST_F(RetryingTest, TheBudgetIsSharedByAllCalls) {
    for (int i = 0; i < 100; ++i) inner->answers.push_back(status(500));
    RetryPolicy policy;
    policy.attempts = 10;
    policy.budget = 20;
    policy.retry_cost = 5;
    auto channel = make(policy);
    ASSERT_TRUE(channel.send(request, clock.context()));
    EXPECT_EQ(inner->sent, 5U) << "one attempt and the four retries that the budget pays";
    ASSERT_TRUE(channel.send(request, clock.context()));
    EXPECT_EQ(inner->sent, 6U);
    inner->answers.resize(inner->sent);
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(channel.send(request, clock.context()));
    inner->answers.clear();
    inner->answers.resize(1, status(500));
    inner->sent = 0;
    ASSERT_TRUE(channel.send(request, clock.context()));
    EXPECT_EQ(inner->sent, 2U) << "five successes pay for one retry";
}

TEST_F(RetryingTest, RemembersThatAnAttemptMayHaveHappened) {
    auto channel = make();
    inner->answers = {status(503, "SlowDown"), lost(), status(400, "RequestTimeout")};
    ASSERT_TRUE(channel.send(request, clock.context()));
    EXPECT_FALSE(request.had_unknown_attempt);
    inner->sent = 0;
    inner->answers = {lost(Effect::kUnknown)};
    ASSERT_TRUE(channel.send(request, clock.context()));
    EXPECT_TRUE(request.had_unknown_attempt);
}

TEST_F(RetryingTest, AStopEndsIt) {
    inner->answers = {lost(Effect::kUnknown)};
    auto channel = make();
    std::stop_source stop;
    stop.request_stop();
    const auto answer = channel.send(request, clock.context(60s, stop.get_token()));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, ErrorCode::kCancelled);
    EXPECT_EQ(answer.error().effect, Effect::kUnknown);
}

}  // namespace
}  // namespace aeterna::repository
