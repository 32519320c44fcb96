#include "repository/storage/retrying.h"

#include <algorithm>

#include "base/strings.h"
#include "repository/storage/s3_replies.h"

namespace aeterna::repository {
namespace {

constexpr Duration kLongestRetryAfter = 120s;

bool is_passing(const Error& error) {
    switch (error.code) {
        case ErrorCode::kConnectionLost:
        case ErrorCode::kConnectionRefused:
        case ErrorCode::kUnreachable:
        case ErrorCode::kTimeout:
        case ErrorCode::kUnavailable: return true;
        default: return false;
    }
}

bool is_passing_code(const std::string& code) {
    static constexpr std::string_view kCodes[] = {
        "SlowDown",       "InternalError",       "ServiceUnavailable",         "RequestTimeout",
        "Throttling",     "ThrottlingException", "RequestLimitExceeded",       "OperationAborted",
        "BadDigest",      "IncompleteBody",      "XAmzContentSHA256Mismatch",  "ConditionalRequestConflict"};
    return std::find(std::begin(kCodes), std::end(kCodes), code) != std::end(kCodes);
}

bool is_passing(const S3Request& request, const env::HttpResponse& response) {
    const int status = response.status;
    if (status == 429 || status == 500 || status == 502 || status == 503 || status == 504) return true;
    if (status == 400 || status == 409) return is_passing_code(parse_refusal(response.body).code);
    return status == 200 && request.may_fail_inside_success && is_passing_code(parse_refusal(response.body).code);
}

// A refusal for load has done nothing; what broke inside or on the way may have.
bool may_have_happened(const Result<env::HttpResponse>& outcome) {
    if (!outcome) return outcome.error().effect == Effect::kUnknown;
    return outcome->status != 429 && outcome->status != 503 && outcome->status != 400;
}

Duration retry_after(const Result<env::HttpResponse>& outcome) {
    if (!outcome) return Duration(0);
    const auto seconds = to_integer(header_of(*outcome, "retry-after").value_or(""));
    if (!seconds || *seconds < 0) return Duration(0);
    return std::min<Duration>(std::chrono::seconds(std::min<std::int64_t>(*seconds, 3600)), kLongestRetryAfter);
}

}  // namespace

RetryingChannel::RetryingChannel(std::unique_ptr<S3Channel> inner, env::Clock& clock, env::Random& random,
                                 RetryPolicy policy)
    : inner_(std::move(inner)), clock_(clock), random_(random), policy_(policy), budget_(policy.budget) {}

Result<env::HttpResponse> RetryingChannel::attempt(S3Request& request, const env::Context& context) {
    const bool only_reads = request.method == "GET";
    const std::size_t bytes = request.body.size() + (only_reads ? request.response_limit_bytes : 0);
    const auto transfer = std::chrono::seconds(bytes / std::max<std::uint64_t>(1, policy_.slowest_bytes_per_second));
    return inner_->send(request, clock_.within(policy_.attempt_timeout + transfer, context));
}

bool RetryingChannel::take_from_budget() {
    int left = budget_;
    do {
        if (left < policy_.retry_cost) return false;
    } while (!budget_.compare_exchange_weak(left, left - policy_.retry_cost));
    return true;
}

bool RetryingChannel::wait_for_next(int attempts_done, Duration asked, const env::Context& context) {
    if (attempts_done >= policy_.attempts || context.stop.stop_requested()) return false;
    const Duration bound =
        std::min(policy_.longest_wait, policy_.first_wait * (std::int64_t{1} << std::min(attempts_done - 1, 20)));
    const auto jitter = Duration(random_.next() % static_cast<std::uint64_t>(std::max<std::int64_t>(1, bound.count())));
    const MonoTime next = clock_.now() + std::max(asked, jitter);
    if (next >= context.deadline || !take_from_budget()) return false;
    ++retries_;
    return clock_.sleep_until(next, context.stop);
}

Result<env::HttpResponse> RetryingChannel::send(S3Request& request, const env::Context& context) {
    for (int done = 1;; ++done) {
        auto outcome = attempt(request, context);
        if (outcome && !is_passing(request, *outcome)) {
            budget_ = std::min(policy_.budget, budget_ + policy_.success_gain);
            return outcome;
        }
        if (!outcome && !is_passing(outcome.error())) return outcome;
        const bool is_again = wait_for_next(done, retry_after(outcome), context);
        if (!is_again && context.stop.stop_requested()) {
            return make_error(ErrorCode::kCancelled, "stopped before the next attempt", "",
                              may_have_happened(outcome) ? Effect::kUnknown : Effect::kNone);
        }
        if (!is_again) return outcome;
        request.had_unknown_attempt = request.had_unknown_attempt || may_have_happened(outcome);
    }
}

}  // namespace aeterna::repository
