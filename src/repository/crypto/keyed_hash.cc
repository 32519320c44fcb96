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

#include <algorithm>

#include "base/check.h"
#include "repository/crypto/sha256_lanes.h"

namespace aeterna::repository {
namespace {

constexpr std::size_t kBlock = kSha256Block;
// All lanes cost about what eight texts cost one by one; lanes that nothing is left for repeat the first text.
constexpr std::size_t kFewestForLanes = 8;

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

void put_big_endian(std::uint64_t value, std::size_t bytes, char* out) {
    for (std::size_t i = 0; i < bytes; ++i) out[i] = static_cast<char>(value >> (8 * (bytes - 1 - i)));
}

Sha256LaneStates in_all_lanes(const SHA256_CTX& context) {
    Sha256LaneStates states;
    for (std::size_t i = 0; i < states.size(); ++i) states[i].fill(context.h[i]);
    return states;
}

void put_digest(const Sha256LaneStates& states, std::size_t lane, char* out) {
    for (std::size_t i = 0; i < states.size(); ++i) put_big_endian(states[i][lane], 4, out + 4 * i);
}

// SHA-256's padding after `used` bytes of a block: a one bit, zeros, and the length of everything in bits.
void pad_block(std::size_t used, std::uint64_t total_bytes, char* block) {
    std::fill(block + used, block + kBlock, '\0');
    block[used] = '\x80';
    put_big_endian(total_bytes * 8, 8, block + kBlock - 8);
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

void KeyedHash::hash_each(std::span<const Bytes> texts, std::span<Id> ids) const {
    AETERNA_CHECK(texts.size() == ids.size());
    std::size_t done = 0;
    if (kind_ == HashKind::kSha256 && !texts.empty() && texts[0].size() % kBlock == 0 && has_sha256_lanes()) {
        while (texts.size() - done >= kFewestForLanes) {
            const std::size_t count = std::min(kSha256Lanes, texts.size() - done);
            hash_lanes(texts.subspan(done, count), ids.subspan(done, count));
            done += count;
        }
    }
    for (; done < texts.size(); ++done) ids[done] = hash({texts[done]});
}

// At most as many texts as there are lanes, whole blocks of one length.
void KeyedHash::hash_lanes(std::span<const Bytes> texts, std::span<Id> ids) const {
    const std::size_t bytes = texts[0].size();
    Sha256LaneTexts lanes;
    for (std::size_t i = 0; i < lanes.size(); ++i) {
        const Bytes text = texts[i < texts.size() ? i : 0];
        AETERNA_CHECK(text.size() == bytes);
        lanes[i] = text.data();
    }
    Sha256LaneStates states = in_all_lanes(inner_);
    compress_lanes(states, lanes, bytes / kBlock);
    std::array<std::array<char, kBlock>, kSha256Lanes> blocks;
    pad_block(0, kBlock + bytes, blocks[0].data());  // the padded key counts
    lanes.fill(blocks[0].data());
    compress_lanes(states, lanes, 1);
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        put_digest(states, i, blocks[i].data());
        pad_block(SHA256_DIGEST_LENGTH, kBlock + SHA256_DIGEST_LENGTH, blocks[i].data());
        lanes[i] = blocks[i].data();
    }
    states = in_all_lanes(outer_);
    compress_lanes(states, lanes, 1);
    for (std::size_t i = 0; i < ids.size(); ++i) put_digest(states, i, ids[i].bytes.data());
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
