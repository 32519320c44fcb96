#include "repository/pipeline/restore_segment.h"

#include <algorithm>

#include "repository/chunk/gear.h"

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

Result<std::uint64_t> SegmentWriter::write(const SegmentRef& segment, const SegmentTarget& target) {
    AETERNA_ASSIGN(const LoadedMap loaded, reader_.load_map(segment));
    lay_out(loaded.map, target.is_new);
    std::uint64_t found = 0;
    if (!target.is_new) {
        const auto read = [&](std::uint64_t offset, std::span<char> into) {
            return target.file->read_at(offset, into);
        };
        AETERNA_ASSIGN(found, find_parts(loaded.map, target, read, false));
    }
    if (target.old != nullptr) {
        const auto read = [&](std::uint64_t offset, std::span<char> into) { return target.old->read_at(offset, into); };
        AETERNA_ASSIGN(const std::uint64_t copied, find_parts(loaded.map, target, read, true));
        found += copied;
    }
    if (!target.is_new) AETERNA_TRY(write_missing_zeros(loaded.map, target));
    AETERNA_TRY(write_chunks(loaded.map, target));
    return found;
}

void SegmentWriter::lay_out(const FileMap& map, bool is_new) {
    parts_.clear();
    const auto add = [&](std::uint64_t offset, std::uint64_t bytes, std::size_t number, bool is_missing) {
        parts_.push_back({offset, static_cast<std::uint32_t>(bytes), static_cast<std::uint32_t>(number), is_missing});
    };
    const std::uint64_t end = map.bytes();
    for (std::size_t page = 0; page < map.pages.size() && page * kPageBytes < end; ++page) {
        add(page * kPageBytes, std::min<std::uint64_t>(kPageBytes, end - page * kPageBytes), page, true);
    }
    if (!map.pages.empty()) return;
    std::uint64_t place = 0;
    for (std::size_t number = 0; number < map.extents.size(); ++number) {
        const Extent& extent = map.extents[number];
        const bool is_missing = extent.chunk != kZeros || !is_new;  // a new file has its zeros
        for (std::uint64_t done = 0; done < extent.bytes; done += kMaxChunk) {
            add(place + done, std::min<std::uint64_t>(kMaxChunk, extent.bytes - done), number, is_missing);
        }
        place += extent.bytes;
    }
}

Result<std::uint64_t> SegmentWriter::find_parts(const FileMap& map, const SegmentTarget& target, const ReadAt& read,
                                                bool copies) {
    std::uint64_t found = 0;
    for (std::size_t first = 0, last = 0; first < parts_.size(); first = last) {
        last = first + 1;
        if (!parts_[first].is_missing) continue;
        const std::uint64_t begin = parts_[first].offset;
        const auto end_of = [](const Part& part) { return part.offset + part.bytes; };
        while (last < parts_.size() && parts_[last].is_missing && end_of(parts_[last]) - begin <= kGroupBytes) ++last;
        there_.resize(end_of(parts_[last - 1]) - begin);
        AETERNA_ASSIGN(const std::size_t got, read(target.offset + begin, there_));
        const std::span<Part> parts = std::span(parts_).subspan(first, last - first);
        const std::vector<bool> matches = match(map, parts, bytes_of(there_).first(got));
        for (std::size_t i = 0; i < parts.size(); ++i) {
            if (!matches[i]) continue;
            const std::uint64_t from = parts[i].offset;
            for (; i < parts.size() && matches[i]; ++i) parts[i].is_missing = false;
            const std::uint64_t bytes = end_of(parts[i - 1]) - from;
            found += bytes;
            if (copies)
                AETERNA_TRY(write_bytes(target, target.offset + from, bytes_of(there_).subspan(from - begin, bytes)));
        }
        if (copies) target.file->start_writeback(target.offset + begin, there_.size());
    }
    return found;
}

// By the hashes of the map: nothing is fetched. A stream's extents are whole chunks with their own names.
std::vector<bool> SegmentWriter::match(const FileMap& map, std::span<const Part> parts, Bytes bytes) const {
    const RepositoryKeys& keys = reader_.repository().keys();
    const std::uint64_t begin = parts.front().offset;
    const auto is_read = [&](const Part& part) { return part.offset + part.bytes - begin <= bytes.size(); };
    std::vector<bool> matches(parts.size(), false);
    if (!map.pages.empty()) {
        std::vector<PageHash> hashes;
        append_page_hashes(keys.page, bytes, hashes);
        for (std::size_t i = 0; i < parts.size() && is_read(parts[i]); ++i)
            matches[i] = hashes[i] == map.pages[parts[i].number];
        return matches;
    }
    for (std::size_t i = 0; i < parts.size() && is_read(parts[i]); ++i) {
        const Bytes part = bytes.subspan(parts[i].offset - begin, parts[i].bytes);
        const std::uint32_t chunk = map.extents[parts[i].number].chunk;
        matches[i] = chunk == kZeros ? is_zero(part) : keys.content(part) == map.chunks[chunk];
    }
    return matches;
}

std::vector<SegmentWriter::Run> SegmentWriter::missing_in(std::uint64_t offset, std::uint64_t bytes) const {
    std::vector<Run> runs;
    const std::uint64_t end = offset + bytes;
    auto part = std::upper_bound(parts_.begin(), parts_.end(), offset,
                                 [](std::uint64_t at, const Part& one) { return at < one.offset + one.bytes; });
    for (; part != parts_.end() && part->offset < end; ++part) {
        if (!part->is_missing) continue;
        const std::uint64_t from = std::max(offset, part->offset), to = std::min(end, part->offset + part->bytes);
        if (!runs.empty() && runs.back().offset + runs.back().bytes == from) runs.back().bytes += to - from;
        else runs.push_back({from, to - from});
    }
    return runs;
}

Status SegmentWriter::write_missing_zeros(const FileMap& map, const SegmentTarget& target) {
    std::uint64_t place = 0;
    for (const Extent& extent : map.extents) {
        if (extent.chunk == kZeros) {
            for (const Run& run : missing_in(place, extent.bytes))
                AETERNA_TRY(write_zeros(target, target.offset + run.offset, run.bytes));
        }
        place += extent.bytes;
    }
    return {};
}

Status SegmentWriter::write_chunks(const FileMap& map, const SegmentTarget& target) {
    std::vector<bool> is_needed(map.chunks.size(), false);
    std::uint64_t offset = 0;
    for (const Extent& extent : map.extents) {
        if (extent.chunk != kZeros && !is_needed[extent.chunk])
            is_needed[extent.chunk] = !missing_in(offset, extent.bytes).empty();
        offset += extent.bytes;
    }
    std::vector<Need> needs;
    for (std::uint32_t chunk = 0; chunk < map.chunks.size(); ++chunk) {
        if (!is_needed[chunk]) continue;
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
        std::uint64_t place = 0;
        for (const Extent& extent : map.extents) {
            if (extent.chunk == need.chunk) {
                if (std::uint64_t{extent.offset} + extent.bytes > plain_.size()) {
                    return make_error(ErrorCode::kCorrupt, "a file map points past the end of a chunk");
                }
                for (const Run& run : missing_in(place, extent.bytes)) {
                    const std::uint64_t at = target.offset + run.offset;
                    AETERNA_TRY(write_bytes(target, at,
                                            bytes_of(plain_).subspan(extent.offset + run.offset - place, run.bytes)));
                    begin = std::min(begin, at);
                    end = std::max(end, at + run.bytes);
                }
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
