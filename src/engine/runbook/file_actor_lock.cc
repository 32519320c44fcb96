// The actor lock of a stack without etcd: a flock in the state directory; who holds it and why stands in actor.json
// beside it.
#include <fmt/format.h>

#include <utility>

#include "engine/runbook/actor_lock_kinds.h"

namespace aeterna::engine {
namespace {

class FileHold final : public ActorLockHold {
  public:
    FileHold(std::unique_ptr<env::FileLock> lock, std::string intent_file, Json actor, env::Files& files)
        : lock_(std::move(lock)), intent_file_(std::move(intent_file)), actor_(std::move(actor)), files_(files) {}
    ~FileHold() override { static_cast<void>(files_.remove(intent_file_)); }
    [[nodiscard]] bool is_held() const override { return true; }
    void tell(const std::string& intent) override {
        Json actor = actor_;
        actor["intent"] = intent;
        static_cast<void>(files_.write_durable(intent_file_, dump_json(actor)));
    }

  private:
    std::unique_ptr<env::FileLock> lock_;
    std::string intent_file_;
    const Json actor_;
    env::Files& files_;
};

class FileActorLock final : public ActorLock {
  public:
    FileActorLock(const config::Stack& stack, const env::Env& env)
        : directory_(stack.state_directory), stack_(stack.name), env_(env) {}

    Result<std::unique_ptr<ActorLockHold>> acquire(const std::string& intent, const env::Context&) override {
        AETERNA_TRY(env_.files.make_directories(directory_));
        const std::string intent_file = directory_ + "/actor.json";
        Result<std::unique_ptr<env::FileLock>> lock = env_.files.lock(directory_ + "/actor.lock");
        if (!lock && lock.error().code == ErrorCode::kLocked) {
            return lock_is_taken(stack_, env_.files.read(intent_file, 64 << 10).value_or(""),
                                 "Wait for it to end; a dead one's lock ends with its process.");
        }
        if (!lock) return lock.error();
        if (const Result<std::string> left = env_.files.read(intent_file, 64 << 10)) {
            env_.log.warning("actor_lock.left_behind", {{"by", describe_holder(*left)}});
        }
        const std::string id = fmt::format("{:x}", env_.random.next());
        Json actor = describe_actor(intent, id, env_);
        AETERNA_TRY(env_.files.write_durable(intent_file, dump_json(actor)));
        return std::unique_ptr<ActorLockHold>(
            std::make_unique<FileHold>(std::move(*lock), intent_file, std::move(actor), env_.files));
    }

  private:
    std::string directory_;
    std::string stack_;
    const env::Env& env_;
};

}  // namespace

std::unique_ptr<ActorLock> make_file_actor_lock(const config::Stack& stack, const env::Env& env) {
    return std::make_unique<FileActorLock>(stack, env);
}

}  // namespace aeterna::engine
