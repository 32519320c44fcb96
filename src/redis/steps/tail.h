// The tail: what only the old master has, beyond the fork. Read from its replication stream (a
// woken process) or from its files (a dead one), kept below the state directory, and told apart
// where that can be done.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "redis/client/connection.h"
#include "redis/client/info.h"

namespace aeterna::redis {

struct Salvaged {
    std::string directory;
    std::size_t files = 0;
    std::uint64_t bytes = 0;
    std::string summary;
    std::optional<std::size_t> lost_writes;  // commands; nothing: they could not be told apart
};
[[nodiscard]] Json to_json(const Salvaged& salvaged);

// Commands that carry data: no PING, PUBLISH, SELECT, REPLCONF, MULTI or EXEC. Pure.
[[nodiscard]] bool is_write(const Command& command);
// "3 writes: RPUSH 2, INCR 1". Pure.
[[nodiscard]] std::string describe_writes(const std::vector<Command>& writes);
// The whole commands of the end of an AOF (what precedes the first whole command, a comment or a
// torn end is left out). Pure.
[[nodiscard]] std::vector<Command> parse_aof_end(std::string_view text);
// What follows in `own` after the one place where it agrees with the end of `shared`; nothing when
// there is no such place, or more than one. Only writes count. Pure.
[[nodiscard]] std::optional<std::vector<Command>> find_tail(const std::vector<Command>& own,
                                                            const std::vector<Command>& shared);

// A part of a history: from `first` to `last`, both included.
struct StreamRange {
    std::string replid;
    std::int64_t first = 0;
    std::int64_t last = 0;
};
// What a master that was started lately has taken since; nothing when it does not say. A history of its own that has no
// file before it counts from 1, and only from its first replica on.
[[nodiscard]] std::optional<StreamRange> taken_since_start(const NodeInfo& master);
// Its bytes: asks for them as a replica would (PSYNC), once, and leaves. kUnavailable when the
// server would send a full copy instead. Not from a master that Sentinel watches: it would take us
// for a replica.
[[nodiscard]] Result<std::string> read_stream(const Target& target, const StreamRange& range,
                                              const env::Env& env, const env::Context& context);
// Reads the range and keeps its writes as a file that `redis-cli --pipe` can replay.
[[nodiscard]] Result<Salvaged> salvage_stream(const Target& target, const StreamRange& range,
                                              const std::string& directory, const env::Env& env,
                                              const env::Context& context);
// What keep_writes has left there before; kNotFound without it.
[[nodiscard]] Result<Salvaged> find_kept_writes(const std::string& node, const std::string& directory, env::Files& files);
// Keeps `writes` as "<node>-tail.aof" in the directory; the bytes.
[[nodiscard]] Result<std::uint64_t> keep_writes(const std::vector<Command>& writes,
                                                const std::string& node,
                                                const std::string& directory, env::Files& files);

}  // namespace aeterna::redis
