// redis.confirm_one_writer: writes a key of its own to every node that says it is master; exactly the one that the
// Sentinels name must accept. Needs: SET on aeterna-dr:confirm:*. Changes: one key that expires after 60 s; and sets
// up the guard for the old master's return again, where the process that had set it up has died after the promotion. An
// unknown outcome changes nothing: the next round writes again.
#include "base/strings.h"
#include "redis/steps/assist.h"
#include "redis/steps/giving_way.h"
#include "redis/steps/return_guard.h"
#include "redis/steps/support.h"

namespace aeterna::redis {
namespace {

using engine::CheckOutcome;

constexpr Duration kConfirmOneWriterInterval = 200ms;
constexpr engine::StepSpec kConfirmOneWriterSpec{"redis.confirm_one_writer", "prove by a write that exactly one node accepts writes",
                                 engine::Risk::kReversible, 45s, false};

class ConfirmOneWriter final : public RedisStep {
  public:
    ConfirmOneWriter(ClusterPointer cluster, ActingPointer acting)
        : RedisStep(std::move(cluster), kConfirmOneWriterSpec), acting_(std::move(acting)) {}

    std::string describe() const override {
        return "write an expiring key to every node that says it is master; exactly one may accept it";
    }
    Result<CheckOutcome> check(engine::StepContext&) override { return CheckOutcome::kReady; }

    Status apply(engine::StepContext& step) override {
        if (acting_) meet_old(step);
        std::string problem;
        AETERNA_ASSIGN(const bool is_confirmed, poll(cluster_->env(), step.context, kConfirmOneWriterInterval, [&]() -> Result<bool> {
            problem = find_problem(step);
            return problem.empty();
        }));
        if (is_confirmed) return {};
        return make_error(ErrorCode::kUnavailable, problem,
                          "Keep clients away from every node but the one that the Sentinels name.");
    }

    Status verify(engine::StepContext& step) override {
        AETERNA_ASSIGN(const RedisNode* master, named_master(*cluster_, step));
        AETERNA_ASSIGN(const Role role, cluster_->role(*master, step.context));
        if (role.is_master()) return {};
        return make_error(ErrorCode::kUnavailable, "'" + master->name + "' is master no longer");
    }

  private:
    // It may have come back while nobody was there to meet it.
    void meet_old(engine::StepContext& step) {
        const RedisNode* old = node_of(step.facts, kOldMaster);
        const RedisNode* promoted = node_of(step.facts, kNewMaster);
        const bool is_ours = is_going(step.facts) && old && promoted && old != promoted;
        if (!is_ours || is_fenced(step.facts, old->name) || give_way_if_taken_back(*acting_, step)) return;
        guard_of(*acting_, *old, step.context.run_id).demote_for(promoted->name, step.facts);
    }

    // Empty when exactly the Sentinels' master accepted.
    std::string find_problem(engine::StepContext& step) {
        const auto master = named_master(*cluster_, step);
        if (!master) return master.error().to_string();
        std::vector<std::string> accepted;
        std::string refusals;
        for (const NodeAnswer& answer : cluster_->roles(step.context)) {
            if (!answer.role || !answer.role->is_master()) continue;
            const std::string key = "aeterna-dr:confirm:" + step.context.run_id + ":" + answer.node->name;
            const auto written = cluster_->order(*answer.node, {"SET", key, "1", "EX", "60"}, step.context);
            if (written) accepted.push_back(answer.node->name);
            else refusals += "; " + written.error().to_string();
        }
        if (accepted.size() > 1) return join(accepted, " and ") + " both accept writes";
        if (accepted.empty()) return "no node accepts a write" + refusals;
        if (accepted.front() == (*master)->name) return "";
        return accepted.front() + " accepts writes, but the Sentinels name " + (*master)->name;
    }

    ActingPointer acting_;
};

}  // namespace

StepPointer make_confirm_one_writer(ClusterPointer cluster, ActingPointer acting) {
    return std::make_unique<ConfirmOneWriter>(std::move(cluster), std::move(acting));
}

}  // namespace aeterna::redis
