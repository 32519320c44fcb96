#include "repository/pipeline/segment_store.h"

#include <algorithm>
#include <map>

namespace aeterna::repository {
namespace {

constexpr std::size_t kReadBytes = 2 << 20;       // twice the largest chunk
constexpr std::size_t kMostInlineBytes = 1024;
constexpr std::size_t kMostPatchBytes = 1 << 20;
// A group keeps pointing at its old chunk while at least three quarters of it still come from there.
constexpr std::size_t kMostPatchedPages = kPagesPerGroup / 4;

// The extents of [from, from + bytes) of `map`, appended to `out` with its own chunk numbers.
void append_slice(const FileMap& map, std::uint64_t from, std::uint64_t bytes, FileMap& out) {
    std::uint64_t place = 0;
    for (const Extent& extent : map.extents) {
        const std::uint64_t begin = std::max(from, place), end = std::min(from + bytes, place + extent.bytes);
        if (begin < end) {
            Extent part{kZeros, static_cast<std::uint32_t>(extent.offset + (begin - place)),
                        static_cast<std::uint32_t>(end - begin)};
            if (extent.chunk != kZeros) part.chunk = out.chunk_number(map.chunks[extent.chunk]);
            out.add(part);
        }
        place += extent.bytes;
        if (place >= from + bytes) return;
    }
}

// How many bytes of [from, from + bytes) come from the chunk that gives most of them.
std::uint64_t largest_share(const FileMap& map, std::uint64_t from, std::uint64_t bytes) {
    FileMap slice;
    append_slice(map, from, bytes, slice);
    std::map<std::uint32_t, std::uint64_t> shares;
    std::uint64_t most = 0;
    for (const Extent& extent : slice.extents) most = std::max(most, shares[extent.chunk] += extent.bytes);
    return most;
}

}  // namespace

Id small_file_digest(Bytes content, const RepositoryKeys& keys) {
    const char kind = static_cast<char>(ContentKind::kSmall);
    return keys.digest.hash({Bytes(&kind, 1), content});
}

Result<StoredSegment> SegmentStore::store(const SegmentTask& task) {
    map_ = {};
    is_short_ = false;
    stored_bytes_ = task.bytes;
    std::optional<LoadedMap> previous;
    if (task.previous != nullptr && task.kind == ContentKind::kPages) {
        // A map that does not read costs a comparison, never the backup: it is what `check` is for.
        if (auto loaded = reader_.load_map(*task.previous)) previous = std::move(*loaded);
        // What the repository has lost is stored anew.
        for (std::size_t i = 0; previous && i < previous->map.chunks.size(); ++i) {
            if (!reader_.locate(previous->map.chunks[i])) previous.reset();
        }
    }
    AETERNA_ASSIGN(const std::uint64_t data, task.file->next_data(task.offset));
    if (data >= task.offset + task.bytes) {
        map_.add({kZeros, 0, static_cast<std::uint32_t>(task.bytes)});
        if (task.kind == ContentKind::kPages) map_.pages.resize(pages_in(task.bytes));
    } else if (task.kind == ContentKind::kPages) {
        AETERNA_TRY(store_pages(task, previous ? &previous->map : nullptr));
    } else {
        AETERNA_TRY(store_stream(task));
    }
    StoredSegment stored;
    stored.digest = segment_digest(map_, keys_.digest);
    stored.bytes = stored_bytes_;
    stored.is_short = is_short_;
    AETERNA_ASSIGN(stored.ref, store_map(previous, task.previous));
    return stored;
}

Result<Id> SegmentStore::put_named(EntryType type, Bytes plain) {
    const Id id = keys_.content(plain);
    AETERNA_TRY(sink_.put(type, id, {plain, nullptr}));
    return id;
}

Result<std::size_t> SegmentStore::fill(const SegmentTask& task, std::uint64_t from, std::span<char> into) {
    AETERNA_ASSIGN(const std::size_t got, task.file->read_at(task.offset + from, into));
    if (got == into.size() || task.is_open_ended) return got;
    is_short_ = true;
    std::fill(into.begin() + static_cast<std::ptrdiff_t>(got), into.end(), '\0');
    return got;
}

Status SegmentStore::store_stream(const SegmentTask& task) {
    buffer_.resize(kReadBytes);
    std::size_t held = 0;       // bytes in the buffer
    std::uint64_t read = 0;     // bytes of the segment read so far
    std::uint64_t& end = stored_bytes_;
    while (held > 0 || read < end) {
        std::size_t more = static_cast<std::size_t>(std::min<std::uint64_t>(kReadBytes - held, end - read));
        AETERNA_ASSIGN(const std::size_t got, fill(task, read, std::span(buffer_).subspan(held, more)));
        if (task.is_open_ended && got < more) end = read + (more = got);
        read += more;
        held += more;
        std::size_t used = 0;
        while (held - used >= kMaxChunk || (read == end && used < held)) {
            const Bytes rest = bytes_of(buffer_).subspan(used, held - used);
            const Bytes chunk = rest.first(keys_.gear.cut(rest));
            if (is_zero(chunk)) {
                map_.add({kZeros, 0, static_cast<std::uint32_t>(chunk.size())});
            } else {
                AETERNA_ASSIGN(const Id id, put_named(EntryType::kData, chunk));
                map_.add({map_.chunk_number(id), 0, static_cast<std::uint32_t>(chunk.size())});
            }
            used += chunk.size();
        }
        held -= used;
        std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(used),
                  buffer_.begin() + static_cast<std::ptrdiff_t>(used + held), buffer_.begin());
    }
    return {};
}

