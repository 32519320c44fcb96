#include "postgres/capture/file_checksum.h"

#include <openssl/evp.h>

#include "base/check.h"
#include "postgres/client/crc32c.h"

namespace aeterna::postgres {

std::string_view checksum_name(ChecksumKind kind) {
    switch (kind) {
        case ChecksumKind::kCrc32c: return "CRC32C";
        case ChecksumKind::kSha256: return "SHA256";
        default: return "NONE";
    }
}

std::optional<ChecksumKind> checksum_from_name(std::string_view name) {
    for (const ChecksumKind kind : {ChecksumKind::kNone, ChecksumKind::kCrc32c, ChecksumKind::kSha256}) {
        if (checksum_name(kind) == name) return kind;
    }
    return std::nullopt;
}

struct FileChecksum::Sha {
    Sha() : context(EVP_MD_CTX_new()) { begin(); }
    ~Sha() { EVP_MD_CTX_free(context); }
    Sha(const Sha&) = delete;
    Sha& operator=(const Sha&) = delete;
    void begin() const { AETERNA_CHECK(EVP_DigestInit_ex(context, EVP_sha256(), nullptr) == 1); }
    EVP_MD_CTX* context;
};

FileChecksum::FileChecksum(ChecksumKind kind)
    : kind_(kind), sha_(kind == ChecksumKind::kSha256 ? std::make_unique<Sha>() : nullptr) {}
FileChecksum::~FileChecksum() = default;
FileChecksum::FileChecksum(FileChecksum&&) noexcept = default;

void FileChecksum::add(std::string_view bytes) {
    if (kind_ == ChecksumKind::kCrc32c) crc_ = crc32c(crc_, bytes);
    if (sha_) AETERNA_CHECK(EVP_DigestUpdate(sha_->context, bytes.data(), bytes.size()) == 1);
}

std::string FileChecksum::take() {
    std::string sum;
    if (kind_ == ChecksumKind::kCrc32c) {
        for (int byte = 0; byte < 4; ++byte) sum.push_back(static_cast<char>(crc_ >> (8 * byte)));
        crc_ = 0;
    }
    if (sha_) {
        sum.resize(32);
        unsigned length = 0;
        AETERNA_CHECK(EVP_DigestFinal_ex(sha_->context, reinterpret_cast<unsigned char*>(sum.data()), &length) == 1);
        sha_->begin();
    }
    return sum;
}

std::string sha256_of(std::string_view bytes) {
    FileChecksum sum(ChecksumKind::kSha256);
    sum.add(bytes);
    return sum.take();
}

}  // namespace aeterna::postgres
