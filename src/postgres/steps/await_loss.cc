#include "postgres/steps/await_loss.h"

#include "base/strings.h"
#include "engine/runbook/records.h"

namespace aeterna::postgres {

namespace {

constexpr Duration kLookEvery = 100ms;
// From the begin of the look to the kill: a silent port takes a second of it, all else milliseconds. An answer within
// this time cannot have been missed by much.
constexpr Duration kProofHolds = 3s;

// The lease, or Patroni's tries to start the server in place.
Duration time_of(const PatroniConfig& config) {
    return std::chrono::seconds(std::min<std::int64_t>(300, config.primary_start_timeout + config.ttl));
}

LossVerdict out_of_time(LossVerdict verdict) {
    verdict.kind = LossKind::kRefused;
    verdict.reasons.insert(verdict.reasons.begin(), "it could not be done in time");
    return verdict;
}

}  // namespace

Result<LossFinding> await_loss(const StepParts& parts, Live& live, const std::string& old_primary,
                               engine::StepContext& step, Duration limit, const UseProof& use_proof) {
    LossFinding finding;
    std::optional<LossWatch> watch;
    std::optional<MonoTime> until;
    RefusalWatch refusals;
    std::optional<LossKind> told;
    std::optional<LossVerdict> refused;  // by the last look
    finding.old = parts.settings.find(old_primary);
    if (finding.old) watch.emplace(parts, *finding.old).begin(step);
    while (true) {
        finding.looked_at = parts.env.clock.now();
        finding.ran = watch ? watch->running() : std::vector<env::ProcessId>();
        finding.world = live.look(step.context, old_primary);
        const World& world = finding.world;
        if (!finding.old) finding.old = parts.settings.find(world.primary.value_or(world.reference));
        if (!finding.old) return finding;
        step.facts["old_primary"] = finding.old->name;
        if (!watch) watch.emplace(parts, *finding.old);
        // Seen without a primary: if it is back later, that is the end of this failover, no mistake.
        if (!world.primary) step.facts["await_promotion.begun"] = true;
        finding.verdict = judge_loss(world, *finding.old, watch->gather(world, step.context));
        finding.watched = watch->memory();
        const LossVerdict& verdict = finding.verdict;
        const bool is_settled = refusals.settles(verdict, world.now);
        const bool is_proof = is_settled && verdict.kind == LossKind::kLost;
        const ProofUse use = is_proof && use_proof ? use_proof(finding) : ProofUse::kTaken;
        if (is_settled && use == ProofUse::kTaken) {
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
        const bool is_over = world.now >= std::min(*until, step.context.deadline);
        if (is_over && use != ProofUse::kNextLook) {
            finding.verdict = out_of_time(verdict);
            return finding;
        }
        if (!parts.env.clock.sleep_for(kLookEvery, step.context.stop))
            return ended(parts.env, step.context, "proving the loss of '" + finding.old->name + "'");
    }
}

LossProof proof_of(const LossFinding& finding) { return {finding.looked_at + kProofHolds, finding.ran}; }

void note_proof(const StepParts& parts, const LossFinding& finding, engine::StepContext& step) {
    Json ran = Json::array();
    for (const env::ProcessId& id : finding.ran) ran.push_back(engine::process_to_json(id));
    Json& proof = step.facts["prove_loss"];
    proof["by"] = parts.env.processes.own_pid();
    proof["at_ns"] = finding.looked_at.time_since_epoch().count();
    proof["ran"] = std::move(ran);
    proof["watched"] = finding.watched;
}

std::optional<LossProof> fresh_proof(const StepParts& parts, const engine::StepContext& step) {
    const Json* noted = own_proof(parts, step);
    const auto at = noted ? find_integer(*noted, "at_ns") : std::nullopt;
    const Json* ran = noted ? find_member(*noted, "ran") : nullptr;
    if (!at || !ran) return std::nullopt;
    const MonoTime looked_at{Duration(*at)};
    LossProof proof{looked_at + kProofHolds, {}};
    if (parts.env.clock.now() < looked_at || parts.env.clock.now() >= proof.holds_until) return std::nullopt;
    for (const Json& id : *ran)
        if (const auto process = engine::process_from_json(id)) proof.ran.push_back(*process);
    return proof;
}

}  // namespace aeterna::postgres
