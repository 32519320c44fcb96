// Evidence: what the journal holds about a post-mortem's time, word by word, at the end of the document, and the links
// that lead the timeline's rows to it. Pure.
#pragma once

#include <string>

#include "report/post_mortem.h"

namespace aeterna::report {

// Links to the items of evidence_section(); positions count within the material.
[[nodiscard]] std::string event_link(std::size_t position);
[[nodiscard]] std::string incident_link(const std::string& id);
[[nodiscard]] std::string execution_link(const std::string& id);
[[nodiscard]] std::string record_link(const std::string& execution, std::size_t position);
[[nodiscard]] std::string scorecard_link();
// To the ledger's file; `write` is the entry's id, empty where the phase names none.
[[nodiscard]] std::string ledger_link(const std::string& file, const std::optional<std::int64_t>& write);

[[nodiscard]] std::string evidence_section(const Material& material);

}  // namespace aeterna::report
