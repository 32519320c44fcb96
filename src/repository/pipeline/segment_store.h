// SegmentStore: turns the bytes of one segment of a file into chunks and a map. Files that are written in place are
// compared page by page with the map of the last backup; the few pages that changed in many groups go into one small
// chunk, everything else keeps pointing at what is stored. One thread at a time.
#pragma once

#include <optional>
#include <string>

#include "repository/pipeline/chunk_store.h"
#include "repository/pipeline/entry_reader.h"

namespace aeterna::repository {

struct SegmentTask {
    env::SourceFile* file = nullptr;
    ContentKind kind = ContentKind::kStream;
    std::uint64_t offset = 0, bytes = 0;
    const SegmentRef* previous = nullptr;  // the same segment in the last backup, if of the same kind
    bool is_open_ended = false;            // of kStream: `bytes` at most, fewer where the file ends
};

struct StoredSegment {
    SegmentRef ref;
    Id digest;
    std::uint64_t bytes = 0;
    bool is_short = false;  // the file ended early: the rest was taken as zeros
};

class SegmentStore {
  public:
    SegmentStore(EntrySink& sink, EntryReader& reader)
        : sink_(sink), reader_(reader), keys_(reader.repository().keys()) {}
    [[nodiscard]] Result<StoredSegment> store(const SegmentTask& task);

  private:
    Status store_stream(const SegmentTask& task);
    Status store_pages(const SegmentTask& task, const FileMap* previous);
    [[nodiscard]] Result<LentBytes> read_group(const SegmentTask& task, std::uint64_t from, std::size_t bytes);
    Status store_group(const LentBytes& content, std::size_t first_page, const FileMap* previous);
    Status store_whole_group(const LentBytes& group, std::span<const PageHash> pages);
    Status store_patches(Bytes group, std::size_t first_page, const FileMap& previous);
    Status store_patch(Bytes page, bool is_zeros);
    Status flush_patch();
    // How many bytes the file had; the rest is zeros.
    [[nodiscard]] Result<std::size_t> fill(const SegmentTask& task, std::uint64_t from, std::span<char> into);
    [[nodiscard]] Result<Id> put_named(EntryType type, Bytes plain);
    [[nodiscard]] Result<SegmentRef> store_map(const std::optional<LoadedMap>& previous, const SegmentRef* reference);

    EntrySink& sink_;
    EntryReader& reader_;
    const RepositoryKeys& keys_;
    FileMap map_;
    std::string buffer_, patch_;
    std::uint64_t previous_bytes_ = 0;    // of the segment of the last backup
    std::uint32_t patch_chunk_ = kZeros;  // the place in map_.chunks that the open patch will get
    bool is_short_ = false;
    std::uint64_t stored_bytes_ = 0;
};

// The digest of a small file's content.
[[nodiscard]] Id small_file_digest(Bytes content, const RepositoryKeys& keys);

}  // namespace aeterna::repository
