// Measurement: one store under a drill's workload, and its score afterwards. Owns the ledger and the writers.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/drill/scorecard.h"
#include "engine/drill/workload.h"
#include "engine/runbook/journal.h"

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
    // `at` is the instant before the first signal: outages count from it. Writes that were acknowledged until
    // `complete`, when the fault had taken hold, count as acknowledged before it.
    void mark_fault(MonoTime at, MonoTime complete, WallTime wall_at, std::string primary);
    void mark_redundant(MonoTime at);
    [[nodiscard]] bool is_faulted() const { return faulted_; }
    [[nodiscard]] MonoTime fault_at() const { return fault_at_; }
    [[nodiscard]] WallTime fault_wall() const { return fault_wall_; }
    // Both kinds of path have an unbroken span after the fault.
    [[nodiscard]] bool is_stable() const;

    // After stop(): reads everything back and computes the score. What could not be measured becomes a note.
    [[nodiscard]] engine::StoreScore score(engine::Journal& journal, const env::Context& context);
    void clean_up(const env::Context& context);

  private:
    Measurement(std::unique_ptr<engine::DrillStore> store, std::string drill_id, const env::Env& env);
    void read_back(engine::StoreScore& score, const engine::LedgerContent& ledger, const env::Context& context);
    void add_phases(engine::StoreScore& score, const engine::LedgerContent& ledger, engine::Journal& journal);
    void add_assist(engine::StoreScore& score, engine::Journal& journal) const;

    std::unique_ptr<engine::DrillStore> store_;
    std::string drill_id_;
    const env::Env& env_;
    std::unique_ptr<engine::Ledger> ledger_;
    std::unique_ptr<engine::Workload> workload_;
    bool faulted_ = false;
    MonoTime fault_at_{};
    MonoTime fault_complete_{};
    WallTime fault_wall_{};
    std::string primary_;
    std::optional<MonoTime> redundant_at_;
};

}  // namespace aeterna::stack
