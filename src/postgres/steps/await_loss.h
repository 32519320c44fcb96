// Looking at the cluster until the loss of its primary is proven, refused for good, or no matter any more.
#pragma once

#include <functional>
#include <string>

#include "postgres/steps/assist.h"

namespace aeterna::postgres {

struct LossFinding {
    World world;                         // of the last look
    MonoTime looked_at{};                // when that began
    std::vector<env::ProcessId> ran;     // main processes of the old primary and its agent that ran by then
    const NodeSettings* old = nullptr;   // nullptr: nobody knows which node was the primary
    Json watched;                        // LossWatch::memory()
    LossVerdict verdict;                 // never kWait
};

enum class ProofUse {
    kTaken,
    kLater,     // not yet: go on looking, as long as there is time
    kNextLook,  // by the next look that proves it, which is made whatever the time
};
// Asked at each look that proves the loss; without it each is taken.
using UseProof = std::function<ProofUse(const LossFinding&)>;

// `old_primary`: empty asks the cluster. At most `limit`, or as long as Patroni itself may take when that is zero; what is
// not proven by then, or by the context's deadline, is refused. kCancelled when the context is stopped.
[[nodiscard]] Result<LossFinding> await_loss(const StepParts& parts, Live& live, const std::string& old_primary,
                                             engine::StepContext& step, Duration limit, const UseProof& use_proof = {});

// A proof ages: whoever died or stood still between the proof and the kill has to look again.
struct LossProof {
    MonoTime holds_until;             // nothing is killed by it that was not begun by then
    std::vector<env::ProcessId> ran;  // as LossFinding has it
};

[[nodiscard]] LossProof proof_of(const LossFinding& finding);
// Facts "prove_loss.by" (pid), "prove_loss.at_ns" (monotonic), "prove_loss.ran" (pid and start) and "prove_loss.watched".
void note_proof(const StepParts& parts, const LossFinding& finding, engine::StepContext& step);
// Nothing where it is another process' or too old.
[[nodiscard]] std::optional<LossProof> fresh_proof(const StepParts& parts, const engine::StepContext& step);

}  // namespace aeterna::postgres
