// The way that a timeline's WAL takes through the logs of its ancestors, and reading along it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "postgres/capture/timeline_history.h"
#include "repository/log_segments.h"

namespace aeterna::postgres {

// Oldest part first; each ends where the next one begins, the last one never.
struct WalPath {
    struct Part {
        Timeline timeline = 0;
        Lsn from = 0, to = 0;  // [from, to)
        friend bool operator==(const Part&, const Part&) = default;
    };
    std::string system_identifier;
    std::vector<Part> parts;
    std::string history = {};  // its newest timeline's file; empty for one that goes on from nothing

    // The part that has the byte before `end`, which may be its end; null when none has it.
    [[nodiscard]] const Part* part_ending_at(Lsn end) const;
    // Whether WAL that `timeline` wrote up to `end` is on the way.
    [[nodiscard]] bool has(Timeline timeline, Lsn end) const;
};

// To the end of `timeline`, which `history` explains. kProtocol.
[[nodiscard]] Result<WalPath> make_wal_path(const std::string& system_identifier, Timeline timeline,
                                            std::string_view history);

// Of the cluster's newest timeline in the repository, or of `wanted` where it is given. kNotFound when the repository has no
// WAL of the cluster, or none of that timeline.
[[nodiscard]] Result<WalPath> find_wal_path(repository::Repository& repository, const std::string& system_identifier,
                                            std::optional<Timeline> wanted, const env::Context& context);

// Gives the bytes from `from` on, over the ends of timelines, up to the last durable one or a gap; the position after the
// last byte given, `from` when there is none. `each` returns false to stop.
[[nodiscard]] Result<Lsn> read_wal(repository::Repository& repository, const WalPath& path, Lsn from,
                                   const std::function<Result<bool>(std::string_view)>& each,
                                   const env::Context& context);

}  // namespace aeterna::postgres
