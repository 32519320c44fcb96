// Orders: what people and drills have said beside the stack file: maintenance windows, the running drill's word for the
// assist, and what is held fenced. They are in the journal and on the hosts, so that every process sees the same.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "app/daemon/fences.h"
#include "config/stack.h"
#include "engine/runbook/journal.h"
#include "env/env.h"

namespace aeterna::app {

struct Orders {
    std::vector<engine::MaintenanceRecord> windows;  // that held when they were read
    std::optional<engine::DrillRecord> drill;        // the one that runs
    Fences fences;                                   // as OrdersWatch sees them
    std::map<std::string, std::string>
        restores;  // by store: the execution that puts it back in place, and has not ended

    // The one that lasts longest of those that hold for the store now; nullptr when there is none.
    [[nodiscard]] const engine::MaintenanceRecord* window_for(const std::string& store, WallTime now) const;
    // The running drill's own word; nothing while none runs, or when it leaves that to the stack file.
    [[nodiscard]] std::optional<config::Assist> drill_assist() const;
};

// Without the fences. A drill counts as running while the process that began it lives: a killed one leaves its record behind.
[[nodiscard]] Result<Orders> read_orders(engine::Journal& journal, const env::Env& env);

// "maintenance of every store until 2026-03-01T12:00:00Z: new disks".
[[nodiscard]] std::string describe(const engine::MaintenanceRecord& window);

// Writes into the status what they say: assist, maintenance, fenced nodes. Pure.
void annotate(engine::StackStatus& status, const config::Stack& stack, const Orders& orders);

// Reads the orders, with the fences, again and again on a thread of its own: the judge takes the latest and never waits
// for the journal.
class OrdersWatch {
  public:
    // Reads them once before it returns. All must outlive it.
    OrdersWatch(const config::Stack& stack, engine::Journal& journal, const env::Env& env);
    ~OrdersWatch();
    OrdersWatch(const OrdersWatch&) = delete;
    OrdersWatch& operator=(const OrdersWatch&) = delete;

    [[nodiscard]] std::shared_ptr<const Orders> latest() const;

  private:
    void look();

    const config::Stack& stack_;
    engine::Journal& journal_;
    const env::Env& env_;
    mutable std::mutex mutex_;
    std::shared_ptr<const Orders> latest_;
    bool failed_ = false;
    std::unique_ptr<env::Thread> thread_;
};

}  // namespace aeterna::app
