#include "engine/detect/incident_book.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/runbook/journal.h"

namespace aeterna::engine {
namespace {

constexpr Duration kWordsEvery = std::chrono::seconds(5);

IncidentChange closed(IncidentSummary incident, WallTime now) {
    incident.state = "closed";
    incident.closed_at = now;
    return {IncidentChange::Kind::kClosed, std::move(incident)};
}

Error not_open(const std::string& id) {
    return make_error(ErrorCode::kNotFound, fmt::format("no incident '{}' is open", id),
                      "List them with 'aeterna-dr incident list'.");
}

}  // namespace

std::vector<IncidentChange> IncidentBook::restore(const std::vector<IncidentSummary>& incidents, WallTime now) {
    std::vector<IncidentChange> changes;
    for (const IncidentSummary& incident : incidents) {
        if (incident.closed_at) continue;
        const bool taken = open_.try_emplace({incident.detector, incident.subject}, Entry{incident, now}).second;
        if (!taken) changes.push_back(closed(incident, now));
    }
    return changes;
}

std::vector<IncidentChange> IncidentBook::update(const std::vector<Finding>& findings, WallTime now) {
    std::vector<IncidentChange> changes;
    for (const Finding& finding : findings) {
        const bool fires = finding.state == FindingState::kFiring;
        // What most findings are: nothing is wrong, and nothing was.
        if (!fires && (finding.state != FindingState::kClear || open_.empty())) continue;
        const auto found = open_.find({finding.detector, finding.subject});
        if (found == open_.end()) {
            if (fires) changes.push_back(open_one(finding, now));
        } else if (!fires) {
            changes.push_back(closed(std::move(found->second.incident), now));
            open_.erase(found);
        } else if (auto change = update_one(found->second, finding, now)) {
            changes.push_back(std::move(*change));
        }
    }
    return changes;
}

IncidentChange IncidentBook::open_one(const Finding& finding, WallTime now) {
    IncidentSummary incident;
    incident.id = make_record_id("inc", now, random_.next());
    incident.detector = finding.detector;
    incident.store = finding.store;
    incident.subject = finding.subject;
    incident.severity = std::string(severity_name(finding.severity));
    incident.state = "open";
    incident.summary = finding.summary;
    incident.reasons = finding.reasons;
    incident.opened_at = now;
    open_[{finding.detector, finding.subject}] = Entry{incident, now};
    return {IncidentChange::Kind::kOpened, std::move(incident)};
}

std::optional<IncidentChange> IncidentBook::update_one(Entry& entry, const Finding& finding, WallTime now) {
    IncidentSummary& incident = entry.incident;
    const bool other_severity = incident.severity != severity_name(finding.severity);
    const bool other_words = incident.summary != finding.summary || incident.reasons != finding.reasons;
    // A wall clock that was set back must not silence the words for long.
    const bool due = now - entry.changed_at >= kWordsEvery || now < entry.changed_at;
    if (!other_severity && !(other_words && due)) return std::nullopt;
    incident.severity = std::string(severity_name(finding.severity));
    incident.summary = finding.summary;
    incident.reasons = finding.reasons;
    entry.changed_at = now;
    return IncidentChange{IncidentChange::Kind::kUpdated, incident};
}

Result<IncidentChange> IncidentBook::close(const std::string& id, const std::vector<Finding>& findings, WallTime now) {
    const auto entry = find_open(id);
    if (entry == open_.end()) return not_open(id);
    for (const Finding& finding : findings) {
        const bool is_same = Key{finding.detector, finding.subject} == entry->first;
        if (!is_same || finding.state != FindingState::kFiring) continue;
        return make_error(ErrorCode::kGuardRefused, fmt::format("incident '{}' still fires: {}", id, finding.summary),
                          "It closes by itself when that is over; `incident ack` says that you know.");
    }
    IncidentChange change = closed(std::move(entry->second.incident), now);
    open_.erase(entry);
    return change;
}

Result<IncidentChange> IncidentBook::acknowledge(const std::string& id, const std::string& by, WallTime now) {
    const auto entry = find_open(id);
    if (entry == open_.end()) return not_open(id);
    entry->second.incident.acknowledged_at = now;
    entry->second.incident.acknowledged_by = by;
    return IncidentChange{IncidentChange::Kind::kUpdated, entry->second.incident};
}

std::map<IncidentBook::Key, IncidentBook::Entry>::iterator IncidentBook::find_open(const std::string& id) {
    return std::find_if(open_.begin(), open_.end(),
                        [&](const auto& entry) { return entry.second.incident.id == id; });
}

std::vector<IncidentSummary> IncidentBook::open() const {
    std::vector<IncidentSummary> incidents;
    for (const auto& [key, entry] : open_) incidents.push_back(entry.incident);
    std::stable_sort(incidents.begin(), incidents.end(),
                     [](const auto& a, const auto& b) { return a.opened_at < b.opened_at; });
    return incidents;
}

}  // namespace aeterna::engine
