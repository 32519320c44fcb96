// Writers of a drill: SET aeterna-dr:drill:<drill>:<id> <id> EX 86400 (leftovers vanish by themselves).
//
// The client path does what a Sentinel-aware client does (redis.io "Guidelines for Redis clients with support for
// Redis Sentinel"): ask the Sentinels in turn for the master, connect, check ROLE; on READONLY, a lost connection or a
// time-out, ask again. A direct path knows one address and nothing else.
#pragma once

#include <memory>
#include <string>

#include "engine/drill/drill_store.h"
#include "redis/client/connection.h"
#include "redis/settings.h"

namespace aeterna::redis {

[[nodiscard]] std::string drill_key_prefix(const std::string& drill_id);
// The id in a key of this drill; nothing for other keys.
[[nodiscard]] std::optional<std::uint64_t> drill_id_of_key(std::string_view key, const std::string& drill_id);

// What the end of a SET means for the ledger. Pure.
// An error reply of any kind: kFail, Redis refuses before it executes. No reply after sending: kUnknown.
[[nodiscard]] engine::WriteReply classify_write(const Result<Reply>& result, const std::string& node);

[[nodiscard]] std::unique_ptr<engine::Writer> make_client_writer(SettingsPointer settings,
                                                                 const std::string& drill_id,
                                                                 const env::Env& env);
[[nodiscard]] std::unique_ptr<engine::Writer> make_direct_writer(SettingsPointer settings,
                                                                 const RedisNode& node,
                                                                 const std::string& drill_id,
                                                                 const env::Env& env);

}  // namespace aeterna::redis
