// redis.choose_master: who should be master where the servers do not agree (detect/division.h). Changes nothing; waits in check()
// until the division has been the same for 5 s. Past its budget it says what kept it from deciding and asks a person.
#include "base/strings.h"
#include "redis/detect/division.h"
#include "redis/steps/support.h"

namespace aeterna::redis {
namespace {

using engine::CheckOutcome;

constexpr Duration kLasting = 5s;
constexpr Duration kAway = 1s;
constexpr Duration kChooseMasterBudget = 30s;
constexpr Duration kChooseMasterInterval = 500ms;
constexpr engine::StepSpec kChooseMasterSpec{"redis.choose_master", "decide who is master where the servers do not agree",
                                 engine::Risk::kReadOnly, 60s, false};

class ChooseMaster final : public RedisStep {
  public:
    explicit ChooseMaster(ClusterPointer cluster) : RedisStep(std::move(cluster), kChooseMasterSpec) {}

    std::string describe() const override {
        return "choose the master: whom a majority of the Sentinels names, else the one with most keys";
    }

    Result<CheckOutcome> check(engine::StepContext& step) override {
        if (node_of(step.facts, kNewMaster)) return CheckOutcome::kAlreadyDone;
        const env::Context budget = clock().within(kChooseMasterBudget, step.context);
        Division seen;
        MonoTime since = clock().now();
        AETERNA_ASSIGN(const bool is_lasting, poll(cluster_->env(), budget, kChooseMasterInterval, [&]() -> Result<bool> {
            Division now = look_at_division(*cluster_, budget);
            if (!(now == seen)) since = clock().now();
            seen = std::move(now);
            // Not for one question that was lost.
            const bool is_away = seen.is_master_away && clock().now() - since >= kAway;
            if (is_away) return make_error(ErrorCode::kUnavailable, seen.obstacle, "That is a failover's business.");
            return seen.obstacle.empty() && clock().now() - since >= kLasting;
        }));
        if (!is_lasting) {
            return make_error(ErrorCode::kAwaitingApproval,
                              "nobody can be chosen: " + (seen.obstacle.empty() ? "they change their minds" : seen.obstacle),
                              "Look at 'aeterna-dr status redis', mend that, then resume this execution.");
        }
        if (seen.lines.empty()) return CheckOutcome::kAlreadyDone;
        step.facts[kDivision] = seen.lines;
        step.facts[kNewMaster] = seen.master->name;
        step.progress("'" + seen.master->name + "' is to be master" + (seen.is_named ? ", as the Sentinels say" : ": it has most") + "; " +
                      join(seen.lines, ", "));
        return CheckOutcome::kAlreadyDone;
    }

    Status apply(engine::StepContext&) override { return {}; }
    Status verify(engine::StepContext&) override { return {}; }
};

}  // namespace

StepPointer make_choose_master(ClusterPointer cluster) { return std::make_unique<ChooseMaster>(std::move(cluster)); }

}  // namespace aeterna::redis
