// TarReader: takes a tar archive apart as it comes, in pieces of any size, and keeps nothing of it. POSIX ustar as
// PostgreSQL writes it (15, src/port/tar.c): sizes of 8 GiB and more in base 256; also GNU's long names ('L', 'K').
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace aeterna::postgres {

inline constexpr std::size_t kTarBlockBytes = 512;

struct TarEntry {
    enum class Type { kFile, kDirectory, kLink };
    Type type = Type::kFile;
    std::string path;    // without a slash at its end and without "./" at its front; "" is the root
    std::string target;  // of links
    std::uint32_t mode = 0, uid = 0, gid = 0;
    std::uint64_t bytes = 0;       // of files
    std::int64_t modified_at = 0;  // seconds since 1970
};

class TarSink {
  public:
    virtual ~TarSink() = default;
    // For a file: its content follows in any number of pieces, then end_file().
    virtual Status begin(const TarEntry& entry) = 0;
    virtual Status content(std::string_view bytes) = 0;
    virtual Status end_file() = 0;
};

class TarReader {
  public:
    explicit TarReader(TarSink& sink) : sink_(sink) {}
    // kProtocol when the bytes are no such archive; else the sink's error. Not to be called again then.
    Status feed(std::string_view bytes);
    // No more will come: kProtocol when the archive has not ended with its two blocks of zeros.
    Status finish() const;

  private:
    enum class State { kHeader, kContent, kPadding, kName, kEnd };

    Status take_header(std::string_view block);
    Status begin_entry(TarEntry entry);
    Status end_content();

    TarSink& sink_;
    State state_ = State::kHeader;
    std::string block_;       // of a header that came in pieces
    std::uint64_t left_ = 0;  // of the content
    std::size_t padding_ = 0;
    char name_type_ = 0;  // of the name that is being read
    std::string name_, long_path_, long_target_;
    int zero_blocks_ = 0;
};

}  // namespace aeterna::postgres
