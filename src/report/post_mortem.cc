#include "report/post_mortem.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "base/time.h"
#include "engine/drill/assist_score.h"
#include "report/assist_text.h"
#include "report/evidence.h"
#include "report/human_text.h"

namespace aeterna::report {
namespace {

struct Row {
    WallTime at;
    std::string what;
    std::string evidence;  // a link; Markdown
};

// A table cell must not break the table.
std::string cell(std::string_view text) {
    std::string clean;
    for (const char c : one_line(text, 240)) {
        if (c == '|') clean += '\\';
        clean += c;
    }
    return clean;
}

std::optional<WallTime> injected_at(const Material& material) {
    if (!material.drill) return std::nullopt;
    const auto text = find_string(material.drill->scorecard, "injected_at");
    if (!text) return std::nullopt;
    const auto time = parse_time(*text);
    return time ? std::optional<WallTime>(*time) : std::nullopt;
}

std::vector<Row> timeline(const Material& material) {
    std::vector<Row> rows;
    for (std::size_t i = 0; i < material.events.size(); ++i) {
        const engine::StoreEvent& event = material.events[i];
        rows.push_back({event.at, fmt::format("{} {}: {}", event.store, event.kind, event.subject) +
                                      (event.detail.empty() ? "" : " (" + event.detail + ")"),
                        event_link(i)});
    }
    for (const engine::IncidentSummary& incident : material.incidents) {
        rows.push_back({incident.opened_at,
                        fmt::format("{} detected on {}: {}", incident.detector, incident.subject, incident.summary),
                        incident_link(incident.id)});
        if (incident.closed_at) {
            rows.push_back({*incident.closed_at, fmt::format("{} over on {}", incident.detector, incident.subject),
                            incident_link(incident.id)});
        }
    }
    for (const auto& [execution, steps] : material.executions) {
        rows.push_back({execution.started_at,
                        fmt::format("runbook {} {} began ({})", execution.store, execution.runbook, execution.trigger),
                        execution_link(execution.id)});
        for (std::size_t i = 0; i < steps.size(); ++i) {
            const engine::StepRecord& step = steps[i];
            if (step.outcome == "started" || step.phase == "progress") continue;
            rows.push_back({step.at,
                            fmt::format("step {} {} {}", step.step, step.phase, step.outcome) +
                                (step.detail.empty() ? "" : ": " + step.detail),
                            record_link(execution.id, i)});
        }
        if (execution.ended_at) {
            rows.push_back({*execution.ended_at,
                            fmt::format("runbook {} {} ended: {}", execution.store, execution.runbook,
                                        execution_state_name(execution.state)),
                            execution_link(execution.id)});
        }
    }
    return rows;
}

// A phase counts from its own store's fault.
WallTime injected_at(const Material& material, const std::string& store, WallTime fallback) {
    const Json* stores = find_member(material.drill->scorecard, "stores");
    const Json* score = stores != nullptr ? find_member(*stores, store) : nullptr;
    const auto text = score != nullptr ? find_string(*score, "injected_at") : std::nullopt;
    if (!text) return fallback;
    const auto time = parse_time(*text);
    return time ? *time : fallback;
}

void add_phase_rows(std::vector<Row>& rows, const Material& material, WallTime injected) {
    const Json* phases = find_member(material.drill->scorecard, "phases");
    if (phases == nullptr || !phases->is_array()) return;
    for (const Json& phase : *phases) {
        const std::string name = find_string(phase, "name").value_or("");
        // These three have rows of their own, from the journal.
        if (name == "injected" || name == "detected" || name == "promoted") continue;
        const std::string store = find_string(phase, "store").value_or("");
        const auto after = from_seconds(find_number(phase, "at_seconds").value_or(0));
        const bool from_ledger = name != "redundancy_restored";
        rows.push_back({injected_at(material, store, injected) + std::chrono::duration_cast<WallTime::duration>(after),
                        fmt::format("{} {}", store, name),
                        from_ledger ? ledger_link(fmt::format("{}/{}.ledger", material.ledger_directory, store),
                                                  find_integer(phase, "write"))
                                    : scorecard_link()});
    }
}

std::string timeline_section(const Material& material) {
    std::vector<Row> rows = timeline(material);
    const auto injected = injected_at(material);
    if (injected) add_phase_rows(rows, material, *injected);
    std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.at < b.at; });
    std::string text = "## Timeline\n\nTimes are UTC.";
    text += injected ? " T is the time after the injection.\n\n| time | T | what | evidence |\n|---|---:|---|---|\n"
                     : "\n\n| time | T | what | evidence |\n|---|---:|---|---|\n";
    for (const Row& row : rows) {
        const std::string after = injected ? fmt::format("{:+.2f} s", to_seconds(row.at - *injected)) : "";
        text += fmt::format("| {} | {} | {} | {} |\n", format_clock(row.at), after, cell(row.what), row.evidence);
    }
    return text + "\n";
}

