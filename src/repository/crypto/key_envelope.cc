#include "repository/crypto/key_envelope.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <map>

#include "base/json.h"
#include "base/strings.h"
#include "repository/crypto/cipher.h"

namespace aeterna::repository {
namespace {

constexpr std::string_view kKeyPrefix = "aeterna-key-1:", kEscrowLine = "aeterna-escrow-1";
constexpr std::int64_t kKeyVersion = 1;
// A hostile envelope may not make us allocate the machine away.
constexpr std::int64_t kMostMemory = 4LL << 30, kMostPasses = 64;

std::string random_bytes(env::Random& random, std::size_t count) {
    std::string bytes;
    while (bytes.size() < count) {
        const std::uint64_t number = random.next();
        for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(number >> (8 * i)));
    }
    bytes.resize(count);
    return bytes;
}

std::string fingerprint_of(std::string_view text) {
    unsigned char digest[32];
    unsigned length = 0;
    ::EVP_Digest(text.data(), text.size(), digest, &length, ::EVP_sha256(), nullptr);
    return to_hex({reinterpret_cast<const char*>(digest), length});
}

// Over the members in the order of their names, as dump_json writes them.
std::string checksum(Json document) {
    document.erase("checksum");
    return fingerprint_of(dump_json(document));
}

Error damaged_key() { return make_error(ErrorCode::kCorrupt, "a key object is damaged"); }

struct Derivation {
    std::string salt;
    std::uint64_t passes = 0, memory_bytes = 0;  // passphrases only
};

Result<SecretKey> wrapping_key(const Credential& credential, const Derivation& how) {
    if (credential.kind == Credential::Kind::kKeyFile) {
        return derive_key(SecretKey(credential.secret.reveal()), how.salt, "aeterna repository 1 key file");
    }
    SecretKey key;
    const std::string& text = credential.secret.reveal();
    if (::crypto_pwhash(key.data(), SecretKey::kBytes, text.data(), text.size(),
                        reinterpret_cast<const unsigned char*>(how.salt.data()), how.passes,
                        static_cast<std::size_t>(how.memory_bytes), crypto_pwhash_ALG_ARGON2ID13) != 0) {
        return make_error(ErrorCode::kInternal,
                          fmt::format("no memory for the passphrase's {} MiB", how.memory_bytes >> 20));
    }
    return key;
}

std::string_view kind_name(Credential::Kind kind) {
    switch (kind) {
        case Credential::Kind::kKeyFile: return "key_file";
        case Credential::Kind::kPassphrase: return "passphrase";
        case Credential::Kind::kEscrow: return "escrow";
    }
    return "?";
}

// Everything above the last line, so that a slip of the pen in a copy is not taken for another key.
std::string escrow_checksum(std::string_view above) { return fingerprint_of(above).substr(0, 16); }

Result<Credential> parse_escrow(const std::string& text) {
    const Error damaged = make_error(ErrorCode::kUsage, "the escrow file is damaged", "Take another copy of it.");
    std::map<std::string, std::string, std::less<>> fields;
    const std::size_t last = text.find("\nchecksum: ");
    if (last == std::string::npos) return damaged;
    for (const std::string_view line : split(text, '\n')) {
        const std::size_t colon = line.find(": ");
        if (!line.starts_with('#') && colon != std::string_view::npos) {
            fields.emplace(line.substr(0, colon), trim(line.substr(colon + 2)));
        }
    }
    const auto hash = hash_from_name(fields["hash"]);
    const auto master = base64_decode(fields["master"]);
    if (fields["checksum"] != escrow_checksum(std::string_view(text).substr(0, last + 1)) || !hash || !master ||
        master->size() != SecretKey::kBytes || fields["repository"].empty()) {
        return damaged;
    }
    return Credential{Credential::Kind::kEscrow, Secret(*master), fields["repository"], fields["place"], *hash};
}

}  // namespace

Result<Credential> parse_credential(const std::string& file_content) {
    const std::string_view line = std::string_view(file_content).substr(0, file_content.find_first_of("\r\n"));
    if (line == kEscrowLine) return parse_escrow(file_content);
    if (line.substr(0, kKeyPrefix.size()) != kKeyPrefix) {
        if (line.empty()) return make_error(ErrorCode::kUsage, "the key file's first line is empty");
        return Credential{Credential::Kind::kPassphrase, Secret(std::string(line))};
    }
    const auto key = base64_decode(trim(line.substr(kKeyPrefix.size())));
    if (!key || key->size() != SecretKey::kBytes) {
        return make_error(ErrorCode::kUsage, "the key file is damaged", "Take the copy that you keep elsewhere.");
    }
    return Credential{Credential::Kind::kKeyFile, Secret(*key)};
}

Credential make_key(env::Random& random) {
    return {Credential::Kind::kKeyFile, Secret(random_bytes(random, SecretKey::kBytes))};
}

std::string escrow_text(const MasterKey& master, const std::string& place, const std::string& created_at) {
    std::string text = fmt::format(
        "{}\n# With this file and the storage every backup can be read: nothing else is needed, and nothing shuts it out\n"
        "# again. Keep it where the storage is not.\n"
        "#     aeterna-dr --key-file THIS_FILE backups list\n"
        "#     aeterna-dr --key-file THIS_FILE restore files latest --into DIRECTORY\n"
        "repository: {}\nplace: {}\nhash: {}\ncreated_at: {}\nmaster: {}\n",
        kEscrowLine, master.repository_id, place, hash_name(master.hash), created_at, base64_encode(master.key.view()));
    return text + fmt::format("checksum: {}\n", escrow_checksum(text));
}

