// The checksums of a backup manifest: CRC-32C (Castagnoli; PostgreSQL's pg_crc32c) and SHA-256, over content in pieces.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace aeterna::postgres {

enum class ChecksumKind { kNone, kCrc32c, kSha256 };

// "NONE", "CRC32C", "SHA256": the words of BASE_BACKUP and of the manifest.
[[nodiscard]] std::string_view checksum_name(ChecksumKind kind);
[[nodiscard]] std::optional<ChecksumKind> checksum_from_name(std::string_view name);

class FileChecksum {
  public:
    explicit FileChecksum(ChecksumKind kind);
    ~FileChecksum();
    FileChecksum(FileChecksum&&) noexcept;
    void add(std::string_view bytes);
    // As the manifest has it, not in hex: CRC-32C little-endian. Begins anew.
    [[nodiscard]] std::string take();

  private:
    struct Sha;
    ChecksumKind kind_;
    std::uint32_t crc_ = 0;
    std::unique_ptr<Sha> sha_;
};

[[nodiscard]] std::string sha256_of(std::string_view bytes);

}  // namespace aeterna::postgres
