#include "postgres/capture/file_checksum.h"

#include <openssl/evp.h>

#include <array>
#include <cstring>

#include "base/check.h"

namespace aeterna::postgres {
namespace {

constexpr std::uint32_t kPolynomial = 0x82F63B78;  // Castagnoli's, bits reversed

constexpr std::array<std::uint32_t, 256> kTable = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t crc = i;
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
        table[i] = crc;
    }
    return table;
}();

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t crc32c_by_instruction(std::uint32_t crc, std::string_view bytes) {
    std::uint64_t state = ~crc;
    while (bytes.size() >= 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes.data(), 8);
        state = __builtin_ia32_crc32di(state, word);
        bytes.remove_prefix(8);
    }
    auto rest = static_cast<std::uint32_t>(state);
    for (const char c : bytes) rest = __builtin_ia32_crc32qi(rest, static_cast<unsigned char>(c));
    return ~rest;
}
#endif

}  // namespace

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

std::uint32_t crc32c_plainly(std::uint32_t crc, std::string_view bytes) {
    std::uint32_t state = ~crc;
    for (const char c : bytes) state = kTable[(state ^ static_cast<unsigned char>(c)) & 0xff] ^ (state >> 8);
    return ~state;
}

std::uint32_t crc32c(std::uint32_t crc, std::string_view bytes) {
#if defined(__x86_64__)
    static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;
    if (has_instruction) return crc32c_by_instruction(crc, bytes);
#endif
    return crc32c_plainly(crc, bytes);
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
