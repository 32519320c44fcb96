#include "harness/memory_journal.h"

#include <fmt/format.h>

#include <algorithm>

namespace aeterna::sim {
namespace {

constexpr Duration kShortestWrite = std::chrono::microseconds(200);
constexpr Duration kLongestWrite = std::chrono::milliseconds(6);

Error closed() {
    return make_error(ErrorCode::kIo, "the journal is closed: this process has ended");
}

template <class Record>
Result<std::optional<Record>> find_record(const std::map<std::string, Record>& all,
                                          const std::string& id) {
    const auto found = all.find(id);
    if (found == all.end()) return std::optional<Record>();
    return std::optional(found->second);
}

template <class Record>
std::vector<Record> newest_first(const std::map<std::string, Record>& all, std::size_t limit) {
    std::vector<Record> found;
    for (auto it = all.rbegin(); it != all.rend() && found.size() < limit; ++it)
        found.push_back(it->second);
    std::stable_sort(found.begin(), found.end(),
                     [](const Record& a, const Record& b) { return a.started_at > b.started_at; });
    return found;
}

}  // namespace

void MemoryJournal::stall() {
    world_.trace("the controller is stopped at a journal write");
    world_.processes.signal(process_, SIGSTOP);
    world_.scheduler.after(crash_.stall_for, [this] { world_.processes.signal(process_, SIGCONT); });
    static_cast<void>(world_.scheduler.park(world_.now(), {}, "its turn"));
}

template <class Write>
Status MemoryJournal::write(bool counts, Write perform) {
    if (!process_.is_alive()) return closed();
    static_cast<void>(world_.scheduler.park(
        world_.now() + world_.rng().between(kShortestWrite, kLongestWrite), {}, "its journal"));
    if (!process_.is_alive()) return closed();
    const bool dies = counts && ++pages_.execution_writes == crash_.at_write;
    if (!dies || crash_.is_durable) perform();
    if (counts && pages_.execution_writes == crash_.stall_at_write) stall();
    if (!dies) return {};
    world_.trace("the controller dies at a journal write");
    world_.processes.kill(process_);
    return closed();
}

Status MemoryJournal::put_execution(const engine::ExecutionRecord& execution) {
    return write(true, [&] { pages_.executions[execution.id] = execution; });
}

Result<std::optional<engine::ExecutionRecord>> MemoryJournal::execution(const std::string& id) {
    return find_record(pages_.executions, id);
}

Result<std::vector<engine::ExecutionRecord>> MemoryJournal::executions(std::size_t limit) {
    return newest_first(pages_.executions, limit);
}

Result<std::vector<engine::ExecutionRecord>> MemoryJournal::executions_of(const std::string& runbook, std::size_t limit) {
    auto found = newest_first(pages_.executions, pages_.executions.size());
    std::erase_if(found, [&](const engine::ExecutionRecord& one) { return one.runbook != runbook; });
    if (found.size() > limit) found.resize(limit);
    return found;
}

Status MemoryJournal::append_step(const engine::StepRecord& record) {
    if (world_.is_traced()) {
        world_.trace(fmt::format("{}: {} {} {} {}", record.execution_id, record.step, record.phase, record.outcome,
                                 record.detail));
    }
    return write(true, [&] { pages_.steps.push_back(record); });
}

Result<std::vector<engine::StepRecord>> MemoryJournal::steps(const std::string& execution_id) {
    std::vector<engine::StepRecord> found;
    for (const engine::StepRecord& step : pages_.steps) {
        if (step.execution_id == execution_id) found.push_back(step);
    }
    return found;
}

Status MemoryJournal::put_incident(const engine::IncidentSummary& incident) {
    return write(false, [&] { pages_.incidents[incident.id] = incident; });
}

Result<std::vector<engine::IncidentSummary>> MemoryJournal::incidents(WallTime since,
                                                                      std::size_t limit) {
    std::vector<engine::IncidentSummary> found;
    for (const auto& [id, incident] : pages_.incidents) {
        const bool is_recent =
            incident.state == "open" || (incident.closed_at && *incident.closed_at >= since);
        if (is_recent) found.push_back(incident);
    }
    std::stable_sort(found.begin(), found.end(),
                     [](const auto& a, const auto& b) { return a.opened_at > b.opened_at; });
    if (found.size() > limit) found.resize(limit);
    return found;
}

Status MemoryJournal::append_event(const engine::StoreEvent& event) {
    return write(false, [&] { pages_.events.push_back(event); });
}

Result<std::vector<engine::StoreEvent>> MemoryJournal::events(WallTime from, WallTime to) {
    std::vector<engine::StoreEvent> found;
    for (const engine::StoreEvent& event : pages_.events) {
        if (event.at >= from && event.at <= to) found.push_back(event);
    }
    std::stable_sort(found.begin(), found.end(),
                     [](const auto& a, const auto& b) { return a.at < b.at; });
    return found;
}

Status MemoryJournal::put_fault(const engine::FaultRecord& fault) {
    return write(false, [&] { pages_.faults[fault.id] = fault; });
}

Result<std::vector<engine::FaultRecord>> MemoryJournal::unhealed_faults() {
    std::vector<engine::FaultRecord> found;
    for (const auto& [id, fault] : pages_.faults) {
        if (fault.state != "healed") found.push_back(fault);
    }
    return found;
}

Status MemoryJournal::put_drill(const engine::DrillRecord& drill) {
    return write(false, [&] { pages_.drills[drill.id] = drill; });
}

Result<std::optional<engine::DrillRecord>> MemoryJournal::drill(const std::string& id) {
    return find_record(pages_.drills, id);
}

Result<std::vector<engine::DrillRecord>> MemoryJournal::drills(std::size_t limit) {
    return newest_first(pages_.drills, limit);
}

Result<std::optional<engine::IncidentSummary>> MemoryJournal::incident(const std::string& id) {
    return find_record(pages_.incidents, id);
}

Result<std::vector<engine::IncidentSummary>> MemoryJournal::open_incidents() {
    return incidents(WallTime::max(), SIZE_MAX);
}

Result<std::vector<engine::FaultRecord>> MemoryJournal::faults_of(const std::string& drill_id) {
    std::vector<engine::FaultRecord> found;
    for (const auto& [id, fault] : pages_.faults) {
        if (fault.drill_id == drill_id) found.push_back(fault);
    }
    return found;
}

Status MemoryJournal::put_maintenance(const engine::MaintenanceRecord& window) {
    return write(false, [&] { pages_.windows[window.id] = window; });
}

Result<std::vector<engine::MaintenanceRecord>> MemoryJournal::maintenance(WallTime since) {
    std::vector<engine::MaintenanceRecord> found;
    for (const auto& window : newest_first(pages_.windows, SIZE_MAX)) {
        if (window.ended_at.value_or(window.until) >= since) found.push_back(window);
    }
    return found;
}

Result<std::vector<engine::DrillRecord>> MemoryJournal::unfinished_drills() {
    std::vector<engine::DrillRecord> found;
    for (const auto& [id, drill] : pages_.drills) {
        if (drill.state == "running" || drill.state == "ending") found.push_back(drill);
    }
    return found;
}

Status MemoryJournal::put_request(const engine::RequestRecord& request) {
    return write(false, [&] { pages_.requests[request.id] = request; });
}

Result<std::optional<engine::RequestRecord>> MemoryJournal::request(const std::string& id) {
    return find_record(pages_.requests, id);
}

Result<std::vector<engine::RequestRecord>> MemoryJournal::open_requests() {
    std::vector<engine::RequestRecord> found;
    for (const auto& [id, request] : pages_.requests) {
        if (request.answer.is_null()) found.push_back(request);
    }
    return found;
}

}  // namespace aeterna::sim
