// The low-level SHA-256 calls of OpenSSL are used on purpose: their context is plain data that is copied for each
// page, where EVP would allocate. Both take the CPU's instructions.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "repository/crypto/keyed_hash.h"

#include <sodium.h>
#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

#include "base/check.h"

namespace aeterna::repository {
namespace {

constexpr std::size_t kBlock = 64;  // of SHA-256

void start(SHA256_CTX& context, std::string_view key, unsigned char pad) {
    AETERNA_CHECK(key.size() <= kBlock);
    unsigned char block[kBlock];
    for (std::size_t i = 0; i < kBlock; ++i) {
        block[i] = static_cast<unsigned char>((i < key.size() ? static_cast<unsigned char>(key[i]) : 0) ^ pad);
    }
    ::SHA256_Init(&context);
    ::SHA256_Update(&context, block, kBlock);
    ::sodium_memzero(block, kBlock);
}

Id finish(SHA256_CTX inner, SHA256_CTX outer) {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    ::SHA256_Final(digest, &inner);
    ::SHA256_Update(&outer, digest, sizeof digest);
    Id id;
    ::SHA256_Final(reinterpret_cast<unsigned char*>(id.bytes.data()), &outer);
    return id;
}

SecretKey hmac(std::string_view key, std::string_view first, std::string_view second) {
    SHA256_CTX inner, outer;
    start(inner, key, 0x36);
    start(outer, key, 0x5c);
    ::SHA256_Update(&inner, first.data(), first.size());
    ::SHA256_Update(&inner, second.data(), second.size());
    return SecretKey(finish(inner, outer).view());
}

bool cpu_has_sha256() {
#if defined(__x86_64__)
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & (1U << 29)) != 0;  // CPUID.7.EBX: SHA
#elif defined(__aarch64__)
    return (::getauxval(AT_HWCAP) & HWCAP_SHA2) != 0;
#else
    return false;
#endif
}

}  // namespace

std::string_view hash_name(HashKind kind) { return kind == HashKind::kSha256 ? "sha256" : "blake2b"; }

std::optional<HashKind> hash_from_name(std::string_view name) {
    if (name == "sha256") return HashKind::kSha256;
    if (name == "blake2b") return HashKind::kBlake2b;
    return std::nullopt;
}

HashKind fastest_hash() { return cpu_has_sha256() ? HashKind::kSha256 : HashKind::kBlake2b; }

KeyedHash::KeyedHash(HashKind kind, const SecretKey& key) : kind_(kind), key_(key) {
    start(inner_, key.view(), 0x36);
    start(outer_, key.view(), 0x5c);
}

Id KeyedHash::hash(std::initializer_list<Bytes> parts) const {
    return kind_ == HashKind::kSha256 ? hash_sha256(parts) : hash_blake2b(parts);
}

Id KeyedHash::hash_sha256(std::initializer_list<Bytes> parts) const {
    SHA256_CTX inner = inner_;
    for (const Bytes& part : parts) ::SHA256_Update(&inner, part.data(), part.size());
    return finish(inner, outer_);
}

Id KeyedHash::hash_blake2b(std::initializer_list<Bytes> parts) const {
    crypto_generichash_blake2b_state state;
    Id id;
    ::crypto_generichash_blake2b_init(&state, key_.data(), SecretKey::kBytes, id.bytes.size());
    for (const Bytes& part : parts) {
        ::crypto_generichash_blake2b_update(&state, reinterpret_cast<const unsigned char*>(part.data()), part.size());
    }
    ::crypto_generichash_blake2b_final(&state, reinterpret_cast<unsigned char*>(id.bytes.data()), id.bytes.size());
    return id;
}

SecretKey derive_key(const SecretKey& secret, std::string_view salt, std::string_view info) {
    const SecretKey extracted = hmac(salt, secret.view(), "");
    return hmac(extracted.view(), info, std::string_view("\x01", 1));
}

}  // namespace aeterna::repository
