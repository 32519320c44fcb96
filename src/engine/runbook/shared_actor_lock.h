// SharedActorLock: lets several executions of one process act under one hold of the actor lock. Two
// stores that lose their primaries at the same instant must not wait for each other; another
// process still has to.
#pragma once

#include <memory>
#include <mutex>

#include "engine/runbook/actor_lock.h"

namespace aeterna::engine {

class SharedHold;

class SharedActorLock final : public ActorLock {
  public:
    // The lock is held from the first acquire until the last of its holds is gone. Others are told
    // every intent that is present.
    explicit SharedActorLock(std::unique_ptr<ActorLock> lock);

    [[nodiscard]] Result<std::unique_ptr<ActorLockHold>> acquire(
        const std::string& intent, const env::Context& context) override;

  private:
    [[nodiscard]] std::shared_ptr<SharedHold> present_hold();

    std::unique_ptr<ActorLock> lock_;
    std::mutex mutex_;
    std::weak_ptr<SharedHold> hold_;
};

}  // namespace aeterna::engine
