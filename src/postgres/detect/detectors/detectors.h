// The table of PostgreSQL's detectors and their verdicts; each verdict is pure and lives in the
// file of its name.
#pragma once

#include <span>

#include "postgres/detect/detector.h"

namespace aeterna::postgres {

// Sorted by name.
[[nodiscard]] std::span<const DetectorSpec> detector_specs();

// A stall of this length alone, without any refused connection, never counts as death.
inline constexpr Duration kSilence = std::chrono::seconds(5);

[[nodiscard]] Verdict judge_agent(const World& world, const NodeSettings& node);
[[nodiscard]] Verdict judge_archiver(const World& world, const NodeSettings& node);
[[nodiscard]] Verdict judge_client_path(const World& world);
[[nodiscard]] Verdict judge_disk(const World& world, const NodeSettings& node);
[[nodiscard]] Verdict judge_etcd_quorum(const World& world);
[[nodiscard]] Verdict judge_exporter(const World& world, const NodeSettings& node);
[[nodiscard]] Verdict judge_heartbeat(const World& world);
[[nodiscard]] Verdict judge_hung_postmaster(const World& world, const NodeSettings& node);
[[nodiscard]] Verdict judge_leader_key(const World& world);
[[nodiscard]] Verdict judge_primary(const World& world, const NodeSettings& node);
[[nodiscard]] Verdict judge_replica(const World& world, const NodeSettings& node);
[[nodiscard]] Verdict judge_replication_lag(const World& world, const NodeSettings& node);
[[nodiscard]] Verdict judge_slot_held(const World& world, const NodeSettings& node);
[[nodiscard]] Verdict judge_slot_lost(const World& world, const NodeSettings& node);
[[nodiscard]] Verdict judge_slot_protection(const World& world);
[[nodiscard]] Verdict judge_sync_key(const World& world);
[[nodiscard]] Verdict judge_timeline(const World& world, const NodeSettings& node);
[[nodiscard]] Verdict judge_two_primaries(const World& world);
[[nodiscard]] Verdict judge_unreachable(const World& world);
[[nodiscard]] Verdict judge_wal_growth(const World& world, const NodeSettings& node);

}  // namespace aeterna::postgres
