// The Qdrant probes: per node its API (GET /, /cluster), and its collections with their replicas (a
// bounded number per round, all in turn); once our own metric in Prometheus. They observe and post;
// judgement is verdict.h's.
#pragma once

#include <vector>

#include "engine/detect/monitor.h"
#include "qdrant/detect/board.h"

namespace aeterna::qdrant {

inline constexpr Duration kApiPeriod = 500ms;
inline constexpr Duration kApiTimeout = 1s;
inline constexpr Duration kCollectionsPeriod = 1s;
inline constexpr Duration kCollectionsTimeout = 2s;
inline constexpr Duration kMetricPeriod = 5s;
inline constexpr Duration kMetricTimeout = 2s;
// Collections looked at per round and node; the next round goes on behind them.
inline constexpr std::size_t kCollectionsPerRound = 32;
// Collections remembered per node.
inline constexpr std::size_t kCollectionsKept = 1024;

// `board` and `env` must outlive the tasks.
[[nodiscard]] std::vector<engine::ProbeTask> make_probes(const SettingsPointer& settings,
                                                         Board& board, const env::Env& env);

}  // namespace aeterna::qdrant
