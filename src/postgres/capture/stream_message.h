// The messages inside a stream of WAL (PostgreSQL 15 manual, "Streaming Replication Protocol", START_REPLICATION): integers
// are big-endian, times are microseconds since 2000-01-01 UTC. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/time.h"
#include "postgres/capture/timeline_history.h"

namespace aeterna::postgres {

struct XLogData {
    Lsn start = 0;      // of the first byte
    Lsn server_end = 0;  // what the server has flushed
    std::string_view bytes;
};

struct Keepalive {
    Lsn sent = 0;  // how far the server has sent (not what it has)
    bool wants_reply = false;
};

using StreamMessage = std::variant<XLogData, Keepalive>;

// kProtocol for anything else. Points into `message`.
[[nodiscard]] Result<StreamMessage> parse_stream_message(std::string_view message);

// What a standby status update says. With a flush position the server counts its client as a standby, and
// `synchronous_standby_names = '*'` releases commits by it (src/backend/replication/syncrep.c: a candidate needs a valid flush
// position; tried, README.md); so `flushed` stays 0 unless the receiver is meant to confirm commits. The written position lets a clean
// shutdown of the server end (walsender.c, WalSndDone), and releases commits at `synchronous_commit = remote_write` where the client
// is a standby. With `wants_reply` a keepalive comes at once.
struct StandbyStatus {
    Lsn written = 0, flushed = 0;
    bool wants_reply = false;
};
[[nodiscard]] std::string status_update(const StandbyStatus& status, WallTime now);

}  // namespace aeterna::postgres
