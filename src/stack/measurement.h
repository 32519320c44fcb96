// Measurement: one store under a drill's workload, and its score afterwards. Owns the ledger and the writers.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/drill/workload.h"
#include "stack/scoring.h"

namespace aeterna::stack {

class Measurement {
  public:
    // Prepares the store (table, collection) and its ledger file `<directory>/<store>.ledger`; starts nothing.
    [[nodiscard]] static Result<std::unique_ptr<Measurement>> prepare(
        std::unique_ptr<engine::DrillStore> store, const std::string& drill_id, const std::string& directory,
        const env::Env& env, const env::Context& context);

    void start();
    void stop();
    [[nodiscard]] engine::DrillStore& store() { return *store_; }
    [[nodiscard]] const engine::DrillStore& store() const { return *store_; }
    [[nodiscard]] engine::LedgerContent ledger() const { return ledger_->snapshot(); }
    [[nodiscard]] std::optional<Error> ledger_error() const { return workload_->ledger_error(); }

    // The fault, once it was injected; without a primary the store was only watched.
    void mark_fault(MonoTime at, MonoTime complete, WallTime wall_at, std::string primary);
    void mark_redundant(MonoTime at);
    [[nodiscard]] bool is_faulted() const { return fault_.is_faulted(); }
    [[nodiscard]] MonoTime fault_at() const { return fault_.at; }
    [[nodiscard]] WallTime fault_wall() const { return fault_.wall; }
    // Both kinds of path have an unbroken span after the fault.
    [[nodiscard]] bool is_stable() const;

    // After stop(): reads everything back and computes the score. What could not be measured becomes a note.
    [[nodiscard]] engine::StoreScore score(engine::Journal& journal, const env::Context& context);
    // False when something of it is left in the store; the log says why.
    bool clean_up(const env::Context& context);

  private:
    Measurement(std::unique_ptr<engine::DrillStore> store, std::string drill_id, const env::Env& env);

    std::unique_ptr<engine::DrillStore> store_;
    std::string drill_id_;
    const env::Env& env_;
    std::unique_ptr<engine::Ledger> ledger_;
    std::unique_ptr<engine::Workload> workload_;
    StoreFault fault_;
};

}  // namespace aeterna::stack
