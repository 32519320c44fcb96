#include "report/evidence.h"

#include <fmt/format.h>

#include <cctype>

#include "base/time.h"

namespace aeterna::report {
namespace {

// An id of the journal as an anchor's name: what is neither a letter, a digit nor '-' could end the attribute.
std::string anchor_of(const std::string& id) {
    std::string name;
    for (const char c : id) name += std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' ? c : '_';
    return name;
}

std::string link(const std::string& text, const std::string& anchor) { return fmt::format("[{}](#{})", text, anchor); }

// Word by word, and unable to be anything but text: a JSON string in a code span.
std::string verbatim(const std::string& text) {
    if (text.empty()) return "";
    const std::string quoted = dump_json(Json(text));
    std::string fence = "`";
    while (quoted.find(fence) != std::string::npos) fence += '`';
    return fmt::format(" {} {} {}", fence, quoted, fence);
}

std::string item(const std::string& anchor, const std::string& text) {
    return fmt::format("- <a id=\"{}\"></a>{}\n", anchor, text);
}

std::string events_part(const Material& material) {
    std::string text;
    for (std::size_t i = 0; i < material.events.size(); ++i) {
        const engine::StoreEvent& event = material.events[i];
        text += item(fmt::format("event-{}", i + 1),
                     fmt::format("event {} at {}: {}{}{}{}", i + 1, format_time(event.at), anchor_of(event.store),
                                 verbatim(event.kind), verbatim(event.subject), verbatim(event.detail)));
    }
    return text;
}

std::string incidents_part(const Material& material) {
    std::string text;
    for (const engine::IncidentSummary& incident : material.incidents) {
        const std::string closed = incident.closed_at ? ", closed " + format_time(*incident.closed_at) : "";
        std::string line = fmt::format("incident `{}`: {} on{}, opened {}{}:{} (`aeterna-dr incident show {}`)",
                                       anchor_of(incident.id), incident.detector, verbatim(incident.subject),
                                       format_time(incident.opened_at), closed, verbatim(incident.summary),
                                       anchor_of(incident.id));
        for (const std::string& reason : incident.reasons) line += "\n  -" + verbatim(reason);
        text += item(anchor_of(incident.id), line);
    }
    return text;
}

std::string executions_part(const Material& material) {
    std::string text;
    for (const auto& [execution, steps] : material.executions) {
        const std::string id = anchor_of(execution.id);
        const std::string ended = execution.ended_at ? ", ended " + format_time(*execution.ended_at) : "";
        text += item(id, fmt::format("execution `{}`: {} {}, begun {} by{}{}, {}:{} (`aeterna-dr execution show {}`)", id,
                                     execution.store, execution.runbook, format_time(execution.started_at),
                                     verbatim(execution.trigger), ended, execution_state_name(execution.state),
                                     verbatim(execution.summary), id));
        for (std::size_t i = 0; i < steps.size(); ++i) {
            const engine::StepRecord& record = steps[i];
            text += "  " + item(fmt::format("{}-{}", id, i + 1),
                                fmt::format("record {} at {}: step {}, {} {} {}{}", i + 1, format_time(record.at),
                                            record.index + 1, record.step, record.phase, record.outcome,
                                            verbatim(record.detail)));
        }
    }
    return text;
}

}  // namespace

std::string event_link(std::size_t position) {
    return link(fmt::format("event {}", position + 1), fmt::format("event-{}", position + 1));
}
std::string incident_link(const std::string& id) { return link("incident " + anchor_of(id), anchor_of(id)); }
std::string execution_link(const std::string& id) { return link("execution " + anchor_of(id), anchor_of(id)); }
std::string record_link(const std::string& execution, std::size_t position) {
    const std::string id = anchor_of(execution);
    return link(fmt::format("execution {}, record {}", id, position + 1), fmt::format("{}-{}", id, position + 1));
}
std::string scorecard_link() { return link("scorecard", "scorecard"); }
std::string ledger_link(const std::string& file, const std::optional<std::int64_t>& write) {
    std::string target;
    for (const char c : file) target += c == '|' ? "%7C" : c == '>' ? "%3E" : std::string(1, c);
    const std::string text = fmt::format("[ledger](<{}>)", target);
    return write ? fmt::format("{}, write {}", text, *write) : text;
}

std::string evidence_section(const Material& material) {
    std::string text = "## Evidence\n\nWhat the journal holds about that time, word by word.\n\n";
    if (material.drill) {
        const std::string id = anchor_of(material.drill->id);
        text += item("scorecard", fmt::format("scorecard of drill `{}` with every phase: `aeterna-dr drill report {} --json`",
                                              id, id));
    }
    return text + events_part(material) + incidents_part(material) + executions_part(material);
}

}  // namespace aeterna::report
