#include "engine/runbook/proposal.h"

#include <utility>

#include "engine/runbook/requests.h"

namespace aeterna::engine {

std::optional<std::string> open_proposal(const ExecutionRecord& execution) {
    if (execution.state != ExecutionState::kRunning) return std::nullopt;
    return find_string(execution.facts, kProposalFact);
}

JournaledProposal::JournaledProposal(Journal& journal, const env::Env& env, ExecutionRecord& record, Note note)
    : journal_(journal), env_(env), record_(record), note_(std::move(note)) {}

void JournaledProposal::put(const std::string& text) {
    record_.facts[kProposalFact] = text;
    put_at_ = env_.clock.wall_now();
    if (const Status saved = journal_.put_execution(record_); !saved)
        env_.log.error("journal.write_failed", {{"execution", record_.id}, {"error", saved.error().to_string()}});
    note_("proposed", text);
}

// Journaled before it is answered: killed between the two, the next drive meets the request again.
std::optional<std::string> JournaledProposal::approved_by() {
    if (!record_.facts.contains(kProposalFact)) return std::nullopt;
    std::vector<RequestRecord> asked = requests();
    std::erase_if(asked, [this](const RequestRecord& request) { return request.at < put_at_; });
    if (asked.empty()) return std::nullopt;
    const std::string who = asked.front().requester;
    note_("approved", "approved by " + who);
    for (const RequestRecord& request : asked) answer(answered(request, "approved"));
    record_.facts.erase(kProposalFact);
    return who;
}

void JournaledProposal::close() {
    if (record_.facts.erase(kProposalFact) == 0) return;
    const Error late = make_error(ErrorCode::kUsage, "execution '" + record_.id + "' does not propose it any more");
    for (const RequestRecord& request : requests()) answer(answered(request, late));
}

std::vector<RequestRecord> JournaledProposal::requests() const {
    auto open = journal_.open_requests();
    if (!open) return {};
    std::erase_if(*open, [this](const RequestRecord& request) {
        return request.kind != kApproveExecution || request.subject != record_.id;
    });
    return std::move(*open);
}

void JournaledProposal::answer(const RequestRecord& answered) {
    const Status kept = journal_.put_request(answered);
    if (!kept) env_.log.error("journal.write_failed", {{"request", answered.id}, {"error", kept.error().to_string()}});
}

}  // namespace aeterna::engine
