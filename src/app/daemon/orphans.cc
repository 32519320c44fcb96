#include "app/daemon/orphans.h"

#include <string>

#include "stack/healing.h"

namespace aeterna::app {
namespace {

constexpr Duration kLookEvery = std::chrono::seconds(5);

void heal_once(const config::Stack& stack, engine::Journal& journal, const env::Env& env,
               const std::stop_token& stop) {
    const auto faults = journal.unhealed_faults();
    if (!faults || faults->empty()) return;
    // Taken only when there is something to heal: a drill must not find it held.
    const auto lock = stack::lock_drills(stack, env);
    if (!lock) {
        if (lock.error().code != ErrorCode::kLocked) {
            env.log.error("fault.heal_failed", {{"error", lock.error().to_string()}});
        }
        return;
    }
    const auto healed = stack::heal_faults(
        stack, journal, [&](const std::string& line) { env.log.warning("fault.orphan", {{"what", line}}); }, env,
        {env.clock.now() + std::chrono::minutes(3), stop, "orphans"});
    if (!healed) env.log.error("fault.heal_failed", {{"error", healed.error().to_string()}});
}

}  // namespace

std::unique_ptr<env::Thread> watch_orphans(const config::Stack& stack, engine::Journal& journal,
                                           const env::Env& env) {
    return env.threads.start("orphans", [&stack, &journal, &env](const std::stop_token& stop) {
        while (env.clock.sleep_for(kLookEvery, stop)) heal_once(stack, journal, env, stop);
    });
}

}  // namespace aeterna::app
