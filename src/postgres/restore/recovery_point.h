// Which backup a restore begins with, and how far the captured WAL takes it: reads the WAL of the whole way, so that what is
// promised is there.
#pragma once

#include "postgres/capture/base_backup.h"
#include "postgres/restore/recovery_target.h"
#include "postgres/capture/wal_path.h"
#include "repository/repository.h"

namespace aeterna::postgres {

// WAL that a restored server replays.
struct Replay {
    Timeline timeline = 0;         // that the last record belongs to
    Timeline timeline_before = 0;  // that what stands right before it belongs to
    // The beginning of the segment in which the backup ends: the log is asked for nothing before it, the backup brings that.
    Lsn from = 0;
    // Of the one in which the backup begins, where the log has everything from there on; 0: it has not.
    Lsn whole_from = 0;
    RecoveryStop stop;
};

struct RecoveryPoint {
    repository::Backup backup;
    BaseBackupDetails details;
    std::optional<Replay> replay;    // nothing: to the end of the backup, by the WAL that it brings
    // The replay's records begin with the WAL that the backup brings: the log has that too.
    bool has_seen_own_wal = false;
    std::vector<std::string> notes;  // what people should know of the choice
};

struct RecoveryOrder {
    RecoveryTarget target;
    std::string series;                // of which name; empty: the only one there is
    std::optional<Timeline> timeline;  // nothing: the newest one
    // Of which cluster, where the series has several (one that was made anew, or upgraded to another major version). Empty: the newest
    // backup's; for a time the newest one that has it.
    std::string system_identifier;
};

// kNotFound for a target before the first backup, behind the last WAL, or that is not there; kUsage where the choice is not
// clear; kCorrupt for WAL that does not go on from the backup.
[[nodiscard]] Result<RecoveryPoint> choose_recovery_point(repository::Repository& repository, const RecoveryOrder& order,
                                                          const env::Context& context);

}  // namespace aeterna::postgres
