// Which WAL the repository lacks on the way to a cluster's newest timeline: each backup's chain, held against what the
// logs have.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "postgres/capture/wal_path.h"
#include "repository/log_ends.h"

namespace aeterna::postgres {

// [from, to) of a timeline's log.
struct WalHole {
    Timeline timeline = 0;
    Lsn from = 0, to = 0;
    friend auto operator<=>(const WalHole&, const WalHole&) = default;
};
// "the WAL of timeline 1 from 0/3000000 to 0/5000000"
[[nodiscard]] std::string describe_hole(const WalHole& hole);

// What the logs of one cluster have, in order.
using CapturedWal = std::map<Timeline, std::vector<repository::LogRange>>;
// kCorrupt for a damaged piece that nothing was merged with; a damaged merged one counts as there.
[[nodiscard]] Result<CapturedWal> captured_wal(repository::Repository& repository, const WalPath& path,
                                               const env::Context& context);
[[nodiscard]] Result<CapturedWal> captured_wal(repository::Repository& repository, const WalPath& path,
                                               repository::LogEnds& ends, const env::Context& context);

// What is missing of the way between `needed_from`, or its first captured byte where that is nothing, and its last one.
// Oldest first. Pure.
[[nodiscard]] std::vector<WalHole> find_holes(const WalPath& path, const CapturedWal& captured,
                                              std::optional<Lsn> needed_from);
// Where the way goes on behind `end`, which is not captured; nothing where the history ends there. Pure.
[[nodiscard]] std::optional<Lsn> next_captured(const WalPath& path, const CapturedWal& captured, Lsn end);

struct WalAudit {
    WalPath path;
    std::vector<WalHole> holes;        // behind the beginning of the oldest backup on the way
    std::optional<Lsn> newest_backup;  // on the way; the log is needed from there on
    // Whether no backup on the way begins behind it: then nothing behind it can be restored.
    [[nodiscard]] bool is_open(const WalHole& hole) const { return !newest_backup || *newest_backup < hole.to; }
};
// kNotFound when the repository has no WAL of the cluster. What was read for `ends` is not read again.
[[nodiscard]] Result<WalAudit> audit_wal(repository::Repository& repository, const std::string& system_identifier,
                                         std::uint64_t segment_bytes, repository::LogEnds& ends,
                                         const env::Context& context);

}  // namespace aeterna::postgres
