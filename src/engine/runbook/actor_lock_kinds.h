// The two kinds of actor lock, for actor_lock.cc alone, and what both say of who holds one.
#pragma once

#include "base/json.h"
#include "engine/runbook/actor_lock.h"

namespace aeterna::engine {

[[nodiscard]] std::unique_ptr<ActorLock> make_etcd_actor_lock(const config::Stack& stack, const env::Env& env);
[[nodiscard]] std::unique_ptr<ActorLock> make_file_actor_lock(const config::Stack& stack, const env::Env& env);

// What a lock says of its holder, for others: {"id","host","pid","user","intent","since"}.
[[nodiscard]] Json describe_actor(const std::string& intent, const std::string& id, const env::Env& env);
// "failover redis (exec-…) (host h, pid 12, since …)" of another's value, which is untrusted text.
[[nodiscard]] std::string describe_holder(const std::string& value);
// kLocked, by whoever `value` describes.
[[nodiscard]] Error lock_is_taken(const std::string& stack, const std::string& value, const std::string& hint);

}  // namespace aeterna::engine
