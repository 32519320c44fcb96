// What a run leaves behind.
#include <fmt/format.h>

#include <algorithm>

#include "harness/checks.h"
#include "models/postgres_sql.h"

namespace aeterna::sim {
namespace {

constexpr Duration kCooldown = std::chrono::minutes(10);  // the stack file's default

int rank(const std::string& severity) { return severity == "critical" ? 2 : severity == "degraded" ? 1 : 0; }

}  // namespace

void Checks::check_rows(const Workload& workload, Outcome& outcome) {
    for (const LedgerRow& row : workload.ledger()) {
        if (row.fate == RowFate::kAcknowledged) ++outcome.rows_acknowledged;
    }
    outcome.longest_outage = workload.longest_outage();
    outcome.thefts = cluster_.thefts();
    const int leader = cluster_.leader();
    if (leader < 0) return;
    const std::vector<std::size_t> lost = workload.lost(cluster_.postgres(leader));
    outcome.rows_lost = lost.size();
    if (!lost.empty() && cluster_.settings().synchronous_mode && outcome.thefts == 0) {
        const LedgerRow& row = workload.ledger()[lost.front() - 1];
        violated(fmt::format("{} acknowledged rows are lost in synchronous mode; the first, {}, was acknowledged by "
                             "postgres-{} at {:.3f} s",
                             lost.size(), lost.front(), row.node + 1, to_seconds(row.answered_at)));
    }
}

void Checks::check_executions(Outcome& outcome) {
    outcome.executions = crew_.executions();
    for (const std::string& line : crew_.unfinished()) violated(line);
    for (const auto& controller : controllers_) check_cooldown(*controller);
}

// The same failure of the same node is cured once, then a person is asked; what is worse never waits.
void Checks::check_cooldown(const Controller& controller) {
    struct Cure {
        const engine::ExecutionRecord* execution;
        std::string node, detector;
        int rank;
    };
    std::vector<Cure> cures;
    for (const auto& [id, execution] : controller.pages().executions) {
        if (find_string(execution.facts, "assist") != "acted" || !execution.trigger.starts_with("incident:")) continue;
        const auto incident = controller.pages().incidents.find(execution.trigger.substr(9));
        if (incident == controller.pages().incidents.end()) continue;
        cures.push_back({&execution, find_string(execution.facts, "old_primary").value_or(""), incident->second.detector,
                         rank(incident->second.severity)});
    }
    // An id begins with the controller's clock, which may have been set back.
    const auto begun_at = [&](const Cure& cure) {
        const auto begun = begun_.find(cure.execution->id);
        return begun == begun_.end() ? MonoTime{} : begun->second;
    };
    std::stable_sort(cures.begin(), cures.end(), [&](const Cure& left, const Cure& right) { return begun_at(left) < begun_at(right); });
    for (auto cure = cures.begin(); cure != cures.end(); ++cure) {
        for (auto former = cures.begin(); former != cure; ++former) {
            const auto ended = former->execution->ended_at;
            const bool is_same = former->node == cure->node && former->detector == cure->detector && former->rank >= cure->rank;
            if (!is_same || !ended || *ended > cure->execution->started_at) continue;
            const Duration later = cure->execution->started_at - *ended;
            if (later <= kCooldown)
                violated(fmt::format("{} cured {} of {} again, {} after {}", cure->execution->id, cure->detector, cure->node,
                                     format_duration(later), former->execution->id));
        }
    }
}

void Checks::check_fences(Outcome& outcome) {
    outcome.fences = kills_;
    outcome.releases = release_count_;
    for (const std::string& line : crew_.untold_fences()) violated(line);
}

void Checks::finish(const Workload& workload, bool settled, Outcome& outcome) {
    check_executions(outcome);
    check_fences(outcome);
    check_rows(workload, outcome);
    outcome.was_healthy = cluster_.is_healthy();
    outcome.final_state = cluster_.describe();
    if (!settled) outcome.final_state += "\nwaiting:\n" + world_.scheduler.describe_waiting();
    if (models::PostgresSql::unknown_statements > 0) violated("the model met a statement that it does not know");
    outcome.violations = violations_.lines();
}

}  // namespace aeterna::sim
