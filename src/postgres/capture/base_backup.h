// A base backup by BASE_BACKUP of the replication protocol (PostgreSQL 15 and later: manual, "Streaming Replication
// Protocol"), streamed into the repository, with the WAL that it needs to be consistent. The server's archives become
// one tree: the data directory, and every tablespace as the directory pg_tblspc/OID in it, whose location is in the
// catalog entry.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "engine/capture/backup.h"
#include "env/replication.h"
#include "postgres/capture/file_checksum.h"
#include "postgres/capture/host_needs.h"
#include "postgres/settings.h"

namespace aeterna::postgres {

inline constexpr std::string_view kBaseKind = "base";
[[nodiscard]] bool is_base_backup(const repository::Backup& backup);

struct BaseBackupOptions {
    std::string label = "aeterna-dr";
    bool fast_checkpoint = true;
    std::uint64_t max_rate_kib = 0;  // per second, 32 to 1,048,576; 0: no limit
    ChecksumKind checksums = ChecksumKind::kCrc32c;
};
// kUsage for a word that is none.
[[nodiscard]] Result<BaseBackupOptions> read_base_backup_options(const engine::OptionValues& values);
[[nodiscard]] std::string base_backup_command(const BaseBackupOptions& options);
[[nodiscard]] std::vector<engine::CommandOption> base_backup_options();

// One CopyData message of the answer (PostgreSQL 15, backend/backup/basebackup_copy.c).
struct BaseBackupMessage {
    enum class Kind { kArchive, kManifest, kData, kProgress };
    Kind kind = Kind::kData;
    std::string_view location;  // of kArchive: the tablespace's directory, empty for the data directory
    std::string_view archive;   // of kArchive: "base.tar", "16384.tar"
    std::string_view data;
};
[[nodiscard]] Result<BaseBackupMessage> parse_base_backup_message(std::string_view message);

// What the catalog entry's `details` say.
struct Tablespace {
    std::uint32_t oid = 0;
    std::string location;
};
struct BaseBackupDetails {
    std::string system_identifier;
    std::uint32_t timeline = 0;      // that `to` is on; `from` may be on one of its ancestors
    std::uint64_t from = 0, to = 0;  // LSNs: WAL that has to be replayed before the copy is consistent
    bool from_replica = false;
    std::uint64_t damaged_pages = 0;  // that the server found while it read
    std::vector<Tablespace> tablespaces;
    HostNeeds host;  // empty for a backup of before they were asked for
    std::map<std::string, double> clocks_ahead;  // node_clocks.h: seconds, by node, when it began
};
[[nodiscard]] Json details_json(const BaseBackupDetails& details);
// kCorrupt for anything else than what details_json() gives.
[[nodiscard]] Result<BaseBackupDetails> read_details(const Json& json);

// Chooses the node (source.h), takes the backup. After an error nothing is in the catalog. Damaged pages are problems
// of the result, with file and block.
[[nodiscard]] Result<repository::BackupResult> take_base_backup(const Settings& settings, const env::Env& env,
                                                                env::ReplicationConnector& replication,
                                                                repository::Repository& repository,
                                                                const engine::BackupOrder& order,
                                                                const env::Context& context);

}  // namespace aeterna::postgres
