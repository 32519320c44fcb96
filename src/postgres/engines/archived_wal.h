// The WAL that an engine's archive has, by what it lists: whether a backup's own WAL is whole, and how far one can go
// on from it. No engine says so itself: pgBackRest's `info` knows the first and the last segment only, and its `verify`
// calls an archive valid in which the WAL of a backup is missing (tried with 2.45). Pure.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "postgres/client/wal.h"
#include "postgres/capture/wal_path.h"

namespace aeterna::postgres {

struct ArchivedWal {
    std::uint64_t segment_bytes = kDefaultSegmentBytes;
    // Timeline → number of the segment (its position ÷ segment_bytes) → when it was stored, by the archive's clock;
    // nothing where the engine does not say.
    std::map<Timeline, std::map<std::uint64_t, std::optional<WallTime>>> segments;
    std::map<Timeline, std::string> histories;  // text of the history files

    void add(const WalSegmentName& name, std::optional<WallTime> stored_at);
    [[nodiscard]] Timeline newest() const;  // 0: there is no WAL
    [[nodiscard]] Timeline newest_below(Timeline timeline) const;  // of those that anything is known of; 0: none
    // kNotFound where the timeline or its history file is not there.
    [[nodiscard]] Result<WalPath> path_to(Timeline timeline) const;
};

// From a position on, without a hole.
struct WalStretch {
    Lsn to = 0;           // the first byte that is not there
    std::string missing;  // the segment that is not there though later ones are; empty: the archive ends here
    std::optional<WallTime> stored_at;  // when the last segment was stored
};
[[nodiscard]] WalStretch follow(const ArchivedWal& wal, const WalPath& path, Lsn from);

// The only power of two from 1 MiB to 1 GiB (initdb --wal-segsize) by which `segment` is the one that has `lsn`; the
// usual size where several are. Nothing when none is.
[[nodiscard]] std::optional<std::uint64_t> segment_bytes_by(const WalSegmentName& segment, Lsn lsn);

}  // namespace aeterna::postgres
