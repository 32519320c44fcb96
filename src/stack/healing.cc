#include "stack/healing.h"

#include <fmt/format.h>

#include "engine/drill/fault.h"
#include "engine/runbook/records.h"

namespace aeterna::stack {

Result<std::unique_ptr<env::FileLock>> lock_drills(const config::Stack& stack,
                                                   const env::Env& env) {
    AETERNA_TRY(env.files.make_directories(stack.state_directory));
    auto lock = env.files.lock(stack.state_directory + "/drill.lock");
    if (!lock && lock.error().code == ErrorCode::kLocked) {
        return make_error(ErrorCode::kLocked, fmt::format("a drill runs on stack '{}'", stack.name),
                          "Wait for it, or ask it to end with `aeterna-dr drill abort`; serve holds "
                          "the same lock while it tidies up after one that was killed.");
    }
    return lock;
}

bool is_drill_alive(const engine::DrillRecord& drill, const env::Env& env) {
    return engine::is_process_alive(find_member(drill.parameters, "process"), env.processes);
}

Result<std::size_t> heal_faults(const config::Stack& stack, engine::Journal& journal,
                                const std::function<void(const std::string&)>& progress,
                                const env::Env& env, const env::Context& context) {
    AETERNA_ASSIGN(auto faults, journal.unhealed_faults());
    engine::FaultInjector injector(stack, journal, env);
    std::size_t healed = 0;
    std::optional<Error> first_error;
    for (engine::FaultRecord& fault : faults) {
        progress(fmt::format("healing the {} of {} (drill {})", fault.kind, fault.store, fault.drill_id));
        Status done = injector.heal(fault, context);
        if (done) {
            ++healed;
            done = journal.append_event({env.clock.wall_now(), fault.store, "fault.healed",
                                         find_string(fault.inverse, "primary").value_or(""), fault.kind});
        }
        // One that cannot be healed must not keep the others broken.
        if (!done && !first_error) first_error = done.error();
    }
    if (first_error) return *first_error;
    return healed;
}

}  // namespace aeterna::stack
