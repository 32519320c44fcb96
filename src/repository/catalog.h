// Catalog: one sealed object "backups/<id>" for each backup, with what a list needs and where its manifest begins.
// It is put last: a backup is in the catalog only when everything that it refers to is durable.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/time.h"
#include "env/context.h"
#include "repository/format/sealed_object.h"
#include "repository/storage/storage.h"

namespace aeterna::repository {

struct Backup {
    std::string id;    // "20261126T040425123Z-1a2b3c4d": sorts by time
    std::string kind;  // "files", "base", "logical", "rdb", "snapshot"
    std::string store;  // "postgres" …; empty for files
    std::string name;
    std::string node, server_version;
    WallTime started_at{}, finished_at{};
    // What a restore needs beside the files: the bytes from `from` on to `to` of the log `name` (log_segments.h).
    struct Log {
        std::string name;
        std::uint64_t from = 0, to = 0;
    };
    std::optional<Log> log;
    Json details;                  // null, or an object that only the store understands
    std::string parent;            // the backup whose maps were compared with
    std::uint64_t files = 0, directories = 0, links = 0, skipped = 0;
    std::uint64_t bytes = 0;         // of the files
    std::uint64_t stored_bytes = 0;  // what this backup added to the repository
    std::vector<Id> manifest;        // entries of type kManifestRoot, in order
};

[[nodiscard]] std::string backup_object_name(const std::string& id);
[[nodiscard]] std::string make_backup_id(WallTime now, std::uint64_t random);

[[nodiscard]] std::string encode_backup(const Backup& backup);
[[nodiscard]] Result<Backup> decode_backup(const std::string& text);

class Catalog {
  public:
    Catalog(Storage& storage, const RepositoryKeys& keys) : storage_(storage), keys_(keys) {}

    // Durable and visible when it returns.
    Status put(const Backup& backup, const PackId& salt, const env::Context& context);
    // kNotFound with the ids that there are; `id` may be a unique beginning, or "latest".
    [[nodiscard]] Result<Backup> find(const std::string& id, const env::Context& context);
    [[nodiscard]] Result<Backup> read(const std::string& id, const env::Context& context);
    // In the order of their ids, that is of time.
    [[nodiscard]] Result<std::vector<std::string>> ids(const env::Context& context);
    [[nodiscard]] Result<std::vector<Backup>> all(const env::Context& context);

  private:
    Storage& storage_;
    const RepositoryKeys& keys_;
};

// The names of the objects that begin with `prefix`, in order.
[[nodiscard]] Result<std::vector<std::string>> list_names(Storage& storage, std::string_view prefix,
                                                          const env::Context& context);

// Whether an object whose writing ended with effect kUnknown is there for good; nothing when it is not. A look at the object
// would not do: a name that can be seen may still be lost with the power. A listing syncs what it reports (storage.md).
[[nodiscard]] Result<std::optional<ObjectInfo>> find_durable(Storage& storage, const std::string& name,
                                                             const env::Context& context);

// The whole of a small object; kCorrupt when larger than `limit`.
[[nodiscard]] Result<std::string> read_object(Storage& storage, const std::string& name, std::size_t limit,
                                              const env::Context& context);

}  // namespace aeterna::repository
