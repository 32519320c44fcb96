// One file of a backup as a stream, from its front to its end: for programs that read a pipe. One segment (64 MiB) is in
// memory at a time.
#pragma once

#include <functional>

#include "repository/pipeline/entry_reader.h"

namespace aeterna::repository {

class FileStream {
  public:
    // kNotFound; kUsage for what is no file. The index is open; both outlive the stream.
    [[nodiscard]] static Result<std::unique_ptr<FileStream>> open(Repository& repository, const Backup& backup,
                                                                  const std::string& path, const env::Context& context);

    [[nodiscard]] std::uint64_t bytes() const { return record_.info.size; }
    // The next bytes, at most `limit_bytes`, valid until the next call; none at the end. kCorrupt.
    [[nodiscard]] Result<Bytes> next(std::size_t limit_bytes);

  private:
    FileStream(Repository& repository, const env::Context& context) : reader_(repository, context) {}

    EntryReader reader_;
    FileRecord record_;
    std::size_t next_segment_ = 0;
    std::string segment_;
    std::size_t used_ = 0;
};

}  // namespace aeterna::repository
