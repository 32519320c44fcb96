#include "postgres/client/wal_upkeep.h"

#include "base/strings.h"

namespace aeterna::postgres {
namespace {

// On a replica pg_stat_archiver is its own: it archives nothing unless archive_mode is "always".
constexpr const char* kLookAtWal = R"(
WITH here AS (
  SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END AS lsn
), held AS (
  SELECT slot_name, pg_wal_lsn_diff(lsn, restart_lsn)::bigint AS bytes
  FROM pg_replication_slots, here WHERE restart_lsn IS NOT NULL ORDER BY 2 DESC LIMIT 1
)
SELECT (SELECT string_agg(slot_name, ', ' ORDER BY slot_name) FROM pg_replication_slots WHERE wal_status = 'lost'),
       (SELECT slot_name FROM held), (SELECT bytes FROM held),
       EXISTS (SELECT 1 FROM pg_replication_slots WHERE slot_name = $1 AND slot_type = 'physical'),
       current_setting('archive_mode') <> 'off' AND last_failed_time > coalesce(last_archived_time, '-infinity'),
       last_failed_wal,
       (SELECT sum(size)::bigint FROM pg_ls_waldir()),
       (SELECT sum(2 * pg_size_bytes(setting || unit)) FROM pg_settings WHERE name IN ('max_wal_size', 'wal_keep_size'))
FROM pg_stat_archiver)";

std::int64_t number_at(const env::SqlRows& rows, std::size_t column) {
    return to_integer(rows.first(column).value_or("")).value_or(0);
}

}  // namespace

Result<WalUpkeep> look_at_wal(env::SqlConnection& connection, const std::string& slot, const env::Context& context) {
    AETERNA_ASSIGN(const env::SqlRows rows, connection.query(kLookAtWal, {slot}, context));
    WalUpkeep upkeep;
    upkeep.lost_slots = rows.first(0).value_or("");
    upkeep.furthest_slot = rows.first(1).value_or("");
    upkeep.held_bytes = number_at(rows, 2);
    upkeep.has_our_slot = rows.first(3) == "t";
    upkeep.archiver_fails = rows.first(4) == "t";
    upkeep.failed_file = rows.first(5).value_or("");
    upkeep.wal_bytes = number_at(rows, 6);
    upkeep.expected_bytes = number_at(rows, 7);
    return upkeep;
}

}  // namespace aeterna::postgres
