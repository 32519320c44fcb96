// What a WAL segment file consists of, and what may be answered to a server that asks for one. Pure.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "postgres/capture/timeline_history.h"
#include "repository/log_segments.h"

namespace aeterna::postgres {

// [from, to) of a log.
struct SegmentPart {
    std::string log;
    Lsn from = 0, to = 0;
    friend bool operator==(const SegmentPart&, const SegmentPart&) = default;
};

// The parts of the segment [start, start + bytes) of `log`, in order: the first segment of a timeline begins with what its
// parents wrote up to the forks, as the server's own file does. Empty when the timeline begins behind the segment. `origin`
// is asked for one log after the other.
[[nodiscard]] Result<std::vector<SegmentPart>> plan_segment(
    const std::string& log, Lsn start, std::uint64_t bytes,
    const std::function<Result<std::optional<repository::LogOrigin>>(const std::string&)>& origin);

enum class SegmentVerdict {
    kWhole,
    kLast,    // the log's end lies in it and nothing goes on from there: filled up with zeros, it is where recovery ends
    kAbsent,  // nothing of it, nor of anything after it
    kHole,    // what is asked for is missing, and later bytes are there: the history does not end here
    kForked,  // the log's end lies in it, but another timeline went on from this one: not a whole segment of either
};

struct SegmentFacts {
    Lsn start = 0;
    std::uint64_t bytes = 0;
    Lsn has_to = 0;             // what is there without a gap: [start, has_to)
    Lsn log_end = 0;            // of the timeline, read before the bytes were
    std::optional<Lsn> left_at = std::nullopt;  // where the newest history that goes on from this timeline leaves it
};
[[nodiscard]] SegmentVerdict judge_segment(const SegmentFacts& facts);

}  // namespace aeterna::postgres
