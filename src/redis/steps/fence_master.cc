// redis.fence_master: makes sure that the dead master cannot come back as a master: its process is
// killed and its restart inhibited, through the executor of its host.
//
// One that came back with less than its replicas takes writes until it is killed: they are paused before, and those that
// it has taken since its start are kept.
//
// Needs: an executor that can act there; without one the return is guarded instead
// (return_guard.h), which is said. Changes: markers of this execution, processes. Undo: the markers
// are removed and the server is started again, as a replica where a new master is known. A fence
// that cannot be confirmed is no fence: the markers are taken back and the assist is refused. An
// unknown outcome is settled by the markers and by a refused connection.
#include <algorithm>

#include "base/strings.h"
#include "redis/steps/assist.h"
#include "redis/steps/look_at_death.h"
#include "redis/steps/rejoin.h"
#include "redis/steps/support.h"
#include "redis/steps/tail.h"

namespace aeterna::redis {
namespace {

using engine::CheckOutcome;

constexpr Duration kConfirmed = 3s;
constexpr Duration kKernelTime = 12s;
constexpr Duration kKeeping = 1s;
constexpr Duration kFenceMasterInterval = 10ms;
constexpr int kMostLooks = 3;
constexpr engine::StepSpec kFenceMasterSpec{"redis.fence_master",
                                 "make sure that the dead master cannot come back as a master",
                                 engine::Risk::kDisruptive, 30s, true};

class FenceMaster final : public RedisStep {
  public:
    explicit FenceMaster(ActingPointer acting)
        : RedisStep(acting->cluster, kFenceMasterSpec), acting_(std::move(acting)) {}

    std::string describe() const override {
        return "kill what is left of the dead master and inhibit its restart until a new one is "
               "confirmed";
    }

    std::string condition() const override {
        return engine::assist_condition(acting_->assist, "the master is proven dead and its host can be acted on");
    }

    Result<CheckOutcome> check(engine::StepContext& step) override {
        const RedisNode* old = node_of(step.facts, kOldMaster);
        if (!is_going(step.facts) || !old) return CheckOutcome::kNotDue;
        if (is_fenced(step.facts, old->name)) return CheckOutcome::kAlreadyDone;
        const auto executor = acting_->hands->executor_of(*old);
        if (!executor) {
            step.progress("'" + old->name + "' cannot be fenced, its return is guarded instead: " +
                          executor.error().to_string());
            return CheckOutcome::kNotDue;
        }
        // A marker alone is no fence: whoever wrote it may have died before the kill.
        if (is_marked(*old, step)) return CheckOutcome::kReady;
        const auto leave = leave_to_act(*acting_, *old, step.facts, step.context);
        if (leave) return CheckOutcome::kReady;
        refuse_assist(step, {leave.error().message});
        return CheckOutcome::kNotDue;
    }

    Status apply(engine::StepContext& step) override {
        const RedisNode* old = node_of(step.facts, kOldMaster);
        AETERNA_ASSIGN(hosts::Executor * executor, acting_->hands->executor_of(*old));
        Status fenced;
        // Started again after the look: it is looked at, too. Its marker lies there by now, so nothing starts a third.
        for (int looks = 0; looks < kMostLooks; ++looks) {
            auto order = look(*old, *executor, step);
            // A slow disk may use the leave up while that is kept.
            if (order && keep_what_it_took(*old, step)) order = look(*old, *executor, step);
            if (!order) {
                refuse_assist(step, {order.error().message});
                let_writes_go_on(*old, step);
                return executor->unfence({old->name}, step.context.run_id, step.context);
            }
            fenced = fence(std::move(*order), *executor, step);
            if (fenced || fenced.error().code != ErrorCode::kGuardRefused) break;
            step.progress("looking again: " + fenced.error().message);
        }
        if (!fenced) return give_up(fenced.error(), *old, *executor, step);
        // The second vantage: nobody may answer at its address any more.
        const env::Context soon = clock().within(kConfirmed, step.context);
        const auto is_dark = poll(cluster_->env(), soon, kFenceMasterInterval, [&]() -> Result<bool> {
            const auto role = cluster_->role(*old, soon);
            return !role && role.error().code != ErrorCode::kUnavailable;
        });
        if (!is_dark) {
            Error ended = is_dark.error();
            ended.effect = Effect::kPartial;  // the runner takes it back
            return ended;
        }
        if (!*is_dark)
            return give_up(
                make_error(ErrorCode::kUnknownOutcome, "something still answers at its address"),
                *old, *executor, step);
        step.facts[kFenced] = Json::array({old->name});
        return {};
    }

    Status verify(engine::StepContext&) override { return {}; }

    Status undo(engine::StepContext& step) override {
        const RedisNode* old = node_of(step.facts, kOldMaster);
        const bool is_killed = find_boolean(step.facts, kKilled).value_or(false);
        if (old) end_guard(*old, step);
        if (!old || (!is_killed && !is_marked(*old, step))) return {};
        if (const RedisNode* master = node_of(step.facts, kNewMaster))
            AETERNA_TRY(follow_at_start(*acting_, *old, *master));
        return lift_and_start(*acting_, *old, step);
    }

