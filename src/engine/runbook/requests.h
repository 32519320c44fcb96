// Requests: what a person asks of a process that runs, through the journal (journal.h RequestRecord). Whoever may write
// into the state directory may ask; whom a kind concerns polls for it and answers.
#pragma once

#include <string>
#include <string_view>

#include "engine/runbook/journal.h"
#include "env/env.h"

namespace aeterna::engine {

// `serve` answers those about incidents, a drill its own abort, whoever drives an execution the yes to its proposal.
inline constexpr std::string_view kAckIncident = "incident.ack";
inline constexpr std::string_view kCloseIncident = "incident.close";
inline constexpr std::string_view kAbortDrill = "drill.abort";
inline constexpr std::string_view kApproveExecution = "execution.approve";

// A new one of `kind` about `subject`, by whoever runs this program.
[[nodiscard]] RequestRecord make_request(std::string_view kind, const std::string& subject, const env::Env& env);
// Who runs this program, for the record.
[[nodiscard]] std::string requester_name(const env::Env& env);
// The request with its answer.
[[nodiscard]] RequestRecord answered(RequestRecord request, const std::string& summary);
[[nodiscard]] RequestRecord answered(RequestRecord request, const Error& error);

}  // namespace aeterna::engine
