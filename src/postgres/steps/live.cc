// One round of looking.
#include "postgres/steps/live.h"

#include "postgres/detect/probes.h"

namespace aeterna::postgres {

Live::Live(const Settings& settings, const env::Env& env, Scope scope)
    : settings_(settings), env_(env), board_(settings) {
    for (engine::ProbeTask& task : make_probes(settings, env, board_, /*heartbeat=*/false)) {
        // Prometheus is seconds behind, Patroni's member list is in etcd, what pg_wal holds is no matter of life: none helps to act.
        const bool helps = task.name != "prometheus" && task.name.find(" cluster") == std::string::npos &&
                           task.name.find(" WAL") == std::string::npos;
        const bool is_beside = task.name == "client path" || task.name == "etcd members" ||
                               task.name.find(" connect") != std::string::npos;
        if (helps && !(is_beside && scope == Scope::kNodes)) tasks_.push_back(std::move(task));
    }
}

World Live::look(const env::Context& context, const std::string& last_primary) {
    last_look_ = env_.clock.now();
    const MonoTime begun = last_look_;
    {
        std::vector<std::unique_ptr<env::Thread>> threads;
        for (const engine::ProbeTask& task : tasks_) {
            threads.push_back(
                env_.threads.start(task.name, [this, &task, &context](std::stop_token) {
                    task.run(env_.clock.within(task.timeout, context));
                }));
        }
        for (auto& thread : threads) thread->join();
    }
    engine::JudgeContext judge{env_.clock.now(), env_.clock.wall_now(), false, false};
    return make_world(settings_, board_.snapshot(), judge, begun, last_primary);
}

bool Live::pause(const env::Context& context) {
    const MonoTime until = last_look_ + 1s;
    return until < context.deadline && env_.clock.sleep_until(until, context.stop);
}

std::string fact(const Json& facts, const std::string& key) {
    return find_string(facts, key).value_or("");
}

Error ended(const env::Env& env, const env::Context& context, const std::string& what) {
    if (context.stop.stop_requested())
        return make_error(ErrorCode::kCancelled, "cancelled while " + what);
    static_cast<void>(env);
    return make_error(ErrorCode::kDeadline, "the time ran out while " + what,
                      "Look with `status` at what hinders it, then run it again, with a longer --timeout if need be.");
}

}  // namespace aeterna::postgres
