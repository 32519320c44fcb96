#include "repository/repository.h"

#include <fmt/format.h>

#include "base/json.h"

namespace aeterna::repository {
namespace {

constexpr std::string_view kConfigName = "config", kKeys = "keys/";
constexpr std::int64_t kFormatVersion = 1;
constexpr std::size_t kMostConfigBytes = 1 << 20;
constexpr int kMostCaches = 16;

std::string key_object_name(const std::string& slot) { return std::string(kKeys) + slot; }

struct Config {
    std::string id;
    HashKind hash = HashKind::kSha256;
};

Result<Config> parse_config(const std::string& text, const std::string& place) {
    const Error damaged = make_error(ErrorCode::kCorrupt, fmt::format("the configuration of '{}' is damaged", place));
    const Result<Json> document = parse_json(text, "a repository's configuration");
    if (!document) return damaged;
    const auto version = find_integer(*document, "version");
    if (find_string(*document, "format") != "aeterna-repository" || !version) {
        return make_error(ErrorCode::kNoRepository, fmt::format("'{}' holds something else than a repository", place),
                          "Name the repository's own directory or prefix (--repo).");
    }
    if (*version > kFormatVersion) {
        return make_error(ErrorCode::kConfiguration, fmt::format("'{}' has format version {}", place, *version),
                          "Use a newer aeterna-dr.");
    }
    const auto id = find_string(*document, "id");
    const auto hash = hash_from_name(find_string(*document, "hash").value_or(""));
    if (!id || !hash) return damaged;
    return Config{*id, *hash};
}

Result<std::vector<std::string>> list_slots(Storage& storage, const env::Context& context) {
    AETERNA_ASSIGN(std::vector<std::string> slots, list_names(storage, kKeys, context));
    for (std::string& slot : slots) slot.erase(0, kKeys.size());
    return slots;
}

}  // namespace

Status Repository::init(Storage& storage, const Credential& credential, const InitOptions& options, const Ports& ports,
                        const env::Context& context) {
    const Error taken = make_error(ErrorCode::kAlreadyExists,
                                   fmt::format("'{}' is a repository already", storage.describe()),
                                   "Use it with its key, or choose another place.");
    const Result<ObjectInfo> there = storage.stat(std::string(kConfigName), context);
    if (there) return taken;
    if (there.error().code != ErrorCode::kNotFound) return there.error();
    MasterKey master;
    master.repository_id = random_name(ports.random).to_hex();
    master.hash = options.hash.value_or(fastest_hash());
    const PackId first = random_name(ports.random), second = random_name(ports.random);
    master.key = SecretKey(std::string(first.view()) + std::string(second.view()));
    const std::string created_at = format_time(ports.clock.wall_now());
    AETERNA_ASSIGN(const std::string envelope, wrap_master_key(master, credential, {options.key_label, created_at},
                                                               ports.random, options.cost));
    const std::string slot = random_name(ports.random).to_hex();
    AETERNA_TRY(storage.put(key_object_name(slot), bytes_of(envelope), PutMode::kIfAbsent, context));
    const std::string config = dump_json_pretty(Json{{"format", "aeterna-repository"},
                                                     {"version", kFormatVersion},
                                                     {"id", master.repository_id},
                                                     {"hash", hash_name(master.hash)},
                                                     {"created_at", created_at}});
    const Status put = storage.put(std::string(kConfigName), bytes_of(config), PutMode::kIfAbsent, context);
    if (put) return {};
    if (put.error().code != ErrorCode::kAlreadyExists) return put;
    // Somebody else was faster, unless it is our own that arrived without an answer.
    const Result<std::string> winner = read_object(storage, std::string(kConfigName), kMostConfigBytes, context);
    if (winner && *winner == config) return {};
    AETERNA_TRY(storage.remove(key_object_name(slot), context));
    return taken;
}

Status Repository::check_place(const env::Context& context) const {
    const Result<std::string> text = read_object(storage_, std::string(kConfigName), kMostConfigBytes, context);
    if (!text && text.error().code != ErrorCode::kNotFound) return text.error();
    const auto config = text ? parse_config(*text, storage_.describe()) : Result<Config>(text.error());
    if (config && config->id == id()) return {};
    return make_error(ErrorCode::kUnavailable, fmt::format("the repository is no longer at '{}'", storage_.describe()),
                      "Is its file system mounted?");
}

Result<std::unique_ptr<Repository>> Repository::open(Storage& storage, const Credential& credential,
                                                     const Ports& ports, const env::Context& context) {
    const Result<std::string> text = read_object(storage, std::string(kConfigName), kMostConfigBytes, context);
    if (!text && text.error().code == ErrorCode::kNotFound) {
        return make_error(ErrorCode::kNoRepository, fmt::format("there is no repository at '{}'", storage.describe()),
                          "Make one with 'aeterna-dr repo init', or name the right place (--repo).");
    }
    if (!text) return text.error();
    AETERNA_ASSIGN(const Config config, parse_config(*text, storage.describe()));
    if (credential.kind == Credential::Kind::kEscrow) {
        if (credential.repository_id != config.id || credential.hash != config.hash) {
            return make_error(ErrorCode::kWrongKey,
                              fmt::format("the escrow file is of repository {}, this is {}", credential.repository_id, config.id));
        }
        MasterKey master{config.id, config.hash, SecretKey(credential.secret.reveal())};
        return std::unique_ptr<Repository>(new Repository(storage, std::move(master), "", ports));
    }
    AETERNA_ASSIGN(const auto slots, list_slots(storage, context));
    std::optional<Error> wrong, damaged;
    for (const std::string& slot : slots) {
        AETERNA_ASSIGN(const std::string envelope,
                       read_object(storage, key_object_name(slot), kMostConfigBytes, context));
        const auto info = describe_envelope(envelope);
        if (info && info->repository_id != config.id) continue;  // left by an init that another one outran
        Result<MasterKey> master = unwrap_master_key(envelope, credential);
        if (!master) {
            (master.error().code == ErrorCode::kWrongKey ? wrong : damaged) = master.error();
            continue;
        }
        if (master->hash != config.hash) {
            return make_error(ErrorCode::kCorrupt,
                              fmt::format("the configuration of '{}' was changed", storage.describe()));
        }
        return std::unique_ptr<Repository>(new Repository(storage, std::move(*master), slot, ports));
    }
    // With a slot that cannot be read nobody can say that the key is wrong.
    if (damaged) return *damaged;
    if (wrong) return *wrong;
    return make_error(ErrorCode::kCorrupt, fmt::format("'{}' has no key object", storage.describe()),
                      "Put an exported copy of the key object back below 'keys/'.");
}

Status Repository::open_index(const std::string& state_directory, SessionKind kind, const env::Context& context) {
    if (kind != SessionKind::kPrune) {
        auto session = Session::begin(storage_, kind, ports_, context);
        const bool is_read_only = !session && session.error().code == ErrorCode::kPermission;
        if (!session && !(is_read_only && kind == SessionKind::kRead)) return session.error();
        if (session) session_ = std::move(*session);
        if (session_) clock_skew_ = ports_.clock.wall_now() - session_->started();
    }
    for (int number = 0; number < kMostCaches && !cache_lock_; ++number) {
        const std::string directory = fmt::format("{}/index-{}-{}", state_directory, id().substr(0, 16), number);
        AETERNA_TRY(ports_.files.make_directories(directory));
        auto lock = ports_.files.lock(directory + "/lock");
        if (!lock && lock.error().code == ErrorCode::kLocked) continue;
        if (!lock) return lock.error();
        AETERNA_ASSIGN(index_, ChunkIndex::open(storage_, keys_, ports_.random, ports_.tree, directory, context));
        cache_lock_ = std::move(*lock);
    }
    if (cache_lock_) return {};
    return make_error(ErrorCode::kLocked, fmt::format("{} processes use '{}' already", kMostCaches, state_directory),
                      "Wait for one of them to end.");
}

Result<std::vector<KeySlot>> Repository::key_slots(const env::Context& context) {
    AETERNA_ASSIGN(const auto slots, list_slots(storage_, context));
    std::vector<KeySlot> found;
    for (const std::string& slot : slots) {
        AETERNA_ASSIGN(const std::string envelope,
                       read_object(storage_, key_object_name(slot), kMostConfigBytes, context));
        const auto info = describe_envelope(envelope);
        if (!info) {
            found.push_back({slot, "damaged", info.error().message, ""});
        } else if (info->repository_id == id()) {
            found.push_back({slot, info->kind, info->label, info->created_at});
        }
    }
    return found;
}

Result<std::string> Repository::add_key(const Credential& credential, const std::string& label, PassphraseCost cost,
                                        const env::Context& context) {
    const KeyLabel named{label, format_time(ports_.clock.wall_now())};
    AETERNA_ASSIGN(const std::string envelope, wrap_master_key(master_, credential, named, ports_.random, cost));
    const std::string slot = random_name(ports_.random).to_hex();
    AETERNA_TRY(storage_.put(key_object_name(slot), bytes_of(envelope), PutMode::kIfAbsent, context));
    return slot;
}

Secret Repository::escrow() const {
    return Secret(escrow_text(master_, storage_.describe(), format_time(ports_.clock.wall_now())));
}

Status Repository::remove_key(const std::string& slot, const env::Context& context) {
    AETERNA_ASSIGN(const auto slots, key_slots(context));
    const KeySlot* found = nullptr;
    for (const KeySlot& candidate : slots) {
        if (candidate.id == slot) found = &candidate;
    }
    if (found == nullptr) {
        return make_error(ErrorCode::kNotFound, fmt::format("there is no key '{}'", slot),
                          "'aeterna-dr repo key list' shows which there are.");
    }
    if (slot == slot_ || slots.size() == 1) {
        return make_error(ErrorCode::kGuardRefused, fmt::format("key '{}' is the one in use", slot),
                          "Add another key, then remove this one with that.");
    }
    return storage_.remove(key_object_name(slot), context);
}

}  // namespace aeterna::repository
