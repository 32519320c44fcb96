// The actor lock over etcd: the key /aeterna-dr/<stack>/actor under a lease of 15 s that a thread renews every 5 s. A
// holder counts itself out 3 s before the lease can have ended, measured from before the last good renewal was sent:
// it stops acting before another one can start. Who comes after a process that died on this machine need not wait for
// its lease: it held a flock as well, which ended with it, and its lease stands beside that, with the boot of the
// machine. Only that very lease is revoked then, so a holder that lives after all is told; whatever the flock says,
// nobody acts without the key.
#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "base/strings.h"
#include "engine/runbook/actor_lock_kinds.h"
#include "services/etcd.h"

namespace aeterna::engine {
namespace {

constexpr Duration kLeaseTtl = std::chrono::seconds(15);
constexpr Duration kMargin = std::chrono::seconds(3);
constexpr Duration kRenewEvery = std::chrono::seconds(5);
constexpr Duration kRetryEvery = std::chrono::seconds(1);
constexpr Duration kCallTimeout = std::chrono::seconds(3);
// Less than the margin: telling others must never make a renewal late.
constexpr Duration kIntentTimeout = std::chrono::seconds(1);

// This machine's part of a lock in etcd: which lease the process had that acted last from this state directory, and,
// once the flock is ours, that it is gone. Other machines may see the same directory (NFS, virtiofs, a cloned disk) and
// not its flocks: so the mark names the boot of the machine, and only one of this boot is believed.
class LocalMark {
  public:
    LocalMark(const std::string& directory, const env::Env& env)
        : file_(directory + "/actor.lease"), files_(env.files) {
        const Result<std::string> boot = files_.read("/proc/sys/kernel/random/boot_id", 64);
        if (boot) boot_ = trim(*boot);
        if (!files_.make_directories(directory)) return;
        Result<std::unique_ptr<env::FileLock>> lock = files_.lock(directory + "/actor.lock");
        if (lock) lock_ = std::move(*lock);
        const Result<std::string> text = lock_ ? files_.read(file_, 128) : Result<std::string>(std::string());
        if (text) left_ = lease_of(std::string(trim(*text)));
    }
    // Of a process of this boot that is dead and did not release it.
    [[nodiscard]] std::optional<std::int64_t> left_lease() const { return left_; }
    // Not synced: it is to outlive a process, not the machine. Without it the lease is waited for, as before.
    void note(std::int64_t lease) {
        if (!lock_) return;
        static_cast<void>(files_.remove(file_));
        if (boot_.empty()) return;
        auto file = files_.open_append(file_);
        if (file) static_cast<void>((*file)->append(fmt::format("{} {}\n", lease, boot_)));
    }
    void clear() {
        if (lock_) static_cast<void>(files_.remove(file_));
    }

  private:
    // "<lease> <boot id>"
    [[nodiscard]] std::optional<std::int64_t> lease_of(const std::string& mark) const {
        const std::size_t space = mark.find(' ');
        if (boot_.empty() || space == std::string::npos || mark.substr(space + 1) != boot_) return std::nullopt;
        return to_integer(mark.substr(0, space));
    }

    std::string file_;
    env::Files& files_;
    std::string boot_;
    std::unique_ptr<env::FileLock> lock_;
    std::optional<std::int64_t> left_;
};

// A lease that is renewed until it is destroyed or lost.
class EtcdHold final : public ActorLockHold {
  public:
    struct Grant {
        std::string key;
        std::int64_t lease = 0;
        Json actor;  // the key's value
        MonoTime at;
        WallTime wall;
    };
    EtcdHold(services::Etcd etcd, Grant grant, LocalMark mark, const env::Env& env)
        : etcd_(std::move(etcd)), mark_(std::move(mark)), key_(std::move(grant.key)), lease_(grant.lease), env_(env),
          signal_(env.threads.make_signal()), actor_(grant.actor), told_(std::move(grant.actor)),
          renewed_at_(grant.at), renewed_wall_(grant.wall) {
        thread_ = env_.threads.start("actor-lock", [this](const std::stop_token& stop) { renew(stop); });
    }

    ~EtcdHold() override {
        thread_->request_stop();
        thread_->join();
        const env::Context context{env_.clock.now() + kCallTimeout, {}, "actor-lock"};
        const Result<bool> removed = etcd_.remove_if_lease(key_, lease_, context);
        const Status revoked = etcd_.revoke_lease(lease_, context);
        if (!removed && !revoked) {
            env_.log.warning("actor_lock.release_failed", {{"error", revoked.error().to_string()}});
        } else {
            mark_.clear();
        }
    }

    [[nodiscard]] std::optional<std::int64_t> lease() const override { return lease_; }
    [[nodiscard]] bool is_held() const override {
        const std::lock_guard guard(mutex_);
        // The monotonic clock stands still while the machine is suspended; the lease does not.
        const Duration by_wall = env_.clock.wall_now() - renewed_wall_;
        const Duration age = std::max<Duration>(env_.clock.now() - renewed_at_, by_wall);
        return !lost_ && age < kLeaseTtl - kMargin;
    }

    void tell(const std::string& intent) override {
        {
            const std::lock_guard guard(mutex_);
            actor_["intent"] = intent;
        }
        signal_->notify();
    }

