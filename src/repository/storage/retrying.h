// Trying again, as a decorator of S3Channel: throttling (503 SlowDown, 429), errors of the server (500, 502, 503, 504),
// resets, truncated answers, stalls. Waits grow exponentially with full jitter, Retry-After is honoured, no wait goes
// past the context. A budget shared by all calls keeps a broken server from being asked eight times as often by
// everybody: each retry takes from it, each success gives a little back.
#pragma once

#include <atomic>
#include <memory>

#include "env/clock.h"
#include "repository/storage/s3_channel.h"

namespace aeterna::repository {

struct RetryPolicy {
    int attempts = 8;
    Duration first_wait = 100ms;  // the bound of the first jittered wait; doubles
    Duration longest_wait = 20s;
    // An attempt that takes longer is a stall: this, and the time for its bytes at `slowest_bytes_per_second`.
    Duration attempt_timeout = 30s;
    std::uint64_t slowest_bytes_per_second = 256U << 10;
    int budget = 500;       // retries cost `retry_cost` of it; at zero the first error is the answer
    int retry_cost = 5;
    int success_gain = 1;
};

class RetryingChannel final : public S3Channel {
  public:
    // The decorated channel is owned; clock and random outlive this.
    RetryingChannel(std::unique_ptr<S3Channel> inner, env::Clock& clock, env::Random& random, RetryPolicy policy);

    // Sets `had_unknown_attempt` when an attempt before the one that was answered may have taken effect.
    Result<env::HttpResponse> send(S3Request& request, const env::Context& context) override;

    // How many attempts were repeated since the start, for metrics.
    [[nodiscard]] std::uint64_t retries() const { return retries_; }

  private:
    [[nodiscard]] Result<env::HttpResponse> attempt(S3Request& request, const env::Context& context);
    // False when the budget, the context or the policy says that this was the last one.
    bool wait_for_next(int attempts_done, Duration asked, const env::Context& context);
    bool take_from_budget();

    std::unique_ptr<S3Channel> inner_;
    env::Clock& clock_;
    env::Random& random_;
    const RetryPolicy policy_;
    std::atomic<int> budget_;
    std::atomic<std::uint64_t> retries_{0};
};

}  // namespace aeterna::repository
