// Run: a sorted file of index rows in the local cache, looked up with one small read. Only every 64th key is kept in
// memory, so that the index of a repository of any size takes little of it. Runs never change; a checksum under the
// repository's key over the whole file is verified when it is opened: a damaged cache may not claim a chunk that the
// repository lacks.
//
//     "ADRRUN" 0x00 0x01; rows u64, segments u32, packs u32; segments' names 16 each; packs: id 16
//     rows: id 32, pack number u32, offset u32, sealed u32, plain u32, type u8, codec u8, zero u16
//     checksum 32
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "env/file_tree.h"
#include "repository/crypto/keyed_hash.h"
#include "repository/format/index_segment.h"

namespace aeterna::repository {

inline constexpr std::size_t kRunRowBytes = 52;

// Thread-safe: immutable once open.
class RunFile {
  public:
    // kCorrupt when it is not what was written.
    [[nodiscard]] static Result<std::unique_ptr<RunFile>> open(env::FileTree& files, const std::string& path,
                                                               const KeyedHash& hash);
    [[nodiscard]] Result<std::optional<Location>> find(const Id& id) const;
    // Rows [first, first + count) in id order, fewer at the end.
    [[nodiscard]] Result<std::vector<Location>> rows(std::uint64_t first, std::size_t count) const;

    [[nodiscard]] std::uint64_t size() const { return rows_; }
    [[nodiscard]] const std::vector<PackId>& segments() const { return segments_; }
    [[nodiscard]] const std::vector<PackId>& packs() const { return packs_; }
    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    RunFile() = default;
    Status read_head();
    Status verify(const KeyedHash& hash);

    std::string path_;
    std::unique_ptr<env::SourceFile> file_;
    std::uint64_t rows_ = 0, rows_offset_ = 0;
    std::vector<PackId> segments_, packs_;
    std::vector<std::uint64_t> fence_;  // the first eight bytes of every 64th id
};

// Writes a run row by row, in id order; rows of one id are kept once.
class RunWriter {
  public:
    RunWriter(env::FileTree& files, std::string path, const KeyedHash& hash)
        : files_(files), path_(std::move(path)), hash_(hash) {}
    // `packs` in the order of their ids.
    Status begin(const std::vector<PackId>& segments, std::vector<PackId> packs);
    Status add(const Location& row);
    // The file stands under its name when it returns; it need not survive a power loss: it is a cache.
    Status finish();

  private:
    Status flush();

    env::FileTree& files_;
    std::string path_;
    const KeyedHash& hash_;
    std::unique_ptr<env::TargetFile> file_;
    std::vector<PackId> packs_;
    std::string buffer_;
    Id chain_;
    std::uint64_t offset_ = 0, rows_ = 0, segments_ = 0;
    std::optional<Id> last_;
};

}  // namespace aeterna::repository
