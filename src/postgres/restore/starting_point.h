// A base backup as what a recovery begins with.
#pragma once

#include "postgres/capture/base_backup.h"
#include "postgres/client/wal.h"
#include "repository/repository.h"

namespace aeterna::postgres {

// A checkpoint's time is taken, in whole seconds, a little before the position where replay begins: what was committed before
// that position is not younger than this much more. Both by the server's clock.
inline constexpr Duration kCheckpointSlack = std::chrono::seconds(2);

struct StartingPoint {
    BaseBackupDetails details;
    ControlFile control;
    // The segment in which it ends: from there on the log has to have the WAL, the backup brings what is before. 0 where the
    // size of a segment is not known.
    std::uint64_t wal_from = 0;
};
// The index is open. kCorrupt, kNotFound where the backup has lost its control file.
[[nodiscard]] Result<StartingPoint> read_starting_point(repository::Repository& repository, const repository::Backup& backup,
                                                        const env::Context& context);

}  // namespace aeterna::postgres
