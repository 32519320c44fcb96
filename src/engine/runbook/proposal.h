// JournaledProposal: what a running step proposes, in the journal. The fact "runner.proposal" of a running execution is
// what it proposes at this moment; a person's yes is the request kApproveExecution about the execution.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/runbook/journal.h"
#include "engine/runbook/step.h"
#include "env/env.h"

namespace aeterna::engine {

inline constexpr const char* kProposalFact = "runner.proposal";
// What it proposes at this moment; nothing when it does not, or has ended.
[[nodiscard]] std::optional<std::string> open_proposal(const ExecutionRecord& execution);

class JournaledProposal final : public Proposal {
  public:
    // Appends a record of the phase "progress" with this outcome and detail.
    using Note = std::function<void(const char* outcome, const std::string& detail)>;
    // All outlive it.
    JournaledProposal(Journal& journal, const env::Env& env, ExecutionRecord& record, Note note);

    void put(const std::string& text) override;
    [[nodiscard]] std::optional<std::string> approved_by() override;
    // The step is over: nothing is proposed any more, and who asks for it is told so. The record is not saved.
    void close();

  private:
    // Of people who wait for an answer. A busy journal tells none: the next look is soon.
    [[nodiscard]] std::vector<RequestRecord> requests() const;
    void answer(const RequestRecord& answered);

    Journal& journal_;
    const env::Env& env_;
    ExecutionRecord& record_;
    Note note_;
    WallTime put_at_{};  // a yes from before is one to what an earlier drive proposed
};

}  // namespace aeterna::engine