Status SegmentStore::store_pages(const SegmentTask& task, const FileMap* previous) {
    patch_.clear();
    patch_chunk_ = kZeros;
    previous_bytes_ = previous != nullptr ? previous->bytes() : 0;
    buffer_.resize(kReadBytes);
    for (std::uint64_t from = 0; from < task.bytes; from += kGroupBytes) {
        const auto bytes = static_cast<std::size_t>(std::min<std::uint64_t>(kGroupBytes, task.bytes - from));
        AETERNA_ASSIGN(const LentBytes group, read_group(task, from, bytes));
        const std::size_t first_page = map_.pages.size();
        append_page_hashes(keys_.page, group.bytes, map_.pages);
        AETERNA_TRY(store_group(group, first_page, previous));
    }
    return flush_patch();
}

Result<LentBytes> SegmentStore::read_group(const SegmentTask& task, std::uint64_t from, std::size_t bytes) {
    AETERNA_ASSIGN(auto lent, task.file->lend(task.offset + from, bytes));
    if (lent) return std::move(*lent);
    const std::span<char> group = std::span(buffer_).first(bytes);
    AETERNA_TRY(fill(task, from, group));
    return LentBytes{group, nullptr};
}

Status SegmentStore::store_group(const LentBytes& content, std::size_t first_page, const FileMap* previous) {
    const Bytes group = content.bytes;
    const std::span<const PageHash> pages(map_.pages.data() + first_page, pages_in(group.size()));
    // Where the file ended within this group, its last page may look like a whole one of zeros.
    if (previous != nullptr && previous_bytes_ >= first_page * kPageBytes + group.size()) {
        std::size_t changed = 0;
        for (std::size_t i = 0; i < pages.size(); ++i) changed += pages[i] != previous->pages[first_page + i] ? 1 : 0;
        const std::uint64_t from = first_page * kPageBytes;
        if (changed == 0) {
            append_slice(*previous, from, group.size(), map_);
            return {};
        }
        const std::uint64_t kept = largest_share(*previous, from, group.size());
        const std::uint64_t foreign = group.size() - kept + changed * kPageBytes;
        if (foreign * kPagesPerGroup <= group.size() * kMostPatchedPages) {
            return store_patches(group, first_page, *previous);
        }
    }
    return store_whole_group(content, pages);
}

Status SegmentStore::store_whole_group(const LentBytes& group, std::span<const PageHash> pages) {
    const auto bytes = static_cast<std::uint32_t>(group.bytes.size());
    if (std::all_of(pages.begin(), pages.end(), [](const PageHash& hash) { return hash == PageHash{}; })) {
        map_.add({kZeros, 0, bytes});
        return {};
    }
    const Id id = keys_.group(bytes_of(pages));
    AETERNA_TRY(sink_.put(EntryType::kPages, id, group));
    map_.add({map_.chunk_number(id), 0, bytes});
    return {};
}

Status SegmentStore::store_patches(Bytes group, std::size_t first_page, const FileMap& previous) {
    const auto is_same = [&](std::size_t page) { return map_.pages[first_page + page] == previous.pages[first_page + page]; };
    const std::size_t count = pages_in(group.size());
    const auto end_of = [&](std::size_t page) { return std::min(page * kPageBytes, group.size()); };
    for (std::size_t i = 0; i < count;) {
        if (is_same(i)) {
            std::size_t end = i + 1;
            while (end < count && is_same(end)) ++end;
            append_slice(previous, (first_page + i) * kPageBytes, end_of(end) - i * kPageBytes, map_);
            i = end;
            continue;
        }
        AETERNA_TRY(store_patch(group.subspan(i * kPageBytes, end_of(i + 1) - i * kPageBytes), map_.pages[first_page + i] == PageHash{}));
        ++i;
    }
    return {};
}

Status SegmentStore::store_patch(Bytes page, bool is_zeros) {
    if (is_zeros) {
        map_.add({kZeros, 0, static_cast<std::uint32_t>(page.size())});
        return {};
    }
    if (patch_.size() + page.size() > kMostPatchBytes) AETERNA_TRY(flush_patch());
    if (patch_chunk_ == kZeros) {
        map_.chunks.emplace_back();  // named when it is complete
        patch_chunk_ = static_cast<std::uint32_t>(map_.chunks.size() - 1);
    }
    map_.add({patch_chunk_, static_cast<std::uint32_t>(patch_.size()), static_cast<std::uint32_t>(page.size())});
    patch_.append(page.data(), page.size());
    return {};
}

Status SegmentStore::flush_patch() {
    if (patch_chunk_ == kZeros) return {};
    AETERNA_ASSIGN(map_.chunks[patch_chunk_], put_named(EntryType::kData, bytes_of(patch_)));
    patch_.clear();
    patch_chunk_ = kZeros;
    return {};
}

Result<SegmentRef> SegmentStore::store_map(const std::optional<LoadedMap>& previous, const SegmentRef* reference) {
    SegmentRef ref;
    if (previous && !previous->is_inline && previous->map == map_) {  // the map is there: it has just been read
        ref.is_inline = false;
        ref.stored = reference->stored;
        return ref;
    }
    std::string full;
    append_full_map(map_, full);
    if (full.size() <= kMostInlineBytes) {
        ref.map = map_;
        return ref;
    }
    std::string bytes;
    const bool is_difference =
        previous && !previous->is_inline && !map_.pages.empty() &&
        append_map_difference(map_, previous->is_difference ? previous->base : previous->map, previous->base_id, bytes);
    ref.is_inline = false;
    AETERNA_ASSIGN(ref.stored, put_named(EntryType::kMap, bytes_of(is_difference ? bytes : full)));
    return ref;
}

}  // namespace aeterna::repository
