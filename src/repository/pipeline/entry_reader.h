// EntryReader: fetches entries from packs and opens them; keeps the keys of the last packs. One thread at a time.
#pragma once

#include <list>
#include <memory>
#include <string>

#include "repository/format/file_map.h"
#include "repository/format/manifest.h"
#include "repository/repository.h"

namespace aeterna::repository {

// A map with what a difference to it would refer to.
struct LoadedMap {
    FileMap map;
    Id base_id;    // the full map that this one is, or is a difference to
    FileMap base;  // pages only; empty when `map` itself is full
    bool is_inline = false;
    bool is_difference = false;
};

class EntryReader {
  public:
    EntryReader(Repository& repository, const env::Context& context) : repository_(repository), context_(context) {}

    // Replaces `plain`. kCorrupt when the index does not know the id, or anything differs.
    Status read(EntryType type, const Id& id, std::string& plain);
    // Opens an entry whose sealed bytes are at hand.
    Status open(const Location& place, Bytes sealed, std::string& plain);
    [[nodiscard]] Result<Location> locate(const Id& id);
    [[nodiscard]] Result<LoadedMap> load_map(const SegmentRef& segment);

    [[nodiscard]] Repository& repository() const { return repository_; }
    [[nodiscard]] const env::Context& context() const { return context_; }

  private:
    EntryCodec& codec_of(const PackId& pack);

    struct OpenPack {
        PackId id;
        EntryCodec codec;
    };
    Repository& repository_;
    env::Context context_;
    Compressor compressor_;
    std::list<std::unique_ptr<OpenPack>> packs_;  // last used first
    std::string sealed_;
};

// Walks a backup's records in path order, one blob in memory.
class ManifestCursor {
  public:
    explicit ManifestCursor(EntryReader& reader) : reader_(reader) {}
    Status open(const Backup& backup);
    // The next record, or nullptr at the end; valid until the next call.
    [[nodiscard]] Result<const FileRecord*> next();
    [[nodiscard]] const std::vector<ManifestRow>& rows() const { return rows_; }
    [[nodiscard]] Result<std::vector<FileRecord>> blob(std::size_t row);

  private:
    EntryReader& reader_;
    std::vector<ManifestRow> rows_;
    std::vector<FileRecord> records_;
    std::size_t next_row_ = 0, next_record_ = 0;
};

// Looks records up by their path, in any order; keeps the blobs that it read last.
class RecordFinder {
  public:
    explicit RecordFinder(EntryReader& reader) : cursor_(reader) {}
    // Before the first look-up; may be given to find_parent().
    [[nodiscard]] ManifestCursor& cursor() { return cursor_; }
    // Nothing when the backup has no such path; valid until the next call. kCorrupt when the blob does not read.
    [[nodiscard]] Result<const FileRecord*> find(std::string_view path);

  private:
    struct Kept {
        std::size_t row = 0;
        std::vector<FileRecord> records;
    };
    ManifestCursor cursor_;
    std::list<Kept> kept_;  // last used first
};

// One record without reading more than one blob of records; kNotFound.
[[nodiscard]] Result<FileRecord> find_record(EntryReader& reader, const Backup& backup, const std::string& path);

}  // namespace aeterna::repository
