#include "harness/crew.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/runbook/execution_run.h"
#include "engine/runbook/proposal.h"
#include "engine/runbook/requests.h"

namespace aeterna::sim {
namespace {

constexpr Duration kCrewLookEvery = std::chrono::milliseconds(250);
constexpr Duration kHelpEvery = std::chrono::seconds(3);
constexpr Duration kCrewBegin = std::chrono::milliseconds(1300);  // once the servers stand

}  // namespace

Duration approval_of(std::uint64_t seed, const std::string& assist) {
    if (assist != "propose" || seed % 2 == 0) return {};
    return 200ms + (seed / 2 % 13) * 1s;
}

Crew::Crew(World& world, Site& site, CrewPlan plan) : world_(world), site_(site), plan_(std::move(plan)) {
    for (int i = 0; i < plan_.controllers; ++i) {
        controllers_.push_back(std::make_unique<Controller>(site_, i, plan_.assist));
    }
    if (plan_.slow_marker > Duration()) slow_down_marker();
}

void Crew::slow_down_marker() {
    world_.disk.write_takes = [this](const Process& by, const std::string& path) {
        const auto& fences = site_.fence_directories;
        const bool is_marker = std::any_of(fences.begin(), fences.end(), [&](const std::string& one) { return path.starts_with(one); });
        if (!is_marker || ++markers_ != plan_.slow_marker_number) return Duration();
        world_.trace(fmt::format("the disk under the marker of {} stands still", by.command));
        slow_marker_ = path;
        slow_marker_ends_ = world_.now() + plan_.slow_marker;
        return plan_.slow_marker;
    };
}

Duration Crew::marker_took(const std::string& node, const std::string& holder) const {
    return slow_marker_.ends_with("/" + node + "/" + holder) ? plan_.slow_marker : Duration();
}

void Crew::start() {
    for (std::size_t i = 0; i < controllers_.size(); ++i) {
        const CrashPoint crash = i == 0 ? plan_.crash : CrashPoint();
        world_.scheduler.after(kCrewBegin + i * 70ms, [this, i, crash] { start(i, crash); });
    }
}

void Crew::start(std::size_t index, CrashPoint crash) {
    Controller& controller = *controllers_[index];
    if (controller.is_running()) return;
    controller.start(crash);
    controller.process()->on_death.emplace_back([this, index] {
        if (!is_over_) world_.scheduler.after(plan_.restart_after, [this, index] { start(index, {}); });
    });
}

bool Crew::is_at_rest() const {
    for (const auto& controller : controllers_) {
        if (!controller->is_running()) return false;
        for (const auto& [id, execution] : controller->pages().executions) {
            if (execution.state == engine::ExecutionState::kRunning) return false;
        }
    }
    return true;
}

bool Crew::wait_for_rest(const Rest& rest) {
    int calm = 0;
    MonoTime help_at{};
    while (world_.age() < rest.longest) {
        static_cast<void>(world_.scheduler.run_until(world_.now() + kCrewLookEvery));
        if (plan_.approves_after > Duration()) approve_proposals();
        const bool is_over = rest.are_faults_over();
        calm = is_over && rest.is_healthy() && is_at_rest() ? calm + 1 : 0;
        if (calm >= 12) return true;
        if (!is_over || calm > 0 || world_.now() < help_at) continue;
        rest.help();
        help_at = world_.now() + kHelpEvery;
    }
    return false;
}

bool Crew::is_reported(const std::string& node) const {
    for (const auto& controller : controllers_) {
        for (const auto& [id, incident] : controller->pages().incidents) {
            const bool tells = incident.detector == "hosts.fence_left" && incident.state == "open";
            if (tells && incident.subject == node) return true;
        }
    }
    return false;
}

// As `failover` does it: the yes is a request in the journal of whoever proposes.
void Crew::approve_proposals() {
    for (std::size_t i = 0; i < controllers_.size(); ++i) {
        JournalPages& pages = controllers_[i]->pages();
        for (const auto& [id, execution] : pages.executions) {
            if (!controllers_[i]->is_running() || !engine::open_proposal(execution)) continue;
            const MonoTime since = proposed_since_.try_emplace(id, world_.now()).first->second;
            const bool is_due = world_.now() - since >= plan_.approves_after;
            if (!is_due || pages.requests.contains("req-" + id)) continue;
            world_.trace("the operator says yes to " + id);
            pages.requests["req-" + id] = {"req-" + id, std::string(engine::kApproveExecution), id, "operator",
                                           world_.wall_now(site_.controller_host(static_cast<int>(i))), {}};
        }
    }
}

bool Crew::has_approved(int controller, const std::string& execution) const {
    const auto& requests = controllers_[static_cast<std::size_t>(controller)]->pages().requests;
    const auto asked = requests.find("req-" + execution);
    return asked != requests.end() && find_string(asked->second.answer, "summary") == "approved";
}

void Crew::lift_reported_fences() {
    for (const std::string& directory : site_.fence_directories) {
        for (const std::string& node : world_.disk.list(directory)) {
            if (!is_reported(node)) continue;
            for (const std::string& holder : world_.disk.list(directory + "/" + node)) {
                world_.trace("the operator lifts the fence of " + node + " by " + holder);
                world_.disk.remove(directory + "/" + node + "/" + holder);
            }
        }
    }
}

std::vector<std::string> Crew::untold_fences() {
    std::vector<std::string> untold;
    for (const std::string& marker : site_.markers()) {
        bool is_told = is_reported(marker.substr(0, marker.find(' ')));
        for (const auto& controller : controllers_) {
            for (const auto& [id, execution] : controller->pages().executions) {
                const Json* fenced = find_member(execution.facts, "fenced");
                const bool names_it = fenced != nullptr && !fenced->empty() && marker.find(id) != std::string::npos;
                is_told = is_told || (names_it && engine::is_resumable(execution));
            }
        }
        if (!is_told) untold.push_back("a fence was left and nobody tells of it: " + marker);
    }
    return untold;
}

std::vector<std::string> Crew::unfinished() const {
    std::vector<std::string> lines;
    for (const auto& controller : controllers_) {
        if (!controller->failure().empty()) lines.push_back("the controller could not run: " + controller->failure());
        for (const auto& [id, execution] : controller->pages().executions) {
            if (execution.state == engine::ExecutionState::kRunning)
                lines.push_back(fmt::format("execution {} neither ended nor asks", id));
        }
    }
    return lines;
}

bool Crew::is_person_asked(const std::string& runbook) const {
    return std::any_of(controllers_.begin(), controllers_.end(), [&](const auto& controller) {
        const auto& executions = controller->pages().executions;
        return std::any_of(executions.begin(), executions.end(), [&](const auto& entry) {
            return entry.second.runbook == runbook && entry.second.state == engine::ExecutionState::kAwaitingApproval;
        });
    });
}

int Crew::executions() const {
    std::size_t count = 0;
    for (const auto& controller : controllers_) count += controller->pages().executions.size();
    return static_cast<int>(count);
}

bool Crew::is_at_work(int controller) const {
    const auto index = static_cast<std::size_t>(controller);
    if (index >= controllers_.size()) return false;
    return controllers_[index]->is_running() && !controllers_[index]->process()->is_stopped();
}

int Crew::owner(const Process& process) const {
    for (std::size_t i = 0; i < controllers_.size(); ++i) {
        if (controllers_[i]->owns(process)) return static_cast<int>(i);
    }
    return -1;
}

}  // namespace aeterna::sim
