#include "harness/workload.h"

#include <algorithm>
#include <unordered_set>

namespace aeterna::sim {
namespace {

constexpr Duration kTimeout = std::chrono::seconds(1);
constexpr std::int64_t kRowBytes = 200;

}  // namespace

Workload::Workload(Cluster& cluster, Duration period) : cluster_(cluster), period_(period) {
    ProcessOptions options;
    options.command = "application";
    options.host = &cluster_.application_host();
    process_ = &cluster_.world().processes.start(std::move(options));
    cluster_.world().scheduler.spawn(process_, "writer", [this] { run(); });
}

// Stays with the node that took the last row, as a client with a kept connection does; moves on
// after a failure.
void Workload::run() {
    World& world = cluster_.world();
    int node = 0;
    while (process_->is_alive() && !is_stopped_) {
        static_cast<void>(world.scheduler.park(world.now() + period_, {}, "its next row"));
        if (!process_->is_alive() || is_stopped_) return;
        const std::size_t index = ledger_.size();
        ledger_.push_back({RowFate::kSent, node, world.age(), {}});
        models::Postgres& server = cluster_.postgres(node);
        auto answer = world.network.call<Status>(
            *process_, server.endpoint(), {world.now() + kTimeout, {}, ""},
            {true, "row", "its row"},
            [&server, row = index + 1](Network::Listener&, const Promise<Status>& promise) {
                server.insert(row, kRowBytes,
                              [promise](Status done) { promise.send(std::move(done)); });
            });
        LedgerRow& row = ledger_[index];
        row.answered_at = world.age();
        if (answer) {
            row.fate = *answer ? RowFate::kAcknowledged : RowFate::kFailed;
        } else {
            row.fate = answer.error().code == ErrorCode::kConnectionRefused ? RowFate::kFailed
                                                                            : RowFate::kUnknown;
        }
        if (row.fate != RowFate::kAcknowledged) node = (node + 1) % Cluster::kNodes;
    }
}

std::vector<std::size_t> Workload::lost(const models::Postgres& server) const {
    std::unordered_set<std::uint64_t> there;
    for (const models::WalRecord& record : server.wal()) there.insert(record.row);
    std::vector<std::size_t> missing;
    for (std::size_t i = 0; i < ledger_.size(); ++i) {
        if (ledger_[i].fate == RowFate::kAcknowledged && !there.contains(i + 1))
            missing.push_back(i + 1);
    }
    return missing;
}

Duration Workload::longest_outage() const {
    Duration longest{};
    std::optional<Duration> last;
    for (const LedgerRow& row : ledger_) {
        if (row.fate != RowFate::kAcknowledged) continue;
        if (last) longest = std::max(longest, row.answered_at - *last);
        last = row.answered_at;
    }
    return longest;
}

}  // namespace aeterna::sim
