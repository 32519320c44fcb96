// Looking: the replicas and the Sentinels first, so that what they say is no older than our own
// try.
#include "redis/steps/look_at_death.h"

#include "base/time.h"
#include "redis/steps/support.h"

namespace aeterna::redis {

std::string DeathLook::lost_history(const Json& facts) {
    if (find_string(facts, kDeathForm) != "empty") return "";
    return find_string(facts, kOldReplid).value_or("");
}

DeathInput DeathLook::take(const env::Context& context) {
    Cluster& cluster = *acting_.cluster;
    DeathInput input{cluster.settings(), master_, {}, {}, {}, {}, {}, false, lost_history_,
                     acting_.histories ? acting_.histories->of(master_.name) : ""};
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
    input.is_fenceable = acting_.hands->can_fence(master_);
    return input;
}

namespace {

// An old proof may be of a master that has come back meanwhile.
constexpr Duration kFreshProof = 3s;
// From the beginning of the look that gave leave: longer than one look takes, shorter than a restart and a resync.
constexpr Duration kLeave = 3s;

// Silence that was proven so lately, and that somebody else sees now, is still the same silence.
bool is_proof_fresh(const Json& facts, const DeathInput& input, const env::Clock& clock) {
    const auto proven_at = parse_time(find_string(facts, kProvenAt).value_or(""));
    if (!proven_at || find_string(facts, kDeathForm) != "silent") return false;
    const auto age = clock.wall_now() - *proven_at;
    return age >= Duration() && age <= kFreshProof && !other_vantages(input).empty();
}

Error refusal(std::string reason) { return make_error(ErrorCode::kGuardRefused, std::move(reason)); }

Result<MonoTime> prove_again(Acting& acting, const RedisNode& node, const Json& facts, const env::Context& context) {
    const env::Env& env = acting.cluster->env();
    const env::Context budget = env.clock.within(kProofBudget, context);
    DeathLook look(acting, node, facts);
    DeathVerdict verdict;
    MonoTime began;
    static_cast<void>(poll(env, budget, kProofInterval, [&]() -> Result<bool> {
        began = env.clock.now();
        verdict = judge_death(look.take(budget));
        return verdict.kind != DeathVerdict::Kind::kNotYet;
    }).has_value());
    if (verdict.kind == DeathVerdict::Kind::kProven) return began + kLeave;
    return refusal(verdict.evidence.empty() ? "its death could not be proven again" : verdict.evidence.front());
}

}  // namespace

Result<MonoTime> leave_to_act(Acting& acting, const RedisNode& node, const Json& facts, const env::Context& context) {
    if (is_fenced(facts, node.name)) return context.deadline;
    const env::Clock& clock = acting.cluster->env().clock;
    const MonoTime began = clock.now();
    const DeathInput input = DeathLook(acting, node, facts).take(context);
    // Nobody could be asked: we stood still, or are to stop. That says nothing about the master.
    if (clock.now() >= context.deadline || context.stop.stop_requested())
        return refusal("there was no time left to look at the master once more");
    if (const auto named = majority_of(input.sentinels); named && *named != node.address)
        return refusal("the Sentinels have replaced the master");
    if (input.master_info) {
        const bool is_empty = find_string(facts, kDeathForm) == "empty" && !proof_of_emptiness(input).empty();
        if (!is_empty) return refusal("the master answers again");
        // It serves, and little is more than nothing.
        if (fit_replicas(input).empty()) return refusal("no replica is fit any more to replace the master, which serves");
        return began + kLeave;
    }
    // LOADING and the like are answers, too; a server that answers is not dead.
    const ErrorCode code = input.master_error->code;
    if (code == ErrorCode::kUnavailable || code == ErrorCode::kAuthentication)
        return refusal("the master answers again");
    if (code == ErrorCode::kConnectionRefused || is_proof_fresh(facts, input, clock)) return began + kLeave;
    return prove_again(acting, node, facts, context);
}

}  // namespace aeterna::redis
