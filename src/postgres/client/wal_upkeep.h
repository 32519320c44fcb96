// What a server keeps of its WAL, for whom, and whether its archiver gets rid of it. Needs pg_monitor.
#pragma once

#include <optional>
#include <string>

#include "env/sql.h"

namespace aeterna::postgres {

struct WalUpkeep {
    std::string lost_slots;     // whose WAL the server has removed (wal_status "lost"); names, comma separated
    std::string furthest_slot;  // the one that holds most; empty without any
    std::int64_t held_bytes = 0;  // by that one
    bool has_our_slot = false;
    bool archiver_fails = false;  // archive_mode is on, and its last try failed
    std::string failed_file;      // of that try
    std::int64_t wal_bytes = 0;   // files in pg_wal
    std::int64_t expected_bytes = 0;  // twice max_wal_size and wal_keep_size: what a calm server may have
};

[[nodiscard]] Result<WalUpkeep> look_at_wal(env::SqlConnection& connection, const std::string& slot, const env::Context& context);

}  // namespace aeterna::postgres
