// LiveSet: every entry that some backup needs, as the first eight bytes of its id: two that share them keep each other
// alive, which costs a chunk and never loses one. Eight bytes for an entry: 10 MB for a TiB of chunks.
#pragma once

#include <cstdint>
#include <unordered_set>
#include <vector>

#include "repository/pipeline/entry_reader.h"

namespace aeterna::repository {

class LiveSet {
  public:
    void add(const Id& id);
    // Nothing is added afterwards; before `has`.
    void seal();
    [[nodiscard]] bool has(const Id& id) const;

    // Adds everything that `backup` refers to. kCorrupt when that cannot be read: then nothing may be pruned.
    Status add_backup(EntryReader& reader, const Backup& backup);

  private:
    Status add_segment(EntryReader& reader, const SegmentRef& segment);
    void compact();

    std::vector<std::uint64_t> prefixes_;
    std::size_t sorted_ = 0;
    std::unordered_set<Id, IdHash> seen_;  // manifest blobs and maps, which backups share
};

// Whether the index has every entry that the file's content is in, sound as far as is known.
[[nodiscard]] Result<bool> has_content(EntryReader& reader, const FileRecord& record);
// The same of everything that `backup` refers to.
[[nodiscard]] Result<bool> has_everything(EntryReader& reader, const Backup& backup);

}  // namespace aeterna::repository
