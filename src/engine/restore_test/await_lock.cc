#include "engine/restore_test/await_lock.h"

namespace aeterna::engine {
namespace {

constexpr Duration kLockPoll = std::chrono::milliseconds(50);

}  // namespace

Result<std::unique_ptr<env::FileLock>> await_lock(const std::string& path, const env::Env& env,
                                                  const env::Context& context) {
    auto lock = env.files.lock(path);
    while (!lock && lock.error().code == ErrorCode::kLocked && env.clock.remaining(context) > kLockPoll &&
           env.clock.sleep_for(kLockPoll, context.stop)) {
        lock = env.files.lock(path);
    }
    return lock;
}

}  // namespace aeterna::engine
