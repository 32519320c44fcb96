#include "repository/pipeline/live_set.h"

#include <algorithm>

namespace aeterna::repository {
namespace {

constexpr std::size_t kUnsorted = 1 << 20;

}  // namespace

void LiveSet::add(const Id& id) {
    prefixes_.push_back(IdHash()(id));
    if (prefixes_.size() - sorted_ > std::max(kUnsorted, sorted_)) compact();
}

void LiveSet::compact() {
    std::sort(prefixes_.begin(), prefixes_.end());
    prefixes_.erase(std::unique(prefixes_.begin(), prefixes_.end()), prefixes_.end());
    sorted_ = prefixes_.size();
}

void LiveSet::seal() { compact(); }

bool LiveSet::has(const Id& id) const { return std::binary_search(prefixes_.begin(), prefixes_.end(), IdHash()(id)); }

Status LiveSet::add_backup(EntryReader& reader, const Backup& backup) {
    ManifestCursor cursor(reader);
    AETERNA_TRY(cursor.open(backup));
    for (const Id& root : backup.manifest) add(root);
    for (std::size_t row = 0; row < cursor.rows().size(); ++row) {
        const Id& blob = cursor.rows()[row].blob;
        if (!seen_.insert(blob).second) continue;
        add(blob);
        AETERNA_ASSIGN(const auto records, cursor.blob(row));
        for (const FileRecord& record : records) {
            for (const SegmentRef& segment : record.segments) AETERNA_TRY(add_segment(reader, segment));
        }
    }
    return {};
}

Status LiveSet::add_segment(EntryReader& reader, const SegmentRef& segment) {
    if (!segment.is_inline && !seen_.insert(segment.stored).second) return {};
    AETERNA_ASSIGN(const LoadedMap loaded, reader.load_map(segment));
    if (!segment.is_inline) {
        add(segment.stored);
        add(loaded.base_id);
    }
    for (const Id& chunk : loaded.map.chunks) add(chunk);
    return {};
}

namespace {

// True for what is there, and the first error that is not about that.
Result<bool> is_there(EntryReader& reader, const Id& id) {
    AETERNA_ASSIGN(const auto found, reader.repository().index().find(id));
    return found.has_value();
}

}  // namespace

Result<bool> has_content(EntryReader& reader, const FileRecord& record) {
    for (const SegmentRef& segment : record.segments) {
        const auto loaded = reader.load_map(segment);
        if (!loaded && loaded.error().code == ErrorCode::kCorrupt) return false;
        if (!loaded) return loaded.error();
        for (const Id& chunk : loaded->map.chunks) {
            AETERNA_ASSIGN(const bool there, is_there(reader, chunk));
            if (!there) return false;
        }
    }
    return true;
}

Result<bool> has_everything(EntryReader& reader, const Backup& backup) {
    ManifestCursor cursor(reader);
    const Status opened = cursor.open(backup);
    if (!opened) return opened.error().code == ErrorCode::kCorrupt ? Result<bool>(false) : Result<bool>(opened.error());
    for (std::size_t row = 0; row < cursor.rows().size(); ++row) {
        const auto records = cursor.blob(row);
        if (!records && records.error().code == ErrorCode::kCorrupt) return false;
        if (!records) return records.error();
        for (const FileRecord& record : *records) {
            AETERNA_ASSIGN(const bool has, has_content(reader, record));
            if (!has) return false;
        }
    }
    return true;
}

}  // namespace aeterna::repository
