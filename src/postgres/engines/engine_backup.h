// A backup as an engine lists it, and the choice of one for a recovery target, by what the archive has. Pure.
//
// What an engine leaves to luck is decided here: pgBackRest takes its newest backup where none is old enough for a
// time, and promotes early where WAL is missing; WAL-G leaves all of it to whoever writes the recovery settings.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/capture/backup.h"
#include "postgres/engines/archived_wal.h"
#include "postgres/restore/recovery_target.h"

namespace aeterna::postgres {

struct EngineBackup {
    std::string id;      // "20261127-040327F", "base_000000010000000000000004"
    std::string type;    // full, diff, incr
    std::string parent;  // that it needs; empty: none
    WallTime started_at{}, finished_at{};
    Timeline timeline = 0;
    Lsn from = 0, to = 0;  // WAL that has to be replayed before it is consistent
    std::uint64_t segment_bytes = kDefaultSegmentBytes;
    std::uint64_t bytes = 0, stored_bytes = 0;
    std::optional<bool> has_damaged_pages;  // that the engine found; nothing: it does not say
    std::int64_t place = 1;                 // which of the engine's repositories has it
    std::string system_identifier, server_version;
};

// By when they ended.
void sort_oldest_first(std::vector<EngineBackup>& backups);

// An engine's repository as it is now, backups oldest first.
struct EngineCatalog {
    std::vector<EngineBackup> backups;
    ArchivedWal wal;
};

[[nodiscard]] repository::Backup catalog_entry(const EngineBackup& backup, const std::string& engine,
                                               const std::string& series);

// The segment that is missing of the WAL that the backup itself needs; empty when all of it is archived.
[[nodiscard]] std::string missing_wal(const EngineBackup& backup, const ArchivedWal& wal);

// The backup and what it builds on, itself first.
[[nodiscard]] std::vector<const EngineBackup*> lineage(const std::vector<EngineBackup>& backups,
                                                       const EngineBackup& backup);

struct EnginePoint {
    EngineBackup backup;
    Timeline timeline = 0;              // where recovery ends
    std::optional<WalStretch> stretch;  // nothing: the backup as it is
    std::vector<std::string> notes;
    std::map<std::string, std::string> settings;  // of recovery, without restore_command
};
// kUsage, kNotFound, kCorrupt. `timeline`: the newest where it is not given.
[[nodiscard]] Result<EnginePoint> choose_engine_point(const EngineCatalog& catalog, const RecoveryTarget& target,
                                                      std::optional<Timeline> timeline);

// Along the way to the newest timeline that has one; where that is not the newest of all, they say so. Who commits when is not read: a window has no end in time.
[[nodiscard]] std::vector<engine::RecoveryWindow> engine_windows(const EngineCatalog& catalog,
                                                                 const std::string& series);

// What of this can be known without the engine: each backup's own WAL, a hole behind the newest one, and whether
// there is a way to the newest timeline.
void check_archive(const EngineCatalog& catalog, std::vector<std::string>& problems,
                   std::vector<std::string>& hit_backups);

}  // namespace aeterna::postgres
