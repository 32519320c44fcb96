// Scorecards and material for the report's tests: one realistic drill of three stores.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engine/drill/scorecard.h"
#include "report/post_mortem.h"

namespace aeterna::report::test {

// 2026-11-23T10:15:00.123Z
inline WallTime injected() { return from_unix_us(1795428900123000); }

inline engine::StoreScore faulted_store(const std::string& name, double detected, double promoted, double rto,
                                        double client_rto) {
    engine::StoreScore score;
    score.store = name;
    score.faulted = true;
    score.primary = name + "-1";
    score.new_primary = name + "-2";
    score.objectives = {5min, 5min};
    score.rto_seconds = rto;
    score.client_rto_seconds = client_rto;
    score.detect_seconds = detected;
    score.loss = engine::Loss{};
    score.loss->acknowledged = 5231;
    score.phases = {{"injected", name, 0},           {"first_failure", name, 0.01}, {"detected", name, detected},
                    {"promoted", name, promoted},    {"first_success", name, rto},  {"stable", name, client_rto + 5},
                    {"redundancy_restored", name, 44.2}};
    return score;
}

inline engine::StoreScore watched_store(const std::string& name) {
    engine::StoreScore score;
    score.store = name;
    score.server = "stand-in";
    score.objectives = {10min, 5min};
    score.rto_seconds = 0.012;
    score.client_rto_seconds = 0.015;
    score.loss = engine::Loss{};
    score.loss->acknowledged = 6003;
    return score;
}

inline engine::Scorecard drill_card(std::vector<engine::StoreScore> stores, const std::string& fault = "kill") {
    engine::Scorecard card;
    card.drill_id = "q1-20261123T101459Z-3f2a";
    card.seed = 42;
    card.fault = fault;
    card.started_at = injected() - 10s;
    card.injected_at = injected();
    card.objectives = {15min, 5min};
    card.stores = std::move(stores);
    card.healed = true;
    return card;
}

inline void lose(engine::StoreScore& score, std::uint64_t before, std::uint64_t after, double rpo_seconds) {
    for (std::uint64_t id = 1; id <= before + after; ++id) score.loss->lost.push_back(id);
    score.loss->lost_before = before;
    score.loss->lost_after = after;
    score.loss->rpo_seconds = rpo_seconds;
}

inline Material drill_material(const engine::Scorecard& card) {
    Material material;
    material.stack = "lab";
    engine::DrillRecord record;
    record.id = card.drill_id;
    record.drill = "q1";
    record.state = "finished";
    record.started_at = card.started_at;
    record.parameters = {{"seed", card.seed}, {"fault", card.fault}};
    record.scorecard = to_json(card);
    material.drill = record;
    material.ledger_directory = "/state/drills/" + card.drill_id;
    material.journal_file = "/state/journal.db";
    return material;
}

}  // namespace aeterna::report::test
