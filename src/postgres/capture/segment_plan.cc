#include "postgres/capture/segment_plan.h"

#include <fmt/format.h>

#include <algorithm>

namespace aeterna::postgres {

Result<std::vector<SegmentPart>> plan_segment(
    const std::string& log, Lsn start, std::uint64_t bytes,
    const std::function<Result<std::optional<repository::LogOrigin>>(const std::string&)>& origin) {
    // Each parent has a lower timeline, so this ends; damage that says otherwise must not go round.
    constexpr int kMostParents = 10'000;
    std::vector<SegmentPart> parts;
    Lsn to = start + bytes;
    std::string owner = log;
    for (int i = 0; i < kMostParents; ++i) {
        AETERNA_ASSIGN(const auto goes_on, origin(owner));
        const Lsn from = goes_on ? std::clamp(goes_on->at, start, to) : start;
        if (i == 0 && from == to) return parts;
        if (from < to) parts.push_back({owner, from, to});
        if (from == start) {
            std::reverse(parts.begin(), parts.end());
            return parts;
        }
        to = from;
        owner = goes_on->log;
    }
    return make_error(ErrorCode::kCorrupt, fmt::format("the origins of the log '{}' have no end", log));
}

SegmentVerdict judge_segment(const SegmentFacts& facts) {
    if (facts.has_to >= facts.start + facts.bytes) return SegmentVerdict::kWhole;
    if (facts.has_to < facts.log_end) return SegmentVerdict::kHole;
    if (facts.left_at && facts.has_to < std::min(*facts.left_at, facts.start + facts.bytes)) return SegmentVerdict::kHole;
    if (facts.has_to <= facts.start) return SegmentVerdict::kAbsent;
    return facts.left_at ? SegmentVerdict::kForked : SegmentVerdict::kLast;
}

}  // namespace aeterna::postgres