  private:
    // Renews in time, and in between writes what others are to be told.
    void renew(const std::stop_token& stop) {
        Duration pause = kRenewEvery;
        MonoTime next = env_.clock.now() + pause;
        while (!stop.stop_requested()) {
            if (signal_->wait_until(next, stop)) {
                write_intent(stop);
                continue;
            }
            if (stop.stop_requested()) return;
            const MonoTime sent_at = env_.clock.now();
            const WallTime sent_wall = env_.clock.wall_now();
            const Status renewed = renew_once({sent_at + kCallTimeout, stop, "actor-lock"});
            write_intent(stop);
            const std::lock_guard guard(mutex_);
            if (renewed) {
                renewed_at_ = sent_at;
                renewed_wall_ = sent_wall;
            }
            // Neither a lease that etcd no longer knows nor a key that another one has comes back.
            if (!renewed && renewed.error().code == ErrorCode::kNotFound) lost_ = true;
            if (lost_) return;
            pause = renewed ? kRenewEvery : kRetryEvery;
            next = env_.clock.now() + pause;
        }
    }

    // kNotFound once the lease has ended or the key is not under it any more: a lease alone keeps nobody from acting.
    Status renew_once(const env::Context& context) {
        AETERNA_TRY(etcd_.keep_alive(lease_, context));
        AETERNA_ASSIGN(const auto present, etcd_.get(key_, context));
        if (present && present->lease == lease_) return {};
        env_.log.warning("actor_lock.lost", {{"key", key_}});
        return make_error(ErrorCode::kNotFound, fmt::format("'{}' is not under lease {:x} any more", key_, lease_));
    }

    // What failed is tried again with the next renewal.
    void write_intent(const std::stop_token& stop) {
        Json wanted;
        {
            const std::lock_guard guard(mutex_);
            if (actor_ == told_) return;
            wanted = actor_;
        }
        const env::Context context{env_.clock.now() + kIntentTimeout, stop, "actor-lock"};
        const Result<bool> written = etcd_.put_if_lease(key_, dump_json(wanted), lease_, context);
        const std::lock_guard guard(mutex_);
        if (written && *written) told_ = std::move(wanted);
    }

    services::Etcd etcd_;
    LocalMark mark_;
    std::string key_;
    std::int64_t lease_;
    const env::Env& env_;
    std::unique_ptr<env::Signal> signal_;
    mutable std::mutex mutex_;
    Json actor_, told_;  // the value as it should be, and as etcd has it
    MonoTime renewed_at_;
    WallTime renewed_wall_;
    bool lost_ = false;
    std::unique_ptr<env::Thread> thread_;
};

class EtcdActorLock final : public ActorLock {
  public:
    EtcdActorLock(const config::Stack& stack, const env::Env& env)
        : settings_(*stack.etcd), directory_(stack.state_directory), stack_(stack.name), env_(env) {}

    Result<std::unique_ptr<ActorLockHold>> acquire(const std::string& intent, const env::Context& context) override {
        services::Etcd etcd(settings_, env_);
        const env::Context call = env_.clock.within(2 * kCallTimeout, context);
        const MonoTime granted_at = env_.clock.now();
        const WallTime granted_wall = env_.clock.wall_now();
        const auto ttl_seconds = std::chrono::duration_cast<std::chrono::seconds>(kLeaseTtl).count();
        Result<std::int64_t> lease = etcd.grant_lease(ttl_seconds, call);
        if (!lease) return unavailable(lease.error());
        const std::string key = actor_key(stack_);
        Json actor = describe_actor(intent, fmt::format("{:x}", *lease), env_);
        LocalMark mark(directory_, env_);
        Result<services::Etcd::CreateResult> made = etcd.create(key, dump_json(actor), *lease, call);
        if (made && !made->created && take_from_the_dead(etcd, mark, call))
            made = etcd.create(key, dump_json(actor), *lease, call);
        if (made && made->created) {
            mark.note(*lease);
            EtcdHold::Grant grant{key, *lease, std::move(actor), granted_at, granted_wall};
            return std::unique_ptr<ActorLockHold>(
                std::make_unique<EtcdHold>(std::move(etcd), std::move(grant), std::move(mark), env_));
        }
        // Also after an unclear answer: the lease takes the key along, if it was made.
        static_cast<void>(etcd.revoke_lease(*lease, {env_.clock.now() + kCallTimeout, {}, context.run_id}));
        if (!made) return unavailable(made.error());
        return lock_is_taken(stack_, made->present_value,
                             "Wait for it to end; a dead one's lock ends by itself within 15 s.");
    }

  private:
    // True when the key was that one's, and is gone. The lease ends with it: who renews it after all hears of it.
    bool take_from_the_dead(services::Etcd& etcd, const LocalMark& mark, const env::Context& context) {
        if (!mark.left_lease()) return false;
        const auto present = etcd.get(actor_key(stack_), context);
        if (!present || !*present || (*present)->lease != *mark.left_lease()) return false;
        if (!etcd.revoke_lease(*mark.left_lease(), context)) return false;
        env_.log.warning("actor_lock.taken_from_the_dead", {{"stack", stack_}});
        return true;
    }

    static Error unavailable(const Error& cause) {
        if (cause.code == ErrorCode::kCancelled || cause.code == ErrorCode::kAuthentication) return cause;
        Error error = wrap_error(cause, "etcd does not grant the actor lock");
        // Silence stays what it is: who set a deadline is told that it passed.
        const bool is_silent = cause.code == ErrorCode::kTimeout || cause.code == ErrorCode::kDeadline;
        if (!is_silent) error.code = ErrorCode::kUnavailable;
        error.effect = Effect::kNone;
        error.hint = "Check etcd's endpoints and quorum; without the lock nothing is done.";
        return error;
    }

    config::EtcdSettings settings_;
    std::string directory_;
    std::string stack_;
    const env::Env& env_;
};

}  // namespace

std::unique_ptr<ActorLock> make_etcd_actor_lock(const config::Stack& stack, const env::Env& env) {
    return std::make_unique<EtcdActorLock>(stack, env);
}

}  // namespace aeterna::engine
