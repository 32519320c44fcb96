// Workload: an application that writes rows to whichever node takes them, and a ledger of what it
// was told.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "harness/cluster.h"

namespace aeterna::sim {

enum class RowFate { kSent, kAcknowledged, kFailed, kUnknown };

struct LedgerRow {
    RowFate fate = RowFate::kSent;
    int node = 0;
    Duration sent_at{};
    Duration answered_at{};
};

class Workload {
  public:
    Workload(Cluster& cluster, Duration period);
    void stop() { is_stopped_ = true; }
    [[nodiscard]] const std::vector<LedgerRow>& ledger() const { return ledger_; }
    // Rows that were acknowledged and are not in `server`'s WAL.
    [[nodiscard]] std::vector<std::size_t> lost(const models::Postgres& server) const;
    // The longest time between two acknowledgements.
    [[nodiscard]] Duration longest_outage() const;

  private:
    void run();

    Cluster& cluster_;
    Duration period_;
    Process* process_ = nullptr;
    bool is_stopped_ = false;
    std::vector<LedgerRow> ledger_;  // row id = index + 1
};

}  // namespace aeterna::sim
