// ActorLock: one acting aeterna-dr per stack, held per execution. Over etcd (a lease) where the stack has one, else a
// lock file in the state directory. The lock carries the intent, so that a second one knows what the first had begun.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "config/stack.h"
#include "env/env.h"

namespace aeterna::engine {

// Released by the destructor (best effort; the lease ends by itself otherwise).
class ActorLockHold {
  public:
    virtual ~ActorLockHold() = default;
    // False once the lease could not be renewed: acting must stop.
    [[nodiscard]] virtual bool is_held() const = 0;
    // The etcd lease under which actor_key() is held: a transaction that compares it does nothing once the lock is
    // lost. Nothing for a lock file.
    [[nodiscard]] virtual std::optional<std::int64_t> lease() const { return std::nullopt; }
    // Others are told this intent from now on: soon, and as well as it goes. Does not block on the network.
    virtual void tell(const std::string& intent) = 0;
};

class ActorLock {
  public:
    virtual ~ActorLock() = default;
    // kLocked when another one acts; the message names it and its intent. kUnavailable when etcd
    // refuses or has no quorum, kTimeout or kDeadline when it stays silent.
    [[nodiscard]] virtual Result<std::unique_ptr<ActorLockHold>> acquire(const std::string& intent,
                                                                         const env::Context& context) = 0;
};

// The etcd key of the lock: /aeterna-dr/<stack name>/actor.
[[nodiscard]] std::string actor_key(const std::string& stack_name);

[[nodiscard]] std::unique_ptr<ActorLock> make_actor_lock(const config::Stack& stack, const env::Env& env);

}  // namespace aeterna::engine
