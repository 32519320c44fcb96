// Manifest: the records of a backup's files, directories and links in path order, in blobs of some hundred records.
// A blob ends where a path's hash says so: an unchanged part of the tree gives the same blobs, which are stored once.
//
// Path order compares components: "a/b" comes before "a.b", as a walk through sorted directories meets them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "env/file_tree.h"
#include "repository/format/file_map.h"
#include "repository/id.h"

namespace aeterna::repository {

struct SegmentRef {
    bool is_inline = true;
    FileMap map;  // when inline
    Id stored;    // when not: the id of a map entry
};

struct FileRecord {
    std::string path;  // relative, without "./"; "" is the root itself
    env::NodeInfo info;
    // Of files:
    ContentKind kind = ContentKind::kEmpty;
    Id digest;  // of the content; zero for an empty file
    std::vector<SegmentRef> segments;
    // Of links:
    std::string target;
};

// Whether a path stays inside the directory that it is restored into: no empty component, no "." and "..".
[[nodiscard]] bool is_safe_path(std::string_view path);

// <0, 0, >0 in path order.
[[nodiscard]] int compare_paths(std::string_view a, std::string_view b);

// The digest of a file of several segments, or of one.
[[nodiscard]] Id file_digest(ContentKind kind, std::uint64_t size, std::span<const Id> segments, const KeyedHash& digest);

// Encodes records into blobs. One thread at a time.
class ManifestWriter {
  public:
    // Appends; a record must come after the last one in path order.
    void add(const FileRecord& record);
    // The blob is to be taken away now: it is large enough, or its last path ends it.
    [[nodiscard]] bool is_full() const { return is_full_; }
    [[nodiscard]] bool is_empty() const { return records_ == 0; }
    [[nodiscard]] const std::string& first_path() const { return first_path_; }
    [[nodiscard]] std::uint64_t records() const { return records_; }
    [[nodiscard]] std::string take();

  private:
    std::string blob_, first_path_, last_path_;
    std::uint64_t records_ = 0;
    bool is_full_ = false;
};

// kCorrupt for anything that the writer would not have written.
[[nodiscard]] Result<std::vector<FileRecord>> parse_manifest(Bytes blob);

struct ManifestRow {
    Id blob;
    std::string first_path;
    std::uint64_t records = 0;
};
void append_manifest_rows(std::span<const ManifestRow> rows, std::string& out);
[[nodiscard]] Result<std::vector<ManifestRow>> parse_manifest_rows(Bytes bytes);

}  // namespace aeterna::repository
