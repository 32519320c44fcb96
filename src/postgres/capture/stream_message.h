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

// A standby status update that says what was received and nothing of what is durable: with a flush position the server
// counts its client as a standby, and `synchronous_standby_names = '*'` would release commits by it
// (src/backend/replication/syncrep.c: a candidate needs a valid flush position; tried, README.md). The received
// position lets a clean shutdown of the server end (walsender.c, WalSndDone). With `wants_reply` a keepalive comes at once.
[[nodiscard]] std::string status_update(Lsn received, WallTime now, bool wants_reply);

}  // namespace aeterna::postgres