std::string key_file_text(const Credential& key) {
    return fmt::format("{}{}\n", kKeyPrefix, base64_encode(key.secret.reveal()));
}

Result<std::string> wrap_master_key(const MasterKey& master, const Credential& credential, const KeyLabel& label,
                                    env::Random& random, PassphraseCost cost) {
    if (credential.kind == Credential::Kind::kEscrow) {
        return make_error(ErrorCode::kUsage, "an escrow file opens the repository already", "Add a key file or a passphrase.");
    }
    const Derivation how{random_bytes(random, crypto_pwhash_SALTBYTES), cost.passes, cost.memory_bytes};
    AETERNA_ASSIGN(const SecretKey wrapping, wrapping_key(credential, how));
    const std::string plain = dump_json(Json{{"repository", master.repository_id},
                                             {"hash", hash_name(master.hash)},
                                             {"master", base64_encode(master.key.view())}});
    std::string sealed(plain.size() + kTagBytes, '\0');
    Cipher(wrapping).seal(0, bytes_of(master.repository_id), bytes_of(plain), sealed);
    Json document{
        {"version", kKeyVersion},         {"repository", master.repository_id}, {"kind", kind_name(credential.kind)},
        {"label", label.label},           {"created_at", label.created_at},     {"salt", base64_encode(how.salt)},
        {"sealed", base64_encode(sealed)}};
    if (credential.kind == Credential::Kind::kPassphrase) {
        document["argon2id"] = Json{{"passes", how.passes}, {"memory_bytes", how.memory_bytes}};
    }
    document["checksum"] = checksum(document);
    return dump_json(document) + "\n";
}

namespace {

// The envelope as JSON whose checksum holds.
Result<Json> parse_envelope(const std::string& envelope) {
    const Result<Json> document = parse_json(envelope, "a key object");
    if (!document || !document->is_object()) return damaged_key();
    if (find_integer(*document, "version").value_or(kKeyVersion) > kKeyVersion) {
        return make_error(ErrorCode::kConfiguration, "a key object has a newer format version",
                          "Use a newer aeterna-dr.");
    }
    if (find_string(*document, "checksum") != checksum(*document)) return damaged_key();
    return *document;
}

Result<Derivation> parse_derivation(const Json& document) {
    const auto salt = base64_decode(find_string(document, "salt").value_or(""));
    if (!salt || salt->size() != crypto_pwhash_SALTBYTES) return damaged_key();
    Derivation how{*salt, 0, 0};
    if (const Json* cost = find_member(document, "argon2id")) {
        const std::int64_t passes = find_integer(*cost, "passes").value_or(0);
        const std::int64_t memory = find_integer(*cost, "memory_bytes").value_or(0);
        if (passes < 1 || passes > kMostPasses || memory < 8192 || memory > kMostMemory) return damaged_key();
        how.passes = static_cast<std::uint64_t>(passes);
        how.memory_bytes = static_cast<std::uint64_t>(memory);
    }
    return how;
}

}  // namespace

Result<MasterKey> unwrap_master_key(const std::string& envelope, const Credential& credential) {
    AETERNA_ASSIGN(const Json document, parse_envelope(envelope));
    const Error wrong = make_error(ErrorCode::kWrongKey, "the key does not open this repository",
                                   "Give the key file or passphrase that the repository was made with (--key-file).");
    if (find_string(document, "kind") != kind_name(credential.kind)) return wrong;
    AETERNA_ASSIGN(const Derivation how, parse_derivation(document));
    if (credential.kind == Credential::Kind::kPassphrase && how.passes == 0) return damaged_key();
    AETERNA_ASSIGN(const SecretKey wrapping, wrapping_key(credential, how));
    const auto sealed = base64_decode(find_string(document, "sealed").value_or(""));
    if (!sealed || sealed->size() < kTagBytes) return damaged_key();
    const std::string repository = find_string(document, "repository").value_or("");
    std::string plain(sealed->size() - kTagBytes, '\0');
    if (!Cipher(wrapping).open(0, bytes_of(repository), bytes_of(*sealed), plain)) return wrong;
    AETERNA_ASSIGN(const Json inner, parse_json(plain, "a key object"));
    const auto hash = hash_from_name(find_string(inner, "hash").value_or(""));
    const auto master = base64_decode(find_string(inner, "master").value_or(""));
    if (!hash || !master || master->size() != SecretKey::kBytes) return damaged_key();
    return MasterKey{repository, *hash, SecretKey(*master)};
}

Result<EnvelopeInfo> describe_envelope(const std::string& envelope) {
    AETERNA_ASSIGN(const Json document, parse_envelope(envelope));
    return EnvelopeInfo{find_string(document, "repository").value_or(""), find_string(document, "kind").value_or(""),
                        find_string(document, "label").value_or(""), find_string(document, "created_at").value_or("")};
}

}  // namespace aeterna::repository
