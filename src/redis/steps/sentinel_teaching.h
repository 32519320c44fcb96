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

// Sentinels say hello each 2 s: whoever would contradict has done so by then.
inline constexpr Duration kSettled = std::chrono::seconds(3);

// Remembers the settings of every Sentinel that answers and is not remembered yet.
void remember_sentinels(Cluster& cluster, Json& facts, const env::Context& context);
// All are made to forget before one is taught: a Sentinel that still knew the old master would tell
// the others, and its older epoch outranks the 0 that MONITOR begins with. For the same reason one
// that comes back untold makes all be taught again. When all that answer name the new
// master, only those are set again that may lack what belongs to the name. Names of those that do not watch `master` yet, with the reason: "sentinel-2: …".
[[nodiscard]] std::vector<std::string> teach_all(Cluster& cluster, const RedisNode& master,
                                                 Json& facts, const env::Context& context);

// Fact: {"sentinel-1": true, …}, those that an execution has to tell.
inline constexpr const char* kSentinelsDue = "redis.sentinels_due";
// Writes down, before they are told, who will be.
void note_due(Json& facts, const std::vector<const RedisNode*>& untold);

// Those that name another master, or none, while a majority names `master`: they alone are told anew, for its epoch outranks the 0 that
// they begin with. One that was due and has the name alone, is set the rest. Why some are not told yet.
[[nodiscard]] std::vector<std::string> teach_some(Cluster& cluster, const std::vector<const RedisNode*>& untold, const RedisNode& master,
                                                  Json& facts, const env::Context& context);

enum class Turn {
    kAll,     // also those that follow it for a while only: it is made permanent
    kAstray,  // those that follow another one
};
// Lets the replicas but `old_master` follow `master`; why some do not yet, "redis-3: …". Sentinels that were told anew have
// forgotten their replicas, and learn only of those that follow the master: whoever is astray stays so.
[[nodiscard]] std::vector<std::string> turn_replicas(Cluster& cluster, const RedisNode& master, const std::string& old_master,
                                                     Turn which, const env::Context& context);

struct TeachingRound {
    bool is_outdated = false;       // another master was promoted since: nobody was told anything
    bool is_told = false;           // every Sentinel names `master`, and every replica follows it
    std::vector<std::string> left;  // who does not
};
// One look after a promotion by hand, and teach_all() and turn_replicas() while that promotion stands. kUnavailable: `master` is master no
// longer.
[[nodiscard]] Result<TeachingRound> teach_once(Cluster& cluster, const RedisNode& master, Json& facts,
                                               const env::Context& context);

// The commands after REMOVE, for these remembered settings. Pure.
[[nodiscard]] std::vector<Command> teaching_commands(const RedisSettings& settings,
                                                     const RedisNode& master,
                                                     const Json& remembered);

}  // namespace aeterna::redis
