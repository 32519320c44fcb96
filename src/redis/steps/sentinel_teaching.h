// Telling Sentinels by hand who is master: REMOVE, MONITOR and SET on each one. All three are local
// to a Sentinel, and REMOVE forgets what it was set to; so that is remembered first, durable in the
// facts, and set again.
#pragma once

#include <string>
#include <vector>

#include "redis/steps/steps.h"

namespace aeterna::redis {

// Fact: {"sentinel-1": {"quorum", "down-after-milliseconds", …}, …}.
inline constexpr const char* kSentinelSettings = "redis.sentinel_settings";
// Fact: {"sentinel-1": true, …}, those that have everything.
inline constexpr const char* kSentinelsSet = "redis.sentinels_set";

// Remembers the settings of every Sentinel that answers and is not remembered yet.
void remember_sentinels(Cluster& cluster, Json& facts, const env::Context& context);
// All are made to forget before one is taught: a Sentinel that still knew the old master would tell
// the others, and its older epoch outranks the 0 that MONITOR begins with. For the same reason one
// that comes back untold makes all be taught again. When all that answer name the new
// master, only those are set again that may lack what belongs to the name. Names of those that do not watch `master` yet, with the reason: "sentinel-2: …".
[[nodiscard]] std::vector<std::string> teach_all(Cluster& cluster, const RedisNode& master,
                                                 Json& facts, const env::Context& context);

struct TeachingRound {
    bool is_outdated = false;       // a majority has promoted another master since: nobody was told anything
    bool is_told = false;           // every Sentinel names `master`
    std::vector<std::string> left;  // as of teach_all()
};
// One look after a promotion by hand, and teach_all() while that promotion stands. kUnavailable: `master` is master no
// longer.
[[nodiscard]] Result<TeachingRound> teach_once(Cluster& cluster, const RedisNode& master, Json& facts,
                                               const env::Context& context);

// The commands after REMOVE, for these remembered settings. Pure.
[[nodiscard]] std::vector<Command> teaching_commands(const RedisSettings& settings,
                                                     const RedisNode& master,
                                                     const Json& remembered);

}  // namespace aeterna::redis
