// SharedActorLock: lets several executions of one process act under one hold of the actor lock. Two stores that lose
// their primaries at the same instant must not wait for each other; another process still has to.
#pragma once

#include <memory>
#include <mutex>

#include "engine/runbook/actor_lock.h"

namespace aeterna::engine {

class SharedActorLock final : public ActorLock {
  public:
    // The lock is held from the first acquire until the last of its holds is gone. The first one's intent is what
    // others are told.
    explicit SharedActorLock(std::unique_ptr<ActorLock> lock);

    [[nodiscard]] Result<std::unique_ptr<ActorLockHold>> acquire(const std::string& intent,
                                                                 const env::Context& context) override;

  private:
    [[nodiscard]] std::shared_ptr<ActorLockHold> present_hold();

    std::unique_ptr<ActorLock> lock_;
    std::mutex mutex_;
    std::weak_ptr<ActorLockHold> hold_;
};

}  // namespace aeterna::engine
