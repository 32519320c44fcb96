#include "engine/runbook/actor_lock.h"

#include <fmt/format.h>

#include "base/strings.h"
#include "engine/runbook/actor_lock_kinds.h"

namespace aeterna::engine {

Json describe_actor(const std::string& intent, const std::string& id, const env::Env& env) {
    const Result<std::string> host = env.files.read("/proc/sys/kernel/hostname", 256);
    const std::string uid = fmt::format("uid {}", env.processes.effective_uid());
    return Json{{"id", id},
                {"host", host ? std::string(trim(*host)) : "unknown"},
                {"pid", env.processes.own_pid()},
                {"user", env.files.environment_variable("USER").value_or(uid)},
                {"intent", intent},
                {"since", format_time(env.clock.wall_now())}};
}

std::string describe_holder(const std::string& value) {
    const Result<Json> actor = parse_json(value, "the actor lock");
    if (!actor) return "unknown intent";
    return fmt::format("{} (host {}, pid {}, since {})", one_line(find_string(*actor, "intent").value_or("unknown intent")),
                       one_line(find_string(*actor, "host").value_or("unknown")),
                       find_integer(*actor, "pid").value_or(0),
                       one_line(find_string(*actor, "since").value_or("unknown")));
}

Error lock_is_taken(const std::string& stack, const std::string& value, const std::string& hint) {
    return make_error(ErrorCode::kLocked,
                      fmt::format("another aeterna-dr acts on stack '{}': {}", stack, describe_holder(value)), hint);
}

std::string actor_key(const std::string& stack_name) { return fmt::format("/aeterna-dr/{}/actor", stack_name); }

std::unique_ptr<ActorLock> make_actor_lock(const config::Stack& stack, const env::Env& env) {
    return stack.etcd ? make_etcd_actor_lock(stack, env) : make_file_actor_lock(stack, env);
}

}  // namespace aeterna::engine
