#include "repository/catalog.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/json.h"

namespace aeterna::repository {
namespace {

constexpr std::string_view kBackups = "backups/";
constexpr std::size_t kSmallObject = 4096;

std::optional<Id> id_from_base64(const Json& value) {
    if (!value.is_string()) return std::nullopt;
    const auto bytes = base64_decode(value.get_ref<const std::string&>());
    Id id;
    if (!bytes || bytes->size() != id.bytes.size()) return std::nullopt;
    std::copy(bytes->begin(), bytes->end(), id.bytes.begin());
    return id;
}

}  // namespace

std::string backup_object_name(const std::string& id) { return std::string(kBackups) + id; }

std::string make_backup_id(WallTime now, std::uint64_t random) {
    const std::string time = format_time(now);  // "2026-03-01T10:00:00.123Z"
    std::string id;
    for (const char c : time.substr(0, 23)) {
        if (c != '-' && c != ':' && c != '.') id.push_back(c);
    }
    return fmt::format("{}Z-{:08x}", id, static_cast<std::uint32_t>(random));
}

std::string encode_backup(const Backup& backup) {
    Json manifest = Json::array();
    for (const Id& id : backup.manifest) manifest.push_back(base64_encode(id.view()));
    return dump_json(Json{{"version", 1},
                          {"id", backup.id},
                          {"kind", backup.kind},
                          {"store", backup.store},
                          {"name", backup.name},
                          {"node", backup.node},
                          {"server_version", backup.server_version},
                          {"started_us", to_unix_us(backup.started_at)},
                          {"finished_us", to_unix_us(backup.finished_at)},
                          {"log", backup.log ? Json{{"name", backup.log->name},
                                                    {"from", hex64(backup.log->from)},
                                                    {"to", hex64(backup.log->to)}}
                                             : Json(nullptr)},
                          {"details", backup.details},
                          {"parent", backup.parent},
                          {"files", backup.files},
                          {"directories", backup.directories},
                          {"links", backup.links},
                          {"skipped", backup.skipped},
                          {"bytes", backup.bytes},
                          {"stored_bytes", backup.stored_bytes},
                          {"manifest", manifest}});
}

Result<Backup> decode_backup(const std::string& text) {
    AETERNA_ASSIGN(const Json document, parse_json(text, "a backup's catalog entry"));
    if (find_integer(document, "version").value_or(0) > 1) {
        return make_error(ErrorCode::kConfiguration, "a backup has a newer format version", "Use a newer aeterna-dr.");
    }
    const auto word = [&](const char* key) { return find_string(document, key).value_or(""); };
    const auto number = [&](const char* key) {
        return static_cast<std::uint64_t>(std::max<std::int64_t>(0, find_integer(document, key).value_or(0)));
    };
    Backup backup;
    backup.id = word("id");
    backup.kind = word("kind");
    backup.store = word("store");
    backup.name = word("name");
    backup.node = word("node");
    backup.server_version = word("server_version");
    backup.started_at = from_unix_us(find_integer(document, "started_us").value_or(0));
    backup.finished_at = from_unix_us(find_integer(document, "finished_us").value_or(0));
    backup.parent = word("parent");
    backup.files = number("files");
    backup.directories = number("directories");
    backup.links = number("links");
    backup.skipped = number("skipped");
    backup.bytes = number("bytes");
    backup.stored_bytes = number("stored_bytes");
    if (const Json* log = find_member(document, "log"); log != nullptr && !log->is_null()) {
        const auto from = parse_hex64(find_string(*log, "from").value_or(""));
        const auto to = parse_hex64(find_string(*log, "to").value_or(""));
        if (!from || !to) return make_error(ErrorCode::kCorrupt, "a backup's log range is damaged");
        backup.log = Backup::Log{find_string(*log, "name").value_or(""), *from, *to};
    }
    if (const Json* details = find_member(document, "details"); details != nullptr) backup.details = *details;
    const Json* manifest = find_member(document, "manifest");
    if (manifest == nullptr || !manifest->is_array()) return make_error(ErrorCode::kCorrupt, "a backup has no manifest");
    for (const Json& value : *manifest) {
        const auto id = id_from_base64(value);
        if (!id) return make_error(ErrorCode::kCorrupt, "a backup's manifest is damaged");
        backup.manifest.push_back(*id);
    }
    return backup;
}

Result<std::vector<std::string>> list_names(Storage& storage, std::string_view prefix, const env::Context& context) {
    std::vector<std::string> names;
    AETERNA_TRY(storage.list(
        std::string(prefix),
        [&](const ObjectInfo& object) {
            names.push_back(object.name);
            return true;
        },
        context));
    return names;
}

Result<std::optional<ObjectInfo>> find_durable(Storage& storage, const std::string& name,
                                               const env::Context& context) {
    std::optional<ObjectInfo> there;
    AETERNA_TRY(storage.list(
        name,
        [&](const ObjectInfo& object) {
            if (object.name == name) there = object;
            return !there;
        },
        context));
    return there;
}

Result<std::string> read_object(Storage& storage, const std::string& name, std::size_t limit,
                                const env::Context& context) {
    // Most are small: then one question is enough.
    std::string head(kSmallObject, '\0');
    AETERNA_ASSIGN(const std::size_t first, storage.read(name, 0, head, context));
    if (first < head.size() && first <= limit) {
        head.resize(first);
        return head;
    }
    AETERNA_ASSIGN(const ObjectInfo info, storage.stat(name, context));
    if (info.bytes > limit) {
        return make_error(ErrorCode::kCorrupt, fmt::format("'{}' has an impossible length of {} bytes", name, info.bytes));
    }
    std::string content(static_cast<std::size_t>(info.bytes), '\0');
    AETERNA_ASSIGN(const std::size_t got, storage.read(name, 0, content, context));
    if (got != content.size()) return make_error(ErrorCode::kCorrupt, fmt::format("'{}' is cut short", name));
    return content;
}

Status Catalog::put(const Backup& backup, const PackId& salt, const env::Context& context) {
    const std::string name = backup_object_name(backup.id);
    Compressor compressor;
    const std::string object =
        seal_object(EntryType::kBackup, name, bytes_of(encode_backup(backup)), keys_, salt, compressor);
    return storage_.put(name, bytes_of(object), PutMode::kIfAbsent, context);
}

Result<Backup> Catalog::read(const std::string& id, const env::Context& context) {
    const std::string name = backup_object_name(id);
    AETERNA_ASSIGN(const std::string object, read_object(storage_, name, kMaxEntryBytes, context));
    Compressor compressor;
    AETERNA_ASSIGN(const std::string text, open_object(EntryType::kBackup, name, bytes_of(object), keys_, compressor));
    return decode_backup(text);
}

Result<std::vector<std::string>> Catalog::ids(const env::Context& context) {
    AETERNA_ASSIGN(std::vector<std::string> found, list_names(storage_, kBackups, context));
    for (std::string& name : found) name.erase(0, kBackups.size());
    return found;
}

Result<std::vector<Backup>> Catalog::all(const env::Context& context) {
    AETERNA_ASSIGN(const auto names, ids(context));
    std::vector<Backup> backups;
    for (const std::string& id : names) {
        AETERNA_ASSIGN(Backup backup, read(id, context));
        backups.push_back(std::move(backup));
    }
    return backups;
}

Result<Backup> Catalog::find(const std::string& id, const env::Context& context) {
    AETERNA_ASSIGN(const auto names, ids(context));
    std::vector<std::string> matching;
    for (const std::string& name : names) {
        if (name == id) return read(id, context);
        if (!id.empty() && name.compare(0, id.size(), id) == 0) matching.push_back(name);
    }
    if (id == "latest" && !names.empty()) return read(names.back(), context);
    if (matching.size() == 1) return read(matching.front(), context);
    if (matching.size() > 1) {
        return make_error(ErrorCode::kUsage, fmt::format("'{}' may mean {} backups", id, matching.size()),
                          fmt::format("Write more of it, such as '{}'.", matching.front()));
    }
    return make_error(ErrorCode::kNotFound, fmt::format("there is no backup '{}'", id),
                      "'aeterna-dr backups list' shows which there are.");
}

}  // namespace aeterna::repository
