#include "engine/runbook/shared_actor_lock.h"

#include <utility>

namespace aeterna::engine {
namespace {

class Share final : public ActorLockHold {
  public:
    explicit Share(std::shared_ptr<ActorLockHold> hold) : hold_(std::move(hold)) {}
    [[nodiscard]] bool is_held() const override { return hold_->is_held(); }
    [[nodiscard]] std::optional<std::int64_t> lease() const override { return hold_->lease(); }

  private:
    std::shared_ptr<ActorLockHold> hold_;
};

}  // namespace

SharedActorLock::SharedActorLock(std::unique_ptr<ActorLock> lock) : lock_(std::move(lock)) {}

std::shared_ptr<ActorLockHold> SharedActorLock::present_hold() {
    const std::lock_guard guard(mutex_);
    std::shared_ptr<ActorLockHold> hold = hold_.lock();
    return hold && hold->is_held() ? hold : nullptr;
}

Result<std::unique_ptr<ActorLockHold>> SharedActorLock::acquire(const std::string& intent,
                                                                const env::Context& context) {
    if (auto hold = present_hold()) return std::make_unique<Share>(std::move(hold));
    // Not under the mutex: this blocks on the network. Two first acquires at once compete like two processes would,
    // and the loser finds the winner's hold here.
    auto acquired = lock_->acquire(intent, context);
    if (!acquired) {
        if (auto hold = present_hold()) return std::make_unique<Share>(std::move(hold));
        return acquired.error();
    }
    std::shared_ptr<ActorLockHold> hold(std::move(*acquired));
    const std::lock_guard guard(mutex_);
    hold_ = hold;
    return std::make_unique<Share>(std::move(hold));
}

}  // namespace aeterna::engine
