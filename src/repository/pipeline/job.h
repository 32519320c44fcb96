// Job: what the threads of one pipeline share: the first error ends them all.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>

#include "base/result.h"
#include "env/context.h"

namespace aeterna::repository {

class Job {
  public:
    explicit Job(const env::Context& outer)
        : relay_(outer.stop, [this] { stop_.request_stop(); }), context_{outer.deadline, stop_.get_token(), outer.run_id} {}

    // Stops when the caller wants it or when something failed.
    [[nodiscard]] const env::Context& context() const { return context_; }
    void fail(Error error) {
        {
            const std::lock_guard lock(mutex_);
            if (!error_) error_ = std::move(error);
        }
        stop_.request_stop();
    }
    // Reports `status` when it is an error.
    bool check(const Status& status) {
        if (!status) fail(status.error());
        return status.has_value();
    }
    // The first error; a stop from outside without one is kCancelled.
    [[nodiscard]] Status status() const {
        const std::lock_guard lock(mutex_);
        if (error_) return *error_;
        if (stop_.stop_requested()) return make_error(ErrorCode::kCancelled, "stopped");
        return {};
    }
    // Why a queue gave up: the first error, the stop, or the deadline.
    [[nodiscard]] Error reason() const {
        const Status now = status();
        return now ? make_error(ErrorCode::kDeadline, "the time is over") : now.error();
    }

    // What the pipeline as a whole came to. When one thread fails, the others see no more than the stop that follows:
    // its error is the one to report, whoever ended first.
    template <class T>
    [[nodiscard]] Result<T> outcome(Result<T> seen) const {
        const std::lock_guard lock(mutex_);
        return !seen && error_ ? Result<T>(*error_) : std::move(seen);
    }

  private:
    std::stop_source stop_;
    std::stop_callback<std::function<void()>> relay_;
    env::Context context_;
    mutable std::mutex mutex_;
    std::optional<Error> error_;
};

}  // namespace aeterna::repository
