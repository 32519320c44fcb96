// redis.await_rejoin: waits until the old master follows the new one with its link up. Changes nothing; waits in
// check(). Sentinel turns a returned master into a replica by itself, about 10 s after it answers again. Past the budget
// it says what is missing and asks a person, as where the old master is held down by somebody who waits for our end; it is
// never reported as done when it is not.
#include <fmt/core.h>

#include "base/strings.h"
#include "redis/steps/assist.h"
#include "redis/steps/return_guard.h"
#include "redis/steps/support.h"

namespace aeterna::redis {
namespace {

using engine::CheckOutcome;

constexpr Duration kAwaitRejoinBudget = 90s;
constexpr Duration kAwaitRejoinInterval = 200ms;
constexpr engine::StepSpec kAwaitRejoinSpec{"redis.await_rejoin", "wait until the old master is back as a replica",
                                 engine::Risk::kReadOnly, 120s, false};

class AwaitRejoin final : public RedisStep {
  public:
    AwaitRejoin(ClusterPointer cluster, ActingPointer acting)
        : RedisStep(std::move(cluster), kAwaitRejoinSpec), acting_(std::move(acting)) {}

    std::string describe() const override { return "wait until the old master follows the new one, link up"; }

    Result<CheckOutcome> check(engine::StepContext& step) override {
        const RedisNode* old = node_of(step.facts, kOldMaster);
        if (!old) return CheckOutcome::kReady;
        const env::Context budget = clock().within(kAwaitRejoinBudget, step.context);
        std::string missing;
        Status free;
        AETERNA_ASSIGN(const bool is_over, poll(cluster_->env(), budget, kAwaitRejoinInterval, [&]() -> Result<bool> {
            missing = what_is_missing(*old, step);
            if (!missing.empty() && acting_) free = look_for_fence(fences_, *acting_, *old, step);
            return missing.empty() || !free;
        }));
        take_report(step);
        if (!free) return free.error();
        if (is_over) return CheckOutcome::kAlreadyDone;
        if (budget.deadline >= step.context.deadline) return CheckOutcome::kReady;  // not our budget's end
        return make_error(ErrorCode::kAwaitingApproval,
                          fmt::format("'{}' is not back as a replica after {}: {}", old->name,
                                      format_duration(kAwaitRejoinBudget), missing),
                          "Start '" + old->name + "'" + (old->host.empty() ? "" : " on " + old->host) +
                              " again and look into its log, then resume this execution.");
    }

    Status apply(engine::StepContext&) override { return {}; }

    Status verify(engine::StepContext& step) override {
        const RedisNode* old = node_of(step.facts, kOldMaster);
        const std::string missing = old ? what_is_missing(*old, step) : "the old master is unknown";
        if (missing.empty()) return {};
        return make_error(ErrorCode::kTimeout, "the old master is not back as a replica: " + missing);
    }

  private:
    std::string what_is_missing(const RedisNode& old, engine::StepContext& step) {
        const auto named = named_master(*cluster_, step);
        if (!named) return named.error().to_string();
        const env::Endpoint* master = &(*named)->address;
        if (*master == old.address) return "the Sentinels name it as master again";
        const auto role = cluster_->role(old, step.context);
        if (!role) return role.error().to_string();
        if (role->is_master()) return "it still says that it is master";
        if (role->follows != *master) return "it follows " + settings().name_of(role->follows);
        if (!role->is_connected_replica()) return "its replication link is '" + one_line(role->link, 20) + "'";
        return "";
    }

    void take_report(engine::StepContext& step) {
        if (!acting_ || !acting_->guard) return;
        const ReturnGuard::Report report = acting_->guard->report();
        if (!report.note.empty()) step.progress("guard: " + report.note);
        if (report.salvaged) step.facts[kSalvaged] = to_json(*report.salvaged);
        if (report.held_at) step.facts["redis.return_held_at"] = format_time(*report.held_at);
        if (report.demoted_at) step.facts["redis.return_demoted_at"] = format_time(*report.demoted_at);
    }

    ActingPointer acting_;
    engine::ForeignFenceWatch fences_;
};

}  // namespace

StepPointer make_await_rejoin(ClusterPointer cluster, ActingPointer acting) {
    return std::make_unique<AwaitRejoin>(std::move(cluster), std::move(acting));
}

}  // namespace aeterna::redis
