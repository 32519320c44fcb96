#include "postgres/engines/archived_wal.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <vector>

namespace aeterna::postgres {
namespace {

// The timeline whose file of this number a server asks for that goes along `path`; 0: none.
Timeline timeline_of_segment(const WalPath& path, std::uint64_t number, std::uint64_t segment_bytes) {
    const WalPath::Part* part = path.part_ending_at((number + 1) * segment_bytes);
    return part ? part->timeline : 0;
}

}  // namespace

void ArchivedWal::add(const WalSegmentName& name, std::optional<WallTime> stored_at) {
    segments[name.timeline].emplace(name.begin_lsn(segment_bytes) / segment_bytes, stored_at);
}

Timeline ArchivedWal::newest() const {
    const Timeline by_wal = segments.empty() ? 0 : segments.rbegin()->first;
    return histories.empty() ? by_wal : std::max(by_wal, histories.rbegin()->first);
}

Timeline ArchivedWal::newest_below(Timeline timeline) const {
    const auto below = [&](const auto& map) {
        const auto behind = map.lower_bound(timeline);
        return behind == map.begin() ? Timeline{0} : std::prev(behind)->first;
    };
    return std::max(below(segments), below(histories));
}

Result<WalPath> ArchivedWal::path_to(Timeline timeline) const {
    const auto history = histories.find(timeline);
    if (history != histories.end()) return make_wal_path("", timeline, history->second);
    if (!segments.contains(timeline)) {
        return make_error(ErrorCode::kNotFound, fmt::format("the archive has nothing of timeline {}", timeline),
                          "'aeterna-dr recovery-points' shows what there is.");
    }
    if (timeline > 1) {
        return make_error(ErrorCode::kNotFound,
                          fmt::format("the archive does not have '{}'", history_file_name(timeline)),
                          "Name an older timeline (--timeline), or archive the file from a server that has it.");
    }
    return make_wal_path("", timeline, "");
}

WalStretch follow(const ArchivedWal& wal, const WalPath& path, Lsn from) {
    WalStretch stretch;
    std::uint64_t number = from / wal.segment_bytes;
    const auto find = [&](std::uint64_t wanted) -> const std::optional<WallTime>* {
        const auto timeline = wal.segments.find(timeline_of_segment(path, wanted, wal.segment_bytes));
        if (timeline == wal.segments.end()) return nullptr;
        const auto found = timeline->second.find(wanted);
        return found == timeline->second.end() ? nullptr : &found->second;
    };
    for (const auto* stored = find(number); stored; stored = find(++number)) stretch.stored_at = *stored;
    stretch.to = std::max(from, number * wal.segment_bytes);
    for (const WalPath::Part& part : path.parts) {
        const auto timeline = wal.segments.find(part.timeline);
        if (timeline == wal.segments.end() || timeline->second.empty()) continue;
        const std::uint64_t last = timeline->second.rbegin()->first;
        if (last <= number || timeline_of_segment(path, last, wal.segment_bytes) != part.timeline) continue;
        const Timeline owner = timeline_of_segment(path, number, wal.segment_bytes);
        stretch.missing = wal_segment_name(owner, number * wal.segment_bytes, wal.segment_bytes);
    }
    return stretch;
}

std::optional<std::uint64_t> segment_bytes_by(const WalSegmentName& segment, Lsn lsn) {
    std::vector<std::uint64_t> fitting;
    for (std::uint64_t bytes = 1 << 20; bytes <= 1 << 30; bytes *= 2) {
        if (segment.high == lsn >> 32 && segment.low == (lsn & 0xffffffff) / bytes) fitting.push_back(bytes);
    }
    if (fitting.empty()) return std::nullopt;
    const bool is_usual = std::find(fitting.begin(), fitting.end(), kDefaultSegmentBytes) != fitting.end();
    return is_usual ? kDefaultSegmentBytes : fitting.front();
}

}  // namespace aeterna::postgres
