// Key envelope: the object "keys/<id>" that wraps the master key with one secret that its owner holds: the random key
// of a key file, or a passphrase (Argon2id).
//
// A checksum over the envelope tells damage from a wrong key, so that neither is reported as the other. What the
// envelope seals says which repository it belongs to and how that one hashes: a configuration that somebody changed
// does not pass.
#pragma once

#include <string>

#include "base/result.h"
#include "base/secret.h"
#include "env/clock.h"
#include "repository/crypto/keyed_hash.h"

namespace aeterna::repository {

// What the owner holds. A file whose first line begins with "aeterna-key-1:" is a key file, one whose first line is
// "aeterna-escrow-1" the master key itself; any other's first line is a passphrase.
struct Credential {
    enum class Kind { kKeyFile, kPassphrase, kEscrow } kind = Kind::kKeyFile;
    Secret secret;  // 32 bytes, or the passphrase
    // Of an escrow alone.
    std::string repository_id{}, place{};
    HashKind hash = HashKind::kSha256;
};
// kUsage for an empty passphrase or a malformed key; never repeats the text.
[[nodiscard]] Result<Credential> parse_credential(const std::string& file_content);
[[nodiscard]] Credential make_key(env::Random& random);
// "aeterna-key-1:<base64>\n".
[[nodiscard]] std::string key_file_text(const Credential& key);

struct MasterKey {
    std::string repository_id;  // hex
    HashKind hash = HashKind::kSha256;
    SecretKey key;
};

// How much Argon2id costs: the interactive limits of libsodium are 64 MiB and two passes.
struct PassphraseCost {
    std::uint64_t passes = 3;
    std::uint64_t memory_bytes = 64 << 20;
};

struct KeyLabel {
    std::string label;       // for people
    std::string created_at;  // RFC 3339
};

// An escrow file: opens the repository even when all of its key objects are lost, and cannot be shut out. `place` is
// where the repository was then.
[[nodiscard]] std::string escrow_text(const MasterKey& master, const std::string& place, const std::string& created_at);

[[nodiscard]] Result<std::string> wrap_master_key(const MasterKey& master, const Credential& credential,
                                                  const KeyLabel& label, env::Random& random,
                                                  PassphraseCost cost = {});
// kWrongKey when the credential is not this envelope's, kCorrupt when the envelope is damaged.
[[nodiscard]] Result<MasterKey> unwrap_master_key(const std::string& envelope, const Credential& credential);

// For lists: kind, label, created_at, without opening it.
struct EnvelopeInfo {
    std::string repository_id, kind, label, created_at;
};
[[nodiscard]] Result<EnvelopeInfo> describe_envelope(const std::string& envelope);

}  // namespace aeterna::repository
