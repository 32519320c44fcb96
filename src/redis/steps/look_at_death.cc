// Looking: the replicas and the Sentinels first, so that what they say is no older than our own
// try.
#include "redis/steps/look_at_death.h"

#include "base/time.h"
#include "redis/steps/support.h"

namespace aeterna::redis {

DeathInput DeathLook::take(const env::Context& context) {
    Cluster& cluster = *acting_.cluster;
    DeathInput input{cluster.settings(), master_, {}, {}, {}, {}, {}, false};
    const MonoTime began = cluster.env().clock.now();
    if (auto info = cluster.info(master_, context)) input.master_info = std::move(*info);
    else input.master_error = info.error();
    const bool is_silent =
        input.master_error && input.master_error->code != ErrorCode::kConnectionRefused;
    if (!is_silent) silent_since_.reset();
    else if (!silent_since_) silent_since_ = began;
    input.sentinels = cluster.opinions(context);
    for (const RedisNode& node : cluster.settings().nodes) {
        if (node.name == master_.name) continue;
        ReplicaAnswer answer{&node, {}, {}};
        if (auto info = cluster.info(node, context)) answer.info = std::move(*info);
        else answer.error = info.error();
        input.replicas.push_back(std::move(answer));
    }
    if (silent_since_) input.silent_for = cluster.env().clock.now() - *silent_since_;
    input.is_fenceable = acting_.hands->executor_of(master_).has_value();
    return input;
}

namespace {

constexpr Duration kFreshProof = 3s;

// Silence that was proven so lately is still the same silence.
bool is_proof_fresh(const Json& facts, const env::Clock& clock) {
    const auto proven_at = parse_time(find_string(facts, kProvenAt).value_or(""));
    if (!proven_at || find_string(facts, kDeathForm) != "silent") return false;
    const auto age = clock.wall_now() - *proven_at;
    return age >= Duration() && age <= kFreshProof;
}

bool is_proven_again(Acting& acting, const RedisNode& node, const env::Context& context) {
    const env::Env& env = acting.cluster->env();
    const env::Context budget = env.clock.within(kProofBudget, context);
    DeathLook look(acting, node);
    DeathVerdict verdict;
    static_cast<void>(poll(env, budget, kProofInterval, [&]() -> Result<bool> {
        verdict = judge_death(look.take(budget));
        return verdict.kind != DeathVerdict::Kind::kNotYet;
    }).has_value());
    return verdict.kind == DeathVerdict::Kind::kProven;
}

}  // namespace

bool is_alive_again(Acting& acting, const RedisNode& node, const Json& facts,
                    const env::Context& context) {
    const auto info = acting.cluster->info(node, context);
    // Nobody could be asked: we stood still, or are to stop. That says nothing about the master.
    const bool is_late = acting.cluster->env().clock.now() >= context.deadline || context.stop.stop_requested();
    if (!info && is_late) return true;
    // LOADING and the like are answers, too; a server that answers is not dead.
    if (!info) {
        const ErrorCode code = info.error().code;
        if (code == ErrorCode::kUnavailable || code == ErrorCode::kAuthentication) return true;
        const bool is_dead = code == ErrorCode::kConnectionRefused;
        return !is_dead && !is_proof_fresh(facts, acting.cluster->env().clock) && !is_proven_again(acting, node, context);
    }
    if (find_string(facts, kDeathForm) != "empty") return true;
    return proof_of_emptiness(DeathLook(acting, node).take(context)).empty();
}

}  // namespace aeterna::redis
