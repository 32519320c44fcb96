// SegmentWriter: writes the bytes of one segment into a file; what the file, or another state of it, holds already is
// told by the hashes of the segment's map, and only the rest is fetched. One thread at a time.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "repository/pipeline/entry_reader.h"

namespace aeterna::repository {

struct SegmentTarget {
    env::TargetFile* file = nullptr;
    ContentKind kind = ContentKind::kStream;
    std::uint64_t offset = 0;        // of the segment in the file
    bool is_new = true;              // reads as zeros where nothing was written; else what is there is compared first
    env::SourceFile* old = nullptr;  // may hold some of it at the same place; null: nothing does
};

class SegmentWriter {
  public:
    explicit SegmentWriter(EntryReader& reader) : reader_(reader) {}
    // The bytes that the file or the old one held already, verified.
    [[nodiscard]] Result<std::uint64_t> write(const SegmentRef& segment, const SegmentTarget& target);

  private:
    // What has a hash of its own in the map: a page, or an extent.
    struct Part {
        std::uint64_t offset = 0;  // in the segment
        std::uint32_t bytes = 0;
        std::uint32_t number = 0;  // of the page or extent
        bool is_missing = true;
    };
    struct Run {
        std::uint64_t offset = 0, bytes = 0;  // in the segment
    };
    struct Need {
        Location place;
        std::uint32_t chunk = 0;
    };
    using ReadAt = std::function<Result<std::size_t>(std::uint64_t offset, std::span<char> into)>;

    void lay_out(const FileMap& map, bool is_new);
    // Looks for missing parts at their places in a file; where `copies`, writes what is found into the target. The
    // bytes found.
    [[nodiscard]] Result<std::uint64_t> find_parts(const FileMap& map, const SegmentTarget& target, const ReadAt& read,
                                                   bool copies);
    [[nodiscard]] std::vector<bool> match(const FileMap& map, std::span<const Part> parts, Bytes bytes) const;
    [[nodiscard]] std::vector<Run> missing_in(std::uint64_t offset, std::uint64_t bytes) const;
    Status write_missing_zeros(const FileMap& map, const SegmentTarget& target);
    Status write_chunks(const FileMap& map, const SegmentTarget& target);
    Status write_span(const FileMap& map, const SegmentTarget& target, std::span<const Need> needs);
    Status write_zeros(const SegmentTarget& target, std::uint64_t offset, std::uint64_t bytes);
    Status write_bytes(const SegmentTarget& target, std::uint64_t offset, Bytes bytes);

    std::vector<Part> parts_;  // of the whole segment, in order
    EntryReader& reader_;
    std::string sealed_, plain_, there_;
};

// Writes `bytes` but for runs of zeros of at least 64 KiB, which `zeros` gets.
Status write_with_holes(Bytes bytes, const std::function<Status(std::size_t offset, Bytes part)>& write,
                        const std::function<Status(std::size_t offset, std::size_t bytes)>& zeros);

}  // namespace aeterna::repository
