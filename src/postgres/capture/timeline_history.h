// Timeline history files ("00000002.history") and the names of the repository's logs. Pure.
//
// A history file has a line for each timeline before this one: its number, the position where the next one went on (the
// "switch point"), a reason, by tabs; '#' begins a comment (PostgreSQL 15, src/backend/access/transam/timeline.c, and the
// manual's "Timelines"). The numbers rise; the last line's timeline is the parent.
//
// A log holds the WAL of one timeline of one cluster: "postgres-<system identifier>-<timeline in 8 hex digits>", its
// position is the LSN. Its origin is the parent timeline's log, at the switch point, with the history file as the server
// has it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace aeterna::postgres {

using Timeline = std::uint32_t;
using Lsn = std::uint64_t;

struct TimelineSwitch {
    Timeline timeline = 0;  // that ended
    Lsn at = 0;             // the first byte that belongs to the next one
    friend bool operator==(const TimelineSwitch&, const TimelineSwitch&) = default;
};

// Of the timeline `of`, oldest first; kProtocol for anything that is no history of it. An empty text is one of a
// timeline that goes on from nothing.
[[nodiscard]] Result<std::vector<TimelineSwitch>> parse_timeline_history(std::string_view text, Timeline of);
// The history file of the timeline `of` as the one of a descendant contains it: each is its parent's file, an empty line
// and a line more (timeline.c, writeTimeLineHistory). Nothing when `text` has no line of `of`.
[[nodiscard]] std::optional<std::string> history_of_ancestor(std::string_view text, Timeline of);
[[nodiscard]] std::string history_file_name(Timeline timeline);
inline constexpr std::size_t kMostHistoryBytes = 1 << 20;  // that a history file is read of
// "00000002.history" gives 2.
[[nodiscard]] std::optional<Timeline> parse_history_file_name(std::string_view name);

struct WalLog {
    std::string system_identifier;
    Timeline timeline = 0;
    friend bool operator==(const WalLog&, const WalLog&) = default;
};
[[nodiscard]] std::string wal_log_name(const WalLog& log);
// Nothing for a log of another store.
[[nodiscard]] std::optional<WalLog> parse_wal_log_name(std::string_view name);

}  // namespace aeterna::postgres
