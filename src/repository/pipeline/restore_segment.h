// RestoreSegment: writes the bytes of one segment into a file. One thread at a time.
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
    std::uint64_t offset = 0;  // of the segment in the file
    bool is_new = true;        // reads as zeros where nothing was written; else what is there is compared first
};

class SegmentWriter {
  public:
    explicit SegmentWriter(EntryReader& reader) : reader_(reader) {}
    // True when the file held the segment's bytes already, and nothing was written.
    [[nodiscard]] Result<bool> write(const SegmentRef& segment, const SegmentTarget& target);

  private:
    struct Need {
        Location place;
        std::uint32_t chunk = 0;
    };
    [[nodiscard]] Result<bool> is_there(const FileMap& map, const SegmentTarget& target);
    Status write_chunks(const FileMap& map, const SegmentTarget& target);
    Status write_span(const FileMap& map, const SegmentTarget& target, std::span<const Need> needs);
    Status write_zeros(const SegmentTarget& target, std::uint64_t offset, std::uint64_t bytes);
    Status write_bytes(const SegmentTarget& target, std::uint64_t offset, Bytes bytes);

    EntryReader& reader_;
    std::string sealed_, plain_, there_;
};

// Writes `bytes` but for runs of zeros of at least 64 KiB, which `zeros` gets.
Status write_with_holes(Bytes bytes, const std::function<Status(std::size_t offset, Bytes part)>& write,
                        const std::function<Status(std::size_t offset, std::size_t bytes)>& zeros);

}  // namespace aeterna::repository
