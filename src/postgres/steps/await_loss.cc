#include "postgres/steps/await_loss.h"

#include "base/strings.h"

namespace aeterna::postgres {

namespace {

constexpr Duration kLookEvery = 100ms;
// From the proof to the kill it takes milliseconds; an answer within this time cannot have been missed by much.
constexpr Duration kProofHolds = 2s;

const NodeSettings* find_old(const Settings& settings, const std::string& named, const World& world) {
    if (const NodeSettings* node = settings.find(named)) return node;
    return settings.find(world.primary.value_or(world.reference));
}

// The lease, or Patroni's tries to start the server in place.
Duration time_of(const PatroniConfig& config) {
    return std::chrono::seconds(std::min<std::int64_t>(300, config.primary_start_timeout + config.ttl));
}

LossVerdict out_of_time(LossVerdict verdict) {
    verdict.kind = LossKind::kRefused;
    verdict.reasons.insert(verdict.reasons.begin(), "it could not be done in time");
    return verdict;
}

std::int64_t nanoseconds(MonoTime time) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

}  // namespace

Result<LossFinding> await_loss(const StepParts& parts, Live& live, const std::string& old_primary,
                               engine::StepContext& step, Duration limit, const TakesProof& takes_proof) {
    LossFinding finding;
    std::optional<LossWatch> watch;
    std::optional<MonoTime> until;
    RefusalWatch refusals;
    std::optional<LossKind> told;
    std::optional<LossVerdict> refused;  // by the last look
    while (true) {
        finding.world = live.look(step.context, old_primary);
        finding.looked_at = parts.env.clock.now();
        const World& world = finding.world;
        if (!finding.old) {
            finding.old = find_old(parts.settings, old_primary, world);
            if (!finding.old) return finding;
            step.facts["old_primary"] = finding.old->name;
            watch.emplace(parts, *finding.old);
        }
        // Seen without a primary: if it is back later, that is the end of this failover, no mistake.
        if (!world.primary) step.facts["await_promotion.begun"] = true;
        finding.verdict = judge_loss(world, *finding.old, watch->gather(world, step.context));
        const LossVerdict& verdict = finding.verdict;
        const bool is_settled = refusals.settles(verdict, world.now);
        const bool is_proof = is_settled && verdict.kind == LossKind::kLost;
        if (is_settled && (!is_proof || !takes_proof || takes_proof(finding))) {
            // Patroni's own time has run out on a refusal: that is what happened, not that nothing was needed.
            const bool was_refused = refused && verdict.kind == LossKind::kNotNeeded && world.primary != finding.old->name;
            if (was_refused) finding.verdict = *refused;
            return finding;
        }
        refused = verdict.kind == LossKind::kRefused ? std::optional(verdict) : std::nullopt;
        // Only what is new: ages and times move all the while.
        if (told != verdict.kind && verdict.kind != LossKind::kLost) {
            const bool is_refused = verdict.kind == LossKind::kRefused;
            step.progress((is_refused ? "not allowed now: " : "not proven yet: ") + join(verdict.reasons, "; "));
            told = verdict.kind;
        }
        if (!until) until = world.now + (limit > Duration::zero() ? limit : time_of(world.config()));
        if (world.now >= *until) {
            finding.verdict = out_of_time(verdict);
            return finding;
        }
        if (!parts.env.clock.sleep_for(kLookEvery, step.context.stop))
            return ended(parts.env, step.context, "proving the loss of '" + finding.old->name + "'");
    }
}

void note_proof(const StepParts& parts, MonoTime looked_at, engine::StepContext& step) {
    step.facts["prove_loss"]["by"] = parts.env.processes.own_pid();
    step.facts["prove_loss"]["at_ns"] = nanoseconds(looked_at);
}

bool is_proof_fresh(const StepParts& parts, const engine::StepContext& step) {
    const Json* proof = find_member(step.facts, "prove_loss");
    const auto by = proof ? find_integer(*proof, "by") : std::nullopt;
    const auto at = proof ? find_integer(*proof, "at_ns") : std::nullopt;
    if (!by || !at || *by != parts.env.processes.own_pid()) return false;
    const std::int64_t age = nanoseconds(parts.env.clock.now()) - *at;
    return age >= 0 && std::chrono::nanoseconds(age) <= kProofHolds;
}

}  // namespace aeterna::postgres
