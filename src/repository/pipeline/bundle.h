// Bundle: the contents of small files that are neighbours, gathered into one data entry. One thread at a time.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "repository/pipeline/segment_store.h"

namespace aeterna::repository {

inline constexpr std::size_t kBundleBytes = 1 << 20;
inline constexpr std::size_t kMostBundleFiles = 1024;

class Bundle {
  public:
    explicit Bundle(const RepositoryKeys& keys) : keys_(keys) {}

    // Room for the content of the next file; it counts only when `keep` follows.
    [[nodiscard]] std::span<char> open(std::size_t bytes);
    // The open content is that of `record`, which gets its digest and segment; what is as it was in `previous` keeps
    // its old place. `record` stays where it is until store().
    void keep(FileRecord& record, const FileRecord* previous);
    // The open content is dropped.
    void drop() { bytes_.resize(open_at_); }

    [[nodiscard]] std::size_t bytes() const { return bytes_.size(); }
    // Stores the entry and completes the records that are in it. Empty afterwards.
    Status store(EntrySink& sink);

  private:
    const RepositoryKeys& keys_;
    std::string bytes_;
    std::size_t open_at_ = 0;
    std::vector<FileRecord*> inside_;
};

}  // namespace aeterna::repository
