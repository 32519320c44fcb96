#include "repository/pipeline/bundle.h"

namespace aeterna::repository {

std::span<char> Bundle::open(std::size_t bytes) {
    open_at_ = bytes_.size();
    bytes_.resize(open_at_ + bytes);
    return std::span(bytes_).subspan(open_at_);
}

void Bundle::keep(FileRecord& record, const FileRecord* previous) {
    const Bytes content = bytes_of(bytes_).subspan(open_at_);
    record.digest = small_file_digest(content, keys_);
    if (previous != nullptr && previous->kind == ContentKind::kSmall && previous->info.size == content.size() &&
        previous->digest == record.digest) {
        record.segments = previous->segments;
        return drop();
    }
    SegmentRef& segment = record.segments.emplace_back();
    if (is_zero(content)) {
        segment.map.add({kZeros, 0, static_cast<std::uint32_t>(content.size())});
        return drop();
    }
    segment.map.chunks.emplace_back();  // named when the bundle is complete
    segment.map.add({0, static_cast<std::uint32_t>(open_at_), static_cast<std::uint32_t>(content.size())});
    inside_.push_back(&record);
}

Status Bundle::store(EntrySink& sink) {
    if (!bytes_.empty()) {
        const Id id = keys_.content(bytes_of(bytes_));
        AETERNA_TRY(sink.put(EntryType::kData, id, {bytes_of(bytes_), nullptr}));
        for (FileRecord* record : inside_) record->segments.front().map.chunks.front() = id;
    }
    bytes_.clear();
    inside_.clear();
    return {};
}

}  // namespace aeterna::repository
