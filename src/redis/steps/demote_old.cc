// redis.demote_old: REPLICAOF the new master on the old one, then CLIENT UNPAUSE: writes that waited fail with READONLY,
// none is acknowledged and lost. Needs the promoted node, still master, and an old master that has not become master
// again meanwhile; else it refuses and sends nothing. Repeatable; no undo.
#include "redis/steps/support.h"

namespace aeterna::redis {
namespace {

using engine::CheckOutcome;

constexpr engine::StepSpec kDemoteOldSpec{"redis.demote_old", "make the old master a replica and end the pause",
                                 engine::Risk::kDisruptive, 10s, false};

class DemoteOld final : public RedisStep {
  public:
    explicit DemoteOld(ClusterPointer cluster) : RedisStep(std::move(cluster), kDemoteOldSpec) {}
    std::string describe() const override { return "make the old master a replica of the new one, then unpause it"; }

    // Always ready: a replica may still be paused, which nobody can see.
    Result<CheckOutcome> check(engine::StepContext&) override { return CheckOutcome::kReady; }

    Status apply(engine::StepContext& step) override {
        const RedisNode* old = node_of(step.facts, kOldMaster);
        const RedisNode* promoted = node_of(step.facts, kNewMaster);
        if (!old || !promoted) return make_error(ErrorCode::kInternal, "the old or the new master is not known");
        return demote(*cluster_, *old, *promoted, step.facts, step.context);
    }

    Status verify(engine::StepContext& step) override {
        const RedisNode* old = node_of(step.facts, kOldMaster);
        if (!old) return make_error(ErrorCode::kInternal, "the old master is not known");
        AETERNA_ASSIGN(const Role role, cluster_->role(*old, step.context));
        if (!role.is_master()) return {};
        return make_error(ErrorCode::kServer, "'" + old->name + "' still says that it is master");
    }
};

}  // namespace

StepPointer make_demote_old(ClusterPointer cluster) { return std::make_unique<DemoteOld>(std::move(cluster)); }

}  // namespace aeterna::redis
