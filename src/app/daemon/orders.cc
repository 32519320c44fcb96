#include "app/daemon/orders.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/runbook/execution_run.h"
#include "engine/store.h"
#include "stack/healing.h"

namespace aeterna::app {
namespace {

constexpr Duration kOrdersLookEvery = std::chrono::milliseconds(250);
constexpr std::size_t kDrillLookBack = 5;       // drills run one after the other
constexpr std::size_t kRestoreLookBack = 10;

}  // namespace

const engine::MaintenanceRecord* Orders::window_for(const std::string& store, WallTime now) const {
    const engine::MaintenanceRecord* longest = nullptr;
    for (const engine::MaintenanceRecord& window : windows) {
        if (!window.holds(now) || !window.is_about(store)) continue;
        if (longest == nullptr || window.until > longest->until) longest = &window;
    }
    return longest;
}

std::optional<config::Assist> Orders::drill_assist() const {
    if (!drill || find_string(drill->parameters, "assist_by") != "drill") return std::nullopt;
    return config::assist_from_name(find_string(drill->parameters, "assist").value_or(""));
}

Result<Orders> read_orders(engine::Journal& journal, const env::Env& env) {
    Orders orders;
    const WallTime now = env.clock.wall_now();
    AETERNA_ASSIGN(orders.windows, journal.maintenance(now));
    std::erase_if(orders.windows, [&](const auto& window) { return !window.holds(now); });
    AETERNA_ASSIGN(const auto drills, journal.drills(kDrillLookBack));
    for (const engine::DrillRecord& drill : drills) {
        if (drill.state == "running" && stack::is_drill_alive(drill, env)) {
            orders.drill = drill;
            break;
        }
    }
    AETERNA_ASSIGN(const auto restores, journal.executions_of(std::string(engine::kRestoreRunbook), kRestoreLookBack));
    for (const engine::ExecutionRecord& execution : restores) {
        if (engine::is_resumable(execution)) orders.restores.try_emplace(execution.store, execution.id);
    }
    return orders;
}

std::string describe(const engine::MaintenanceRecord& window) {
    return fmt::format("maintenance of {} until {}{}", window.store.empty() ? "every store" : window.store,
                       format_time(window.until), window.reason.empty() ? "" : ": " + window.reason);
}

void annotate(engine::StackStatus& status, const config::Stack& stack, const Orders& orders) {
    config::Assist strongest = config::Assist::kOff;
    for (engine::StoreStatus& store : status.stores) {
        const config::StoreSection* section = stack.find_store(store.store);
        const config::Assist by_file = section != nullptr ? section->assist : config::Assist::kOff;
        const config::Assist assist = orders.drill_assist().value_or(by_file);
        store.assist = config::assist_name(assist);
        store.paused = orders.window_for(store.store, status.at) != nullptr;
        strongest = std::max(strongest, assist);
    }
    status.assist = config::assist_name(strongest);
    for (const engine::MaintenanceRecord& window : orders.windows) {
        if (!window.holds(status.at)) continue;
        status.maintenance.push_back({window.id, window.store, window.reason, window.until});
    }
    status.paused = !status.maintenance.empty();
    annotate(status, orders.fences);
}

OrdersWatch::OrdersWatch(const config::Stack& stack, engine::Journal& journal, const env::Env& env)
    : stack_(stack), journal_(journal), env_(env), latest_(std::make_shared<Orders>()) {
    look();
    thread_ = env_.threads.start("orders", [this](const std::stop_token& stop) {
        while (env_.clock.sleep_for(kOrdersLookEvery, stop)) look();
    });
}

OrdersWatch::~OrdersWatch() {
    thread_->request_stop();
    thread_->join();
}

void OrdersWatch::look() {
    auto orders = read_orders(journal_, env_);
    if (!orders) {
        // What was last known goes on; whoever acts reads for himself first, and fails.
        if (!std::exchange(failed_, true)) {
            env_.log.error("journal.read_failed", {{"error", orders.error().to_string()}});
        }
        return;
    }
    failed_ = false;
    orders->fences = read_fences(stack_, journal_, env_);
    auto next = std::make_shared<const Orders>(std::move(*orders));
    const std::lock_guard lock(mutex_);
    latest_ = std::move(next);
}

std::shared_ptr<const Orders> OrdersWatch::latest() const {
    const std::lock_guard lock(mutex_);
    return latest_;
}

}  // namespace aeterna::app