// What people have written about this section, kept word by word.
std::string from_people(const Material& material, std::string_view section) {
    const auto found = material.human.find(std::string(section));
    return found == material.human.end() ? "" : fmt::format("### By people\n\n{}\n\n", found->second);
}

// Ticked when people have written "[x] ID-A1" under the action items.
std::string action_item(const Material& material, const std::string& name, const std::string& what) {
    const auto found = material.human.find(std::string(kActions));
    const std::string words = found == material.human.end() ? "" : found->second;
    const bool is_done = words.find(fmt::format("[x] {}", name)) != std::string::npos ||
                         words.find(fmt::format("[x] `{}`", name)) != std::string::npos;
    return fmt::format("- [{}] `{}` ({}) {}\n", is_done ? 'x' : ' ', name, is_done ? "done" : "open", what);
}

// False only when the scorecard says of every store that it was left alone.
bool broke_something(const Json& card) {
    const Json* stores = find_member(card, "stores");
    if (stores == nullptr || !stores->is_object() || stores->empty()) return true;
    return std::any_of(stores->begin(), stores->end(),
                       [](const Json& store) { return find_boolean(store, "faulted").value_or(true); });
}

std::string root_cause_section(const Material& material) {
    std::string text = "## Root Cause\n\n";
    if (material.drill && !broke_something(material.drill->scorecard)) {
        return text + fmt::format("Drill `{}` broke nothing.\n\n", material.drill->id);
    }
    if (material.drill) {
        return text + fmt::format("Injected by drill `{}`: {} of the primaries (seed {}). No other cause.\n\n",
                                  material.drill->id,
                                  find_string(material.drill->scorecard, "fault").value_or("fault"),
                                  find_integer(material.drill->parameters, "seed").value_or(0));
    }
    text += "Not known to the watcher; to be written by a person. What it saw:\n\n";
    if (material.subject) {
        for (const std::string& reason : material.subject->reasons) text += fmt::format("- {}\n", one_line(reason));
    }
    return text + "\n";
}

// Counted from the store's fault, or from the incident.
std::vector<std::string> assist_of(const Material& material, const engine::ExecutionRecord& execution) {
    WallTime from = material.subject ? material.subject->opened_at : execution.started_at;
    if (material.drill) from = injected_at(material, execution.store, execution.started_at);
    const auto score = engine::assist_score(execution.facts, from);
    if (!score) return {};
    return assist_lines(engine::to_json(*score), material.drill ? "the fault" : "the incident was opened");
}

std::string resolution_section(const Material& material) {
    std::string text = "## Resolution\n\n";
    if (material.executions.empty()) text += "No runbook was executed by Aeterna DR.\n";
    for (const auto& [execution, steps] : material.executions) {
        text += fmt::format("- `{}`: runbook {} {}, {}: {}\n", execution.id, execution.store, execution.runbook,
                            execution_state_name(execution.state), one_line(execution.summary));
        for (const std::string& line : assist_of(material, execution)) text += fmt::format("  - {}\n", line);
        for (const engine::StepRecord& step : steps) {
            if (step.outcome != "done" && step.outcome != "skipped") continue;
            if (step.phase != "verify" && step.phase != "check" && step.phase != "undo") continue;
            if (step.phase == "check" && step.outcome != "skipped") continue;
            const bool is_skipped = step.outcome == "skipped" && !step.detail.empty();
            text += is_skipped ? fmt::format("  - {} skipped: {}\n", step.step, one_line(step.detail))
                               : fmt::format("  - {} {} ({})\n", step.step, step.outcome, step.phase);
        }
    }
    for (const engine::StoreEvent& event : material.events) {
        if (event.kind == "primary.changed" || event.kind == "master.changed" || event.kind == "fault.healed") {
            text += fmt::format("- {}: {} {} {}\n", event.store, event.kind, event.subject, one_line(event.detail));
        }
    }
    return text + "\n";
}

std::string figures(const Json& card) {
    std::string text =
        "| store | RTO nodes | RTO client | objective | detected | RPO | acknowledged | lost | unknown | met |\n"
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---|\n";
    const Json* stores = find_member(card, "stores");
    if (stores == nullptr || !stores->is_object()) return text;
    const auto seconds = [](const Json& store, std::string_view key) {
        const auto value = find_number(store, key);
        return value ? fmt::format("{:.2f} s", *value) : std::string("unknown");
    };
    const auto count = [](const Json& store, std::string_view key) {
        const auto value = find_integer(store, key);
        return value ? fmt::format("{}", *value) : std::string("unknown");
    };
    for (const auto& [name, store] : stores->items()) {
        const auto met = find_boolean(store, "met");
        const bool real = find_string(store, "server").value_or("real") == "real";
        text += fmt::format("| {}{} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n", name, real ? "" : " (stand-in)",
                            seconds(store, "rto_seconds"), seconds(store, "client_rto_seconds"),
                            seconds(store, "objective_rto_seconds"),
                            find_boolean(store, "faulted").value_or(false) ? seconds(store, "detect_seconds") : "no fault",
                            seconds(store, "rpo_seconds"), count(store, "acknowledged"), count(store, "lost"),
                            count(store, "unknown"), met ? (*met ? "yes" : "no") : "unknown");
    }
    return text;
}

