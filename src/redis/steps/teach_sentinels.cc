// redis.teach_sentinels: after a promotion by hand, tells the Sentinels and the replicas that come back who is
// master now. A Sentinel that is not told would elect the old state again; a replica that follows another one would stay there
// for ever, because the Sentinels have forgotten it and learn only of those that follow the master. Needs: all of them.
// Changes: their memory of the master; whom replicas follow. No undo. Idempotent: one that names or follows the new master is
// left alone, and all of them once another one was promoted since.
// Past the budget it names those that are missing and asks a person.
#include <fmt/core.h>

#include "base/strings.h"
#include "redis/steps/assist.h"
#include "redis/steps/giving_way.h"
#include "redis/steps/sentinel_teaching.h"
#include "redis/steps/support.h"

namespace aeterna::redis {
namespace {

using engine::CheckOutcome;

constexpr Duration kTeachSentinelsBudget = 90s;
constexpr Duration kTeachSentinelsInterval = 500ms;
constexpr engine::StepSpec kTeachSentinelsSpec{"redis.teach_sentinels", "tell every Sentinel who is master now",
                                 engine::Risk::kReversible, 120s, false};

class TeachSentinels final : public RedisStep {
  public:
    explicit TeachSentinels(ActingPointer acting)
        : RedisStep(acting->cluster, kTeachSentinelsSpec), acting_(std::move(acting)) {}

    std::string describe() const override {
        return "tell every Sentinel that comes back who is master now";
    }

    std::string condition() const override {
        return engine::assist_condition(acting_->assist, "the promotion was by hand");
    }

    Result<CheckOutcome> check(engine::StepContext& step) override {
        const bool is_ours =
            is_by_hand(step.facts) && is_going(step.facts) && node_of(step.facts, kNewMaster);
        return is_ours ? CheckOutcome::kReady : CheckOutcome::kNotDue;
    }

    Status apply(engine::StepContext& step) override {
        if (give_way_if_taken_back(*acting_, step)) return {};
        const RedisNode* master = node_of(step.facts, kNewMaster);
        const env::Context budget = clock().within(kTeachSentinelsBudget, step.context);
        std::vector<std::string> left;
        std::optional<MonoTime> told_since;
        AETERNA_ASSIGN(const bool is_done,
                       poll(cluster_->env(), budget, kTeachSentinelsInterval, [&]() -> Result<bool> {
                           AETERNA_ASSIGN(TeachingRound round, teach_once(*cluster_, *master, step.facts, budget));
                           if (round.is_outdated) return true;
                           left = std::move(round.left);
                           if (!round.is_told) told_since.reset();
                           else if (!told_since) told_since = clock().now();
                           return told_since && clock().now() - *told_since >= kSettled;
                       }));
        if (is_done) return {};
        return make_error(
            ErrorCode::kAwaitingApproval,
            fmt::format("not told that '{}' is master: {}", master->name, join(left, "; ")),
            "Start them and resume this execution at once: left alone, Sentinels elect the old state again, and replicas "
            "stay where they are.");
    }

    Status verify(engine::StepContext&) override { return {}; }

  private:
    ActingPointer acting_;
};

}  // namespace

StepPointer make_teach_sentinels(ActingPointer acting) {
    return std::make_unique<TeachSentinels>(std::move(acting));
}

}  // namespace aeterna::redis
