// How long a restore of each store would take now: its size now over the rate that its last passed restore test
// measured, and the fixed costs of that test. Nothing where none has passed yet.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "app/registry.h"
#include "engine/status.h"

namespace aeterna::app {

using Forecasts = std::map<std::string, double>;  // by store, seconds

// Reads the record of tests, and asks the stores that have one for their size; a size that is not to be had is the
// test's.
[[nodiscard]] Forecasts forecast_restores(const OpenStack& open, const env::Env& env, const env::Context& context);
void annotate(engine::StackStatus& status, const Forecasts& forecasts);

// Looks again each minute on a thread of its own: the judge takes the latest and never waits.
class ForecastWatch {
  public:
    // Both must outlive it.
    ForecastWatch(const OpenStack& open, const env::Env& env);
    ~ForecastWatch();
    ForecastWatch(const ForecastWatch&) = delete;
    ForecastWatch& operator=(const ForecastWatch&) = delete;

    [[nodiscard]] Forecasts latest() const;

  private:
    void set(Forecasts next);

    mutable std::mutex mutex_;
    Forecasts latest_;
    std::unique_ptr<env::Thread> thread_;
};

}  // namespace aeterna::app
