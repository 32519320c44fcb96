// What the assisted steps share: the host's word on a node, how long it has been silent, and the execution's facts.
#pragma once

#include <memory>
#include <optional>

#include "engine/runbook/assist.h"
#include "postgres/steps/live.h"
#include "postgres/steps/loss.h"
#include "postgres/steps/steps.h"

namespace aeterna::postgres {

// The executor of the host that runs `node`; kConfiguration when none can act there.
[[nodiscard]] Result<std::unique_ptr<hosts::Executor>> executor_of(const Settings& settings, const std::string& node,
                                                                   const env::Env& env);

// The backends of `node` that outlived its dead postmaster; none where the host cannot be asked, for there are none that
// we could end.
[[nodiscard]] std::vector<env::ProcessId> orphans_of(const Settings& settings, const std::string& node,
                                                     const env::Env& env, const env::Context& context);

// Collects a LossEvidence look by look.
class LossWatch {
  public:
    LossWatch(const StepParts& parts, const NodeSettings& old) : parts_(parts), old_(old) {}
    // Before the first look. Goes on with what an earlier watch of this process has seen, by the fact "prove_loss".
    void begin(const engine::StepContext& step);
    // After each look at `world`.
    [[nodiscard]] LossEvidence gather(const World& world, const env::Context& context);
    // What a later watch of this process may go on with: how long it has been down, its starts. Times are monotonic, in ns.
    [[nodiscard]] Json memory() const;
    // The main processes of the node and its agent that ran when the host was last asked.
    [[nodiscard]] const std::vector<env::ProcessId>& running() const { return running_; }

  private:
    void ask_host(LossEvidence& evidence, const env::Context& context);
    void follow_silence(const World& world);
    void follow_starts(const World& world);
    void follow_listeners(const World& world);
    [[nodiscard]] Duration watched_silence(MonoTime now) const;

    const StepParts& parts_;
    const NodeSettings& old_;
    std::optional<MonoTime> silent_since_;
    std::optional<MonoTime> down_since_;
    std::optional<MonoTime> last_gather_;
    std::optional<MonoTime> starting_since_;
    std::map<std::string, MonoTime> cut_since_;  // by replica
    std::vector<env::ProcessId> running_;
    std::string last_state_;
    int failed_starts_ = 0;
};

// Why the node that was named for a failover may not take over; empty: it may, or none was named.
[[nodiscard]] std::string candidate_hindrance(const StepParts& parts, const World& world);

// Facts "assist" and "assist_reasons".
[[nodiscard]] bool is_assist(const Json& facts, const char* word);
void settle_assist(engine::StepContext& step, const char* word, const std::vector<std::string>& reasons);
// Refused: says so once and lets the runbook go on as without assist.
void refuse_assist(engine::StepContext& step, const std::vector<std::string>& reasons);
// The nodes that this execution holds fenced.
[[nodiscard]] std::vector<std::string> fenced_nodes(const Json& facts);
// Lifts this execution's fence, then lets the old node be started again, if it `starts` it; a start that others hinder is
// told, not an error. Idempotent.
Status lift_fence(const StepParts& parts, engine::StepContext& step, bool starts = true);
// The fact "prove_loss" where this process has noted it (await_loss.h), else nullptr: its times are of our clock.
[[nodiscard]] const Json* own_proof(const StepParts& parts, const engine::StepContext& step);

}  // namespace aeterna::postgres
