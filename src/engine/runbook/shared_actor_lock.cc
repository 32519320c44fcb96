#include "engine/runbook/shared_actor_lock.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/strings.h"

namespace aeterna::engine {

// The one hold and the intents of those that share it, in the order in which they came.
class SharedHold {
  public:
    SharedHold(std::unique_ptr<ActorLockHold> hold, const std::string& intent)
        : hold_(std::move(hold)), intents_{intent} {}

    [[nodiscard]] bool is_held() const { return hold_->is_held(); }
    [[nodiscard]] std::optional<std::int64_t> lease() const { return hold_->lease(); }
    void add(const std::string& intent) {
        {
            const std::lock_guard guard(mutex_);
            intents_.push_back(intent);
        }
        publish();
    }
    void remove(const std::string& intent) {
        {
            const std::lock_guard guard(mutex_);
            const auto found = std::find(intents_.begin(), intents_.end(), intent);
            if (found != intents_.end()) intents_.erase(found);
            if (intents_.empty()) return;  // the hold ends with its last intent
        }
        publish();
    }

  private:
    [[nodiscard]] std::string text() {
        const std::lock_guard guard(mutex_);
        return join(intents_, "; ");
    }
    // Not under the mutex, since it may wait for a disk; whoever comes last tells the newest.
    void publish() {
        std::string told;
        do {
            told = text();
            hold_->tell(told);
        } while (told != text());
    }

    std::unique_ptr<ActorLockHold> hold_;
    std::mutex mutex_;
    std::vector<std::string> intents_;
};

namespace {

class Share final : public ActorLockHold {
  public:
    Share(std::shared_ptr<SharedHold> hold, std::string intent)
        : hold_(std::move(hold)), intent_(std::move(intent)) {}
    ~Share() override { hold_->remove(intent_); }
    [[nodiscard]] bool is_held() const override { return hold_->is_held(); }
    [[nodiscard]] std::optional<std::int64_t> lease() const override { return hold_->lease(); }
    void tell(const std::string& intent) override {
        hold_->add(intent);
        hold_->remove(std::exchange(intent_, intent));
    }

  private:
    std::shared_ptr<SharedHold> hold_;
    std::string intent_;
};

std::unique_ptr<ActorLockHold> join_hold(std::shared_ptr<SharedHold> hold,
                                         const std::string& intent) {
    hold->add(intent);
    return std::make_unique<Share>(std::move(hold), intent);
}

}  // namespace

SharedActorLock::SharedActorLock(std::unique_ptr<ActorLock> lock) : lock_(std::move(lock)) {}

std::shared_ptr<SharedHold> SharedActorLock::present_hold() {
    const std::lock_guard guard(mutex_);
    std::shared_ptr<SharedHold> hold = hold_.lock();
    return hold && hold->is_held() ? hold : nullptr;
}

Result<std::unique_ptr<ActorLockHold>> SharedActorLock::acquire(const std::string& intent,
                                                                const env::Context& context) {
    if (auto hold = present_hold()) return join_hold(std::move(hold), intent);
    // Not under the mutex: this blocks on the network. Two first acquires at once compete like two
    // processes would, and the loser finds the winner's hold here.
    auto acquired = lock_->acquire(intent, context);
    if (!acquired) {
        if (auto hold = present_hold()) return join_hold(std::move(hold), intent);
        return acquired.error();
    }
    auto hold = std::make_shared<SharedHold>(std::move(*acquired), intent);
    const std::lock_guard guard(mutex_);
    hold_ = hold;
    return std::make_unique<Share>(std::move(hold), intent);
}

}  // namespace aeterna::engine
