#include "postgres/capture/exposure.h"

#include <algorithm>

#include "postgres/client/wal.h"

namespace aeterna::postgres {

void Exposure::looked(MonoTime asked_at, Lsn end) {
    // The later of two looks with one end says more.
    if (!open_.empty() && open_.back().end == end) open_.back().at = asked_at;
    else open_.push_back({asked_at, end});
    // A look that is forgotten only makes the answer more careful.
    if (open_.size() > kMostLooks) open_.pop_front();
    settle();
}

void Exposure::became_durable(Lsn end) {
    durable_ = std::max(durable_, end);
    settle();
}

void Exposure::begin_timeline(Lsn durable) {
    durable_ = durable;
    open_.clear();
}

void Exposure::settle() {
    while (!open_.empty() && open_.front().end <= durable_) {
        if (!has_hole_) safe_until_ = std::max(safe_until_.value_or(open_.front().at), open_.front().at);
        open_.pop_front();
    }
}

std::optional<Duration> Exposure::rpo_now(MonoTime now) const {
    if (!safe_until_) return std::nullopt;
    return std::max(Duration(), now - *safe_until_);
}

std::uint64_t Exposure::behind_bytes() const { return open_.empty() ? 0 : open_.back().end - durable_; }

Lsn written_end(Lsn insert_position, std::uint64_t segment_bytes) {
    const std::uint64_t header =
        insert_position % segment_bytes < kWalPageBytes ? kWalSegmentHeaderBytes : kWalPageHeaderBytes;
    const std::uint64_t into_page = insert_position % kWalPageBytes;
    return into_page == header ? insert_position - into_page : insert_position;
}

}  // namespace aeterna::postgres
