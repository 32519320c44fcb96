#include "harness/checks.h"

#include <fmt/format.h>

#include <algorithm>

#include "models/postgres_sql.h"

namespace aeterna::sim {

Checks::Checks(World& world, Cluster& cluster,
               std::vector<std::unique_ptr<Controller>>& controllers)
    : world_(world), cluster_(cluster), controllers_(controllers) {
    cluster_.etcd().on_client_change = [this](Process& client, const models::EtcdStore& before,
                                              const models::EtcdStore& after) {
        key_changed(client, before, after);
    };
    for (int i = 0; i < Cluster::kNodes; ++i) {
        cluster_.postgres(i).on_write = [this](const models::Postgres& server,
                                               const models::WalRecord&) { written(server); };
    }
    world_.processes.on_signal = [this](Process& from, const Process& to, int number) {
        signalled(from, to, number);
    };
}

void Checks::violated(const std::string& what) {
    const std::string line = fmt::format("at {:.3f} s: {}", to_seconds(world_.age()), what);
    world_.trace("VIOLATION: " + what);
    if (violations_.size() < 10) violations_.push_back(line);
}

const Controller* Checks::owner(const Process& process) const {
    for (const auto& controller : controllers_) {
        if (controller->owns(process)) return controller.get();
    }
    return nullptr;
}

bool Checks::is_isolated(const Process& process) const {
    for (int i = 0; i < Cluster::kNodes; ++i) {
        const Host* host = &cluster_.host(i);
        if (world_.network.is_open(process.host, host) ||
            world_.network.is_open(host, process.host))
            return false;
    }
    return true;
}

void Checks::key_changed(Process& client, const models::EtcdStore& before,
                         const models::EtcdStore& after) {
    if (owner(client) == nullptr) return;
    const std::string path = cluster_.settings().prefix + "leader";
    const models::EtcdKey* had = before.find(path);
    const models::EtcdKey* has = after.find(path);
    if (had == nullptr || (has != nullptr && has->value == had->value && has->lease == had->lease))
        return;
    ++release_count_;
    releases_[had->value] = {world_.age(), true};
    world_.trace(fmt::format("{} released the leader key of {}", client.command, had->value));
}

// The one whose key we took may write again once it holds the key anew.
void Checks::written(const models::Postgres& server) {
    const auto found = releases_.find(server.name());
    if (found == releases_.end() || !found->second.is_open) return;
    const models::EtcdKey* key =
        cluster_.etcd().store().find(cluster_.settings().prefix + "leader");
    if (key != nullptr && key->value == server.name()) {
        found->second.is_open = false;
        return;
    }
    found->second.is_open = false;  // once is enough
    violated(fmt::format("{} wrote after its leader key had been released by us at {:.3f} s",
                         server.name(), to_seconds(found->second.at)));
}

void Checks::signalled(Process& from, const Process& to, int number) {
    if (owner(from) == nullptr) return;
    if (number == SIGKILL) ++kills_;
    if (is_isolated(from))
        violated(fmt::format("{} signalled {} while it was cut off", from.command, to.command));
}

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
        violated(fmt::format(
            "{} acknowledged rows are lost in synchronous mode; the first, {}, was acknowledged by "
            "postgres-{} at {:.3f} s",
            lost.size(), lost.front(), row.node + 1, to_seconds(row.answered_at)));
    }
}

void Checks::check_executions(Outcome& outcome) {
    for (const auto& controller : controllers_) {
        if (!controller->failure().empty())
            violated("the controller could not run: " + controller->failure());
        for (const auto& [id, execution] : controller->pages().executions) {
            ++outcome.executions;
            if (execution.state == engine::ExecutionState::kRunning) {
                violated(fmt::format("execution {} neither ended nor asks", id));
            }
        }
    }
}

void Checks::check_fences(Outcome& outcome) {
    outcome.fences = kills_;
    outcome.releases = release_count_;
    for (const std::string& marker : cluster_.markers()) {
        bool is_told = false;
        for (const auto& controller : controllers_) {
            for (const auto& [id, execution] : controller->pages().executions) {
                const Json* fenced = find_member(execution.facts, "fenced");
                const bool names_it =
                    fenced != nullptr && !fenced->empty() && marker.find(id) != std::string::npos;
                is_told =
                    is_told || (names_it && execution.state != engine::ExecutionState::kSucceeded);
            }
        }
        if (!is_told) violated("a fence was left and nobody tells of it: " + marker);
    }
}

void Checks::finish(const Workload& workload, bool settled, Outcome& outcome) {
    check_executions(outcome);
    check_fences(outcome);
    check_rows(workload, outcome);
    outcome.was_healthy = cluster_.is_healthy();
    outcome.final_state = cluster_.describe();
    if (!settled) outcome.final_state += "\nwaiting:\n" + world_.scheduler.describe_waiting();
    if (models::PostgresSql::unknown_statements > 0)
        violated("the model met a statement that it does not know");
    outcome.violations = violations_;
}

}  // namespace aeterna::sim
