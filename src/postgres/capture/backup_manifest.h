// The server's backup manifest (manual, "Backup Manifest Format"): which files it sent, how long they are, their
// checksums, which WAL the backup needs. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "postgres/capture/file_checksum.h"

namespace aeterna::postgres {

struct ManifestFile {
    std::string path;  // relative to the data directory
    std::uint64_t bytes = 0;
    ChecksumKind kind = ChecksumKind::kNone;
    std::string checksum;  // not in hex
};

struct WalRange {
    std::uint32_t timeline = 0;
    std::uint64_t from = 0, to = 0;  // LSNs
};

// Checks the manifest's own checksum first, then gives each file in its order. The ranges, or kProtocol: the text is
// damaged, is no manifest of version 1, or has a checksum of a kind that we did not ask for; else the callback's error.
[[nodiscard]] Result<std::vector<WalRange>> read_backup_manifest(
    std::string_view text, const std::function<Status(const ManifestFile&)>& each);

// What came, held against the manifest that comes last.
class ReceivedFiles {
  public:
    void add(const std::string& path, std::uint64_t bytes, std::string checksum);
    // kProtocol with the first file that is missing, differs, or was not announced. The server announces no WAL.
    [[nodiscard]] Result<std::vector<WalRange>> verify(std::string_view manifest);

  private:
    struct File {
        std::uint64_t bytes = 0;
        std::string checksum;
    };
    std::map<std::string, File> files_;
};

}  // namespace aeterna::postgres