// Which of the lost writes can still be had.
std::string kept_writes(const Json& store, std::size_t lost) {
    const Json* kept = find_member(store, "lost_in_repository");
    if (kept == nullptr || !kept->is_array()) return "Which of them the repository still has is unknown.\n";
    if (kept->empty()) return "The repository has none of them.\n";
    std::string text =
        fmt::format("The repository still has {} of them, on the old timeline behind the fork", kept->size());
    if (kept->size() == lost) return text + ".\n";
    constexpr std::size_t kShown = 50;
    for (std::size_t i = 0; i < std::min(kShown, kept->size()); ++i) {
        text += fmt::format("{}{}", i == 0 ? ": " : ", ", dump_json((*kept)[i]));
    }
    return text + (kept->size() > kShown ? ", …\n" : "\n");
}

std::string lost_writes(const Json& card) {
    std::string text;
    const Json* stores = find_member(card, "stores");
    if (stores == nullptr || !stores->is_object()) return text;
    for (const auto& [name, store] : stores->items()) {
        const Json* ids = find_member(store, "lost_ids");
        if (ids == nullptr || !ids->is_array() || ids->empty()) continue;
        // All ids stay in the scorecard; a page of them serves nobody.
        constexpr std::size_t kShown = 50;
        text += fmt::format("\nLost writes of {} ({}): ", name, ids->size());
        for (std::size_t i = 0; i < std::min(kShown, ids->size()); ++i) {
            text += fmt::format("{}{}", i == 0 ? "" : ", ", dump_json((*ids)[i]));
        }
        text += ids->size() > kShown ? ", … (all: `drill report --json`)\n" : "\n";
        text += kept_writes(store, ids->size());
    }
    return text;
}

std::string drill_sections(const Material& material) {
    const Json& card = material.drill->scorecard;
    const std::vector<Lesson> lessons = lessons_of(card);
    std::string text = "## Lessons Learned\n\n";
    if (lessons.empty()) text += "Nothing stood out.\n";
    for (const Lesson& lesson : lessons) text += fmt::format("- {}\n", lesson.text);
    text += "\n" + from_people(material, kLessons) + "## Action Items\n\n";
    std::size_t number = 0;
    for (const Lesson& lesson : lessons) {
        if (lesson.action.empty()) continue;
        ++number;
        text += action_item(material, fmt::format("{}-A{}", material.drill->id, number), lesson.action);
    }
    if (number == 0) text += "None.\n";
    return text;
}

}  // namespace

std::string post_mortem_markdown(const Material& material) {
    std::string text;
    if (material.drill) {
        const Json& card = material.drill->scorecard;
        text += fmt::format("# Post-mortem: drill {} on {}\n\n", material.drill->id, material.stack);
        text += fmt::format("Verdict: **{}**. Began {}, fault {}, assist {}.\n\n",
                            find_string(card, "verdict").value_or("unknown"), format_time(material.drill->started_at),
                            find_string(card, "fault").value_or("unknown"),
                            find_string(card, "assist").value_or("unknown"));
        if (find_boolean(card, "cut_short").value_or(false)) {
            text += "The drill was killed before its end: the figures say what it had measured until then.\n\n";
        }
        text += figures(card) + lost_writes(card) + "\n";
    } else if (material.subject) {
        text += fmt::format("# Post-mortem: incident {} on {}\n\n", material.subject->id, material.stack);
        text += fmt::format("{}: {}. {} since {}.\n\n", material.subject->detector, one_line(material.subject->summary),
                            material.subject->state, format_time(material.subject->opened_at));
    }
    text += timeline_section(material);
    text += root_cause_section(material) + from_people(material, kRootCause);
    text += resolution_section(material) + from_people(material, kResolution);
    if (material.drill) {
        text += drill_sections(material);
    } else {
        text += "## Lessons Learned\n\nTo be written by a person: no workload was measured, so RTO and RPO are unknown.\n\n";
        text += from_people(material, kLessons) + "## Action Items\n\n";
        const std::string id = material.subject ? material.subject->id : "incident";
        text += action_item(material, id + "-A1", "Write down the root cause and the lessons.");
    }
    if (const std::string words = from_people(material, kActions); !words.empty()) text += "\n" + words;
    if (const std::string words = from_people(material, kNotes); !words.empty()) text += "\n## Notes\n\n" + words;
    text += "\n" + evidence_section(material);
    text += fmt::format("\n---\nWritten from the journal `{}`.\n", material.journal_file);
    return text;
}

}  // namespace aeterna::report