  private:
    // The order to kill what runs now, if it may be killed. What runs is listed before anybody is asked: a look takes more
    // than a second where a host is silent, and a supervisor needs less to start what has died.
    Result<hosts::FenceOrder> look(const RedisNode& old, hosts::Executor& executor, engine::StepContext& step) {
        hosts::FenceOrder order{{old.name}, step.context.run_id, "failover of redis"};
        AETERNA_ASSIGN(hosts::NodeProcesses running, executor.remains(old.name, step.context));
        order.ran = std::move(running.processes);
        AETERNA_ASSIGN(order.begin_before, leave_to_act(*acting_, old, step.facts, step.context));
        return order;
    }

    // One that was guarded instead, is back, and that nobody has replaced: its pause would last for fifteen seconds more.
    void end_guard(const RedisNode& old, engine::StepContext& step) {
        if (acting_->guard && !node_of(step.facts, kNewMaster) && cluster_->is_named_by_majority(old, step.context)) stand_down(*acting_);
    }

    // Best effort: no file has them, and its replicas are waiting for their copy of it. Whether that took any time.
    bool keep_what_it_took(const RedisNode& old, engine::StepContext& step) {
        if (find_string(step.facts, kDeathForm) != "empty" || find_member(step.facts, kTakenSince)) return false;
        const std::string directory = acting_->salvage_directory(step.context.run_id) + "/since-its-start";
        const auto is_lost = [&](const std::string& reason) {
            step.progress("what it took since its start could not be kept: " + one_line(reason));
            return true;
        };
        const env::Context brief = clock().within(kKeeping, step.context);
        paused_at_ = Moment{clock().now(), clock().wall_now()};
        if (const Status paused = pause_writes(*cluster_, old, brief); !paused) {
            // Killed by a process that has died since, and that may have kept it.
            const auto kept = find_kept_writes(old.name, directory, cluster_->env().files);
            if (!kept) return is_lost(paused.error().to_string());
            step.facts[kTakenSince] = to_json(*kept);
            step.progress("what it took since its start was kept before: " + kept->summary);
            return true;
        }
        const auto info = cluster_->info(old, brief);
        if (!info) return is_lost(info.error().to_string());
        const auto range = taken_since_start(*info);
        if (!range) return is_lost("it does not say what that is");
        const auto kept = salvage_stream(node_target(settings(), old), *range, directory, cluster_->env(), brief);
        if (!kept) return is_lost(kept.error().to_string());
        step.facts[kTakenSince] = to_json(*kept);
        step.progress("kept what it took since its start: " + kept->summary);
        return true;
    }

    // Not fenced after all: our pause ends at once where it can still be in force, and only while clients are sent there. A
    // Sentinel may have replaced it, and then what it took would be lost.
    void let_writes_go_on(const RedisNode& old, engine::StepContext& step) {
        if (!paused_at_) return;
        // The monotonic clock stands still while the machine is suspended; the pause does not.
        const Duration by_wall = clock().wall_now() - paused_at_->wall;
        const Duration age = std::max<Duration>(clock().now() - paused_at_->mono, by_wall);
        if (by_wall < Duration() || age >= kPause) return;
        if (!cluster_->is_named_by_majority(old, step.context)) return;
        static_cast<void>(cluster_->order(old, {"CLIENT", "UNPAUSE"},
                                          step.context.until(paused_at_->mono + kPause)));
    }

    // A killed process leaves only when the kernel has written what it waits for; a loaded disk
    // makes that seconds. The order may be repeated: what is gone by then is confirmed at once.
    Status fence(hosts::FenceOrder order, hosts::Executor& executor,
                 engine::StepContext& step) {
        const MonoTime end = clock().now() + kKernelTime;
        step.facts[kKilled] = true;
        while (true) {
            Status fenced = executor.fence(order, step.context);
            if (!fenced && fenced.error().code == ErrorCode::kDeadline) step.facts.erase(kKilled);
            const bool is_open = !fenced && fenced.error().code == ErrorCode::kPartial;
            if (!is_open || clock().now() >= end) return fenced;
            order.begin_before.reset();  // it has begun
            if (!cluster_->env().clock.sleep_for(kFenceMasterInterval, step.context.stop)) return fenced;
        }
    }

    bool is_marked(const RedisNode& old, engine::StepContext& step) {
        const auto executor = acting_->hands->executor_of(old);
        if (!executor) return false;
        const auto markers = (*executor)->fences(step.context);
        if (!markers) return false;
        for (const hosts::FenceMarker& marker : *markers)
            if (marker.node == old.name && marker.holder == step.context.run_id) return true;
        return false;
    }

    // Where fencing is not set up nothing was touched: then the return is guarded, as without an
    // executor.
    Status give_up(const Error& error, const RedisNode& old, hosts::Executor& executor,
                   engine::StepContext& step) {
        if (error.code == ErrorCode::kConfiguration && error.effect == Effect::kNone) {
            step.facts.erase(kKilled);
            step.progress("'" + old.name + "' cannot be fenced, its return is guarded instead: " +
                          error.to_string());
            return {};
        }
        refuse_assist(step, {"'" + old.name + "' could not be fenced: " + error.to_string()});
        let_writes_go_on(old, step);
        return executor.unfence({old.name}, step.context.run_id, step.context);
    }

    struct Moment {
        MonoTime mono;
        WallTime wall;
    };
    ActingPointer acting_;
    std::optional<Moment> paused_at_;  // by this process
};

}  // namespace

StepPointer make_fence_master(ActingPointer acting) {
    return std::make_unique<FenceMaster>(std::move(acting));
}

}  // namespace aeterna::redis
