// KeyedHash: the hash that names everything in a repository. Two kinds, fixed when a repository is made and recorded
// in its configuration: HMAC-SHA-256 (RFC 2104) where the CPU computes SHA-256 itself, keyed BLAKE2b-256 (RFC 7693)
// where it does not. Also HKDF (RFC 5869), which makes all keys from the master key.
#pragma once

#include <openssl/sha.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>

#include "repository/crypto/secret_key.h"
#include "repository/id.h"

namespace aeterna::repository {

enum class HashKind : std::uint8_t { kSha256 = 1, kBlake2b = 2 };

// "sha256", "blake2b": the words of the configuration.
[[nodiscard]] std::string_view hash_name(HashKind kind);
[[nodiscard]] std::optional<HashKind> hash_from_name(std::string_view name);
// What is fastest on this CPU.
[[nodiscard]] HashKind fastest_hash();

// Immutable; any thread.
class KeyedHash {
  public:
    KeyedHash(HashKind kind, const SecretKey& key);
    [[nodiscard]] Id operator()(Bytes bytes) const { return hash({bytes}); }
    // Of the parts one after the other.
    [[nodiscard]] Id hash(std::initializer_list<Bytes> parts) const;
    // Of many texts of one length, into as many `ids`: the same as one by one, sooner where the CPU has wide registers.
    void hash_each(std::span<const Bytes> texts, std::span<Id> ids) const;

  private:
    void hash_lanes(std::span<const Bytes> texts, std::span<Id> ids) const;
    [[nodiscard]] Id hash_sha256(std::initializer_list<Bytes> parts) const;
    [[nodiscard]] Id hash_blake2b(std::initializer_list<Bytes> parts) const;

    HashKind kind_;
    SecretKey key_;
    SHA256_CTX inner_{}, outer_{};  // after the padded key: hashing starts from a copy
};

// HKDF-SHA-256, one block: a key for `info`, from `secret` and a public `salt` of at most 64 bytes.
[[nodiscard]] SecretKey derive_key(const SecretKey& secret, std::string_view salt, std::string_view info);

}  // namespace aeterna::repository
