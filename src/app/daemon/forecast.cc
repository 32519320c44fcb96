#include "app/daemon/forecast.h"

#include "engine/restore_test/history.h"

namespace aeterna::app {
namespace {

constexpr Duration kForecastEvery = std::chrono::minutes(1);
constexpr Duration kForecastLook = std::chrono::seconds(20);

}  // namespace

Forecasts forecast_restores(const OpenStack& open, const env::Env& env, const env::Context& context) {
    Forecasts forecasts;
    const auto tests = engine::recorded_tests(open.stack.state_directory, env);
    if (!tests) {
        env.log.warning("forecast.unreadable", {{"error", tests.error().to_string()}});
        return forecasts;
    }
    for (const auto& store : open.stores) {
        const auto basis = engine::forecast_basis(*tests, store->name());
        if (!basis) continue;
        const auto size = store->data_bytes(context);
        forecasts[store->name()] = engine::forecast_seconds(*basis, {size ? std::optional(*size) : std::nullopt, {}});
    }
    return forecasts;
}

void annotate(engine::StackStatus& status, const Forecasts& forecasts) {
    for (engine::StoreStatus& store : status.stores) {
        const auto found = forecasts.find(store.store);
        if (found != forecasts.end()) store.rto_forecast_seconds = found->second;
    }
}

ForecastWatch::ForecastWatch(const OpenStack& open, const env::Env& env) {
    thread_ = env.threads.start("forecast", [this, &open, &env](const std::stop_token& stop) {
        do {
            set(forecast_restores(open, env, {env.clock.now() + kForecastLook, stop, "forecast"}));
        } while (env.clock.sleep_for(kForecastEvery, stop));
    });
}

ForecastWatch::~ForecastWatch() {
    thread_->request_stop();
    thread_->join();
}

void ForecastWatch::set(Forecasts next) {
    const std::lock_guard lock(mutex_);
    latest_ = std::move(next);
}

Forecasts ForecastWatch::latest() const {
    const std::lock_guard lock(mutex_);
    return latest_;
}

}  // namespace aeterna::app
