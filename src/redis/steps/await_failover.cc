// redis.await_failover: waits until a majority of the Sentinels names a new master that says so itself; after a forced
// failover of a fenced master with no majority left, until those that are left do.
//
// Needs: the Sentinels. Changes nothing; waits in check(). Budget: what is left of down-after plus 15 s. Past it, or
// when waiting cannot help for 10 s, it explains why Sentinel is stuck and asks a person. Refuses when the master is
// healthy: that is a switchover's business.
#include <fmt/core.h>

#include "redis/steps/assist.h"
#include "redis/steps/explain_stuck.h"
#include "redis/steps/support.h"

namespace aeterna::redis {
namespace {

using engine::CheckOutcome;

constexpr Duration kElection = 15s;
constexpr Duration kHopeless = 10s;
constexpr Duration kAwaitFailoverInterval = 200ms;
constexpr engine::StepSpec kAwaitFailoverSpec{"redis.await_failover", "wait until Sentinel has promoted a replica",
                                 engine::Risk::kReadOnly, 600s, false};

class AwaitFailover final : public RedisStep {
  public:
    AwaitFailover(ClusterPointer cluster, std::string old_primary)
        : RedisStep(std::move(cluster), kAwaitFailoverSpec), old_primary_(std::move(old_primary)) {}

    std::string describe() const override {
        return "wait for Sentinel to promote a replica of " + (old_primary_.empty() ? "the dead master" : old_primary_);
    }

    Result<CheckOutcome> check(engine::StepContext& step) override {
        if (!step.facts.contains(kAssist)) step.facts[kAssist] = "off";
        if (is_by_hand(step.facts) && node_of(step.facts, kNewMaster)) return CheckOutcome::kAlreadyDone;
        AETERNA_ASSIGN(const RedisNode* old, old_master(step));
        const MonoTime began = clock().now();
        auto answers = cluster_->opinions(step.context);
        const MonoTime end = began + down_after_left(answers) + kElection;
        std::optional<MonoTime> hopeless_since;
        std::string told;
        while (true) {
            if (is_done(answers, *old, step)) return CheckOutcome::kAlreadyDone;
            const auto role = cluster_->role(*old, step.context);
            AETERNA_TRY(refuse_if_healthy(*old, role, answers));
            const StuckInput input{answers, old->address,
                                   role ? std::nullopt : std::optional<Error>(role.error()), clock().now() - began};
            const StuckCause cause = explain_stuck(input, settings()).front();
            if (cause.word != told) step.progress(cause.reason);
            told = cause.word;
            if (cause.resolves_itself) hopeless_since.reset();
            else if (!hopeless_since) hopeless_since = clock().now();
            const MonoTime now = clock().now();
            if (now >= end || (hopeless_since && now - *hopeless_since >= kHopeless))
                return make_error(ErrorCode::kAwaitingApproval,
                                  fmt::format("Sentinel has not failed over after {}: {}",
                                              format_duration(now - began), cause.reason),
                                  cause.proposal);
            if (now + kAwaitFailoverInterval >= step.context.deadline) return CheckOutcome::kReady;
            if (!cluster_->env().clock.sleep_for(kAwaitFailoverInterval, step.context.stop))
                return make_error(ErrorCode::kCancelled, "stopped while waiting for Sentinel");
            answers = cluster_->opinions(step.context);
        }
    }

    Status apply(engine::StepContext&) override { return {}; }

    Status verify(engine::StepContext& step) override {
        AETERNA_ASSIGN(const RedisNode* old, old_master(step));
        if (is_done(cluster_->opinions(step.context), *old, step)) return {};
        return make_error(ErrorCode::kTimeout, "Sentinel has not promoted a replica of '" + old->name + "' yet");
    }

  private:
    // By the parameter, the journal, or what the Sentinels still name.
    Result<const RedisNode*> old_master(engine::StepContext& step) {
        if (const RedisNode* known = node_of(step.facts, kOldMaster)) return known;
        AETERNA_ASSIGN(const RedisNode* node, supposed_old_master(*cluster_, old_primary_, step.context));
        step.facts[kOldMaster] = node->name;
        return node;
    }

    bool is_done(const std::vector<SentinelAnswer>& answers, const RedisNode& old, engine::StepContext& step) {
        const auto address = majority_of(answers);
        if (!address) return is_done_by_few(answers, old, step);
        if (*address == old.address) return false;
        const RedisNode* promoted = settings().node_at(*address);
        if (!promoted) return false;
        const auto role = cluster_->role(*promoted, step.context);
        if (!role || !role->is_master()) return false;
        step.facts[kNewMaster] = promoted->name;
        return true;
    }

    // A Sentinel that was ordered to fail over needs no majority, and the others adopt its higher epoch when they come
    // back. With the old master fenced nobody else can be the master, so what is left of them decides.
    bool is_done_by_few(const std::vector<SentinelAnswer>& answers, const RedisNode& old, engine::StepContext& step) {
        const RedisNode* promoted = node_of(step.facts, kNewMaster);
        if (!promoted || !is_fenced(step.facts, old.name)) return false;
        std::size_t agreeing = 0, answering = 0;
        for (const SentinelAnswer& answer : answers) {
            if (!answer.opinion) continue;
            ++answering;
            if (answer.opinion->current_address == promoted->address) ++agreeing;
        }
        const bool is_majority_away = 2 * answering <= answers.size();
        if (!is_majority_away || agreeing == 0 || agreeing < answering) return false;
        const auto role = cluster_->role(*promoted, step.context);
        if (!role || !role->is_master()) return false;
        step.facts[kFewSentinels] = true;
        return true;
    }

    Status refuse_if_healthy(const RedisNode& old, const Result<Role>& role,
                             const std::vector<SentinelAnswer>& answers) {
        if (!role || !role->is_master()) return {};
        std::size_t down = 0;
        for (const SentinelAnswer& answer : answers)
            if (answer.opinion && (answer.opinion->master.is_down() ||
                                   answer.opinion->master.has_flag("failover_in_progress") ||
                                   answer.opinion->current_address != old.address))
                ++down;
        if (down > 0) return {};
        return make_error(ErrorCode::kGuardRefused, "the master '" + old.name + "' answers and no Sentinel doubts it",
                          "Use `switchover redis` to move the master role without losing a write.");
    }

    std::string old_primary_;
};

}  // namespace

StepPointer make_await_failover(ClusterPointer cluster, std::string old_primary) {
    return std::make_unique<AwaitFailover>(std::move(cluster), std::move(old_primary));
}

}  // namespace aeterna::redis
