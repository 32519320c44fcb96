// redis.restore_priorities: sets the replica-priorities again that redis.prefer_candidate changed. Repeatable.
#include "redis/steps/support.h"

namespace aeterna::redis {
namespace {

using engine::CheckOutcome;

constexpr engine::StepSpec kRestorePrioritiesSpec{"redis.restore_priorities", "set the replica-priorities as they were",
                                 engine::Risk::kReversible, 10s, false};

class RestorePriorities final : public RedisStep {
  public:
    explicit RestorePriorities(ClusterPointer cluster) : RedisStep(std::move(cluster), kRestorePrioritiesSpec) {}
    std::string describe() const override { return "set the replica-priorities as they were"; }

    Result<CheckOutcome> check(engine::StepContext& step) override {
        const Json* original = find_member(step.facts, kOriginalPriorities);
        const bool is_nothing = original && original->empty();
        return is_nothing ? CheckOutcome::kAlreadyDone : CheckOutcome::kReady;
    }

    Status apply(engine::StepContext& step) override {
        return restore_priorities(*cluster_, step.facts, step.context);
    }

    Status verify(engine::StepContext& step) override {
        const Json* original = find_member(step.facts, kOriginalPriorities);
        if (!original || !original->is_object()) return {};
        for (const auto& [name, priority] : original->items()) {
            const RedisNode* node = settings().find_node(name);
            if (!node) continue;
            AETERNA_ASSIGN(const Reply reply, cluster_->ask(*node, {"CONFIG", "GET", "replica-priority"}, step.context));
            const bool is_set = reply.elements.size() == 2 && priority.is_number_integer() &&
                                reply.elements[1].to_number() == priority.get<std::int64_t>();
            if (!is_set) return make_error(ErrorCode::kServer, "'" + name + "' has another replica-priority than before");
        }
        return {};
    }
};

}  // namespace

StepPointer make_restore_priorities(ClusterPointer cluster) {
    return std::make_unique<RestorePriorities>(std::move(cluster));
}

}  // namespace aeterna::redis
