#include "repository/pipeline/restore_segment.h"

#include <algorithm>

namespace aeterna::repository {
namespace {

constexpr std::size_t kHoleBytes = 64 << 10;   // shorter runs of zeros are not worth an extent of their own
constexpr std::uint64_t kFetchBytes = 4 << 20;
constexpr std::uint64_t kGapBytes = 64 << 10;  // read through rather than begin another read

}  // namespace

Status write_with_holes(Bytes bytes, const std::function<Status(std::size_t, Bytes)>& write,
                        const std::function<Status(std::size_t, std::size_t)>& zeros) {
    std::size_t begin = 0;  // of what is neither written nor skipped yet
    const auto flush = [&](std::size_t end) { return end > begin ? write(begin, bytes.subspan(begin, end - begin)) : Status(); };
    for (std::size_t place = 0; place < bytes.size();) {
        const std::size_t block = std::min(kHoleBytes, bytes.size() - place);
        if (block == kHoleBytes && is_zero(bytes.subspan(place, block))) {
            AETERNA_TRY(flush(place));
            AETERNA_TRY(zeros(place, block));
            begin = place + block;
        }
        place += block;
    }
    return flush(bytes.size());
}

Result<bool> SegmentWriter::write(const SegmentRef& segment, const SegmentTarget& target) {
    AETERNA_ASSIGN(const LoadedMap loaded, reader_.load_map(segment));
    if (!target.is_new) {
        AETERNA_ASSIGN(const bool is_done, is_there(loaded.map, target));
        if (is_done) return true;
    }
    std::uint64_t place = target.offset;
    for (const Extent& extent : loaded.map.extents) {
        if (extent.chunk == kZeros) AETERNA_TRY(write_zeros(target, place, extent.bytes));
        place += extent.bytes;
    }
    AETERNA_TRY(write_chunks(loaded.map, target));
    return false;
}

// By the hashes of the map: nothing is fetched. A stream's extents are whole chunks with their own names.
Result<bool> SegmentWriter::is_there(const FileMap& map, const SegmentTarget& target) {
    const RepositoryKeys& keys = reader_.repository().keys();
    std::uint64_t place = target.offset;
    if (!map.pages.empty()) {
        std::size_t page = 0;
        while (page < map.pages.size()) {
            there_.resize(std::min<std::uint64_t>(kGroupBytes, map.bytes() - page * kPageBytes));
            AETERNA_ASSIGN(const std::size_t got, target.file->read_at(place, there_));
            if (got != there_.size()) return false;
            std::vector<PageHash> hashes;
            append_page_hashes(keys.page, bytes_of(there_), hashes);
            if (!std::equal(hashes.begin(), hashes.end(), map.pages.begin() + static_cast<std::ptrdiff_t>(page))) return false;
            page += hashes.size();
            place += got;
        }
        return true;
    }
    for (const Extent& extent : map.extents) {
        for (std::uint64_t done = 0; done < extent.bytes; done += there_.size()) {
            there_.resize(std::min<std::uint64_t>(kMaxChunk, extent.bytes - done));
            AETERNA_ASSIGN(const std::size_t got, target.file->read_at(place + done, there_));
            if (got != there_.size()) return false;
            const Bytes bytes = bytes_of(there_);
            if (extent.chunk == kZeros ? !is_zero(bytes) : keys.content(bytes) != map.chunks[extent.chunk]) return false;
        }
        place += extent.bytes;
    }
    return true;
}

Status SegmentWriter::write_chunks(const FileMap& map, const SegmentTarget& target) {
    std::vector<Need> needs;
    for (std::uint32_t chunk = 0; chunk < map.chunks.size(); ++chunk) {
        AETERNA_ASSIGN(Location place, reader_.locate(map.chunks[chunk]));
        needs.push_back({std::move(place), chunk});
    }
    std::sort(needs.begin(), needs.end(), [](const Need& a, const Need& b) {
        return a.place.pack == b.place.pack ? a.place.offset < b.place.offset : a.place.pack < b.place.pack;
    });
    for (std::size_t first = 0; first < needs.size();) {
        const auto end_of = [](const Need& need) { return std::uint64_t{need.place.offset} + need.place.entry.sealed_bytes; };
        std::size_t last = first + 1;
        while (last < needs.size() && needs[last].place.pack == needs[first].place.pack &&
               needs[last].place.offset <= end_of(needs[last - 1]) + kGapBytes &&
               end_of(needs[last]) - needs[first].place.offset <= kFetchBytes) {
            ++last;
        }
        AETERNA_TRY(write_span(map, target, std::span(needs).subspan(first, last - first)));
        first = last;
    }
    return {};
}

// Chunks that lie together are fetched in one read.
Status SegmentWriter::write_span(const FileMap& map, const SegmentTarget& target, std::span<const Need> needs) {
    const Location& first = needs.front().place;
    const Location& last = needs.back().place;
    sealed_.resize(last.offset + last.entry.sealed_bytes - first.offset);
    AETERNA_ASSIGN(const std::size_t got,
                   reader_.repository().storage().read(pack_name(first.pack), first.offset, sealed_, reader_.context()));
    std::uint64_t begin = UINT64_MAX, end = 0;  // what was written
    for (const Need& need : needs) {
        const std::size_t from = need.place.offset - first.offset;
        const std::size_t bytes = from >= got ? 0 : std::min<std::size_t>(need.place.entry.sealed_bytes, got - from);
        AETERNA_TRY(reader_.open(need.place, bytes_of(sealed_).subspan(bytes == 0 ? 0 : from, bytes), plain_));
        std::uint64_t place = target.offset;
        for (const Extent& extent : map.extents) {
            if (extent.chunk == need.chunk) {
                if (std::uint64_t{extent.offset} + extent.bytes > plain_.size()) {
                    return make_error(ErrorCode::kCorrupt, "a file map points past the end of a chunk");
                }
                AETERNA_TRY(write_bytes(target, place, bytes_of(plain_).subspan(extent.offset, extent.bytes)));
                begin = std::min(begin, place);
                end = std::max(end, place + extent.bytes);
            }
            place += extent.bytes;
        }
    }
    // Chunks that lie together belong together: the span has mostly been filled.
    if (begin < end) target.file->start_writeback(begin, end - begin);
    return {};
}

Status SegmentWriter::write_zeros(const SegmentTarget& target, std::uint64_t offset, std::uint64_t bytes) {
    return target.is_new ? Status() : target.file->punch_hole(offset, bytes);
}

Status SegmentWriter::write_bytes(const SegmentTarget& target, std::uint64_t offset, Bytes bytes) {
    return write_with_holes(
        bytes, [&](std::size_t place, Bytes part) { return target.file->write_at(offset + place, part); },
        [&](std::size_t place, std::size_t length) { return write_zeros(target, offset + place, length); });
}

}  // namespace aeterna::repository
