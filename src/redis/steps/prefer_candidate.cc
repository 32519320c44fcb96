// redis.prefer_candidate: gives the candidate the best replica-priority, then waits until every answering Sentinel has
// seen it (they read INFO every 10 s). Changes replica-priority; undo sets the remembered ones again.
#include "redis/steps/support.h"

namespace aeterna::redis {
namespace {

using engine::CheckOutcome;

constexpr Duration kPreferCandidateInterval = 250ms;
constexpr engine::StepSpec kPreferCandidateSpec{"redis.prefer_candidate", "make Sentinel prefer the candidate", engine::Risk::kReversible,
                                 40s, true};

class PreferCandidate final : public RedisStep {
  public:
    PreferCandidate(ClusterPointer cluster, std::string candidate)
        : RedisStep(std::move(cluster), kPreferCandidateSpec), candidate_(std::move(candidate)) {}

    std::string describe() const override { return "give " + candidate_ + " the best replica-priority for a moment"; }

    Result<CheckOutcome> check(engine::StepContext& step) override {
        const RedisNode* master = node_of(step.facts, kOldMaster);
        if (!master) return CheckOutcome::kReady;
        AETERNA_ASSIGN(const auto present, priorities(*master, step.context));
        const auto changes = preferring_priorities(present, candidate_);
        if (changes.empty() && is_seen_everywhere(step.context)) return CheckOutcome::kAlreadyDone;
        // After a crash in between, the first memory is the true one.
        if (!step.facts.contains(kOriginalPriorities)) {
            Json original = Json::object();
            for (const auto& change : changes) original[change.first] = present.at(change.first);
            step.facts[kOriginalPriorities] = original;
        }
        return CheckOutcome::kReady;
    }

    Status apply(engine::StepContext& step) override {
        const RedisNode* master = node_of(step.facts, kOldMaster);
        if (!master) return make_error(ErrorCode::kInternal, "the master is not known");
        AETERNA_ASSIGN(const auto present, priorities(*master, step.context));
        for (const auto& [name, priority] : preferring_priorities(present, candidate_)) {
            Status set = set_priority(*cluster_, *settings().find_node(name), priority, step.context);
            if (set) continue;
            Error error = set.error();
            error.effect = Effect::kPartial;
            return error;
        }
        return {};
    }

    Status verify(engine::StepContext& step) override {
        AETERNA_ASSIGN(const bool is_seen, poll(cluster_->env(), step.context, kPreferCandidateInterval,
                                                [&]() -> Result<bool> { return is_seen_everywhere(step.context); }));
        if (is_seen) return {};
        return make_error(ErrorCode::kUnavailable, "not every Sentinel has seen the new priority of '" + candidate_ + "'");
    }

    Status undo(engine::StepContext& step) override {
        return restore_priorities(*cluster_, step.facts, step.context);
    }

  private:
    Result<std::map<std::string, std::int64_t>> priorities(const RedisNode& master, const env::Context& context) {
        std::map<std::string, std::int64_t> present;
        for (const RedisNode& node : settings().nodes) {
            if (node.name == master.name) continue;
            const auto info = cluster_->info(node, context);
            if (info) present[node.name] = info->replica_priority;
            else if (node.name == candidate_) return info.error();
        }
        return present;
    }

    bool is_seen_everywhere(const env::Context& context) {
        std::size_t seen = 0;
        for (const SentinelAnswer& answer : cluster_->opinions(context)) {
            if (!answer.opinion) continue;
            std::map<std::string, std::int64_t> views;
            for (const ReplicaView& replica : answer.opinion->replicas)
                views[settings().name_of(replica.address)] = replica.priority;
            if (views.count(candidate_) == 0 || !preferring_priorities(views, candidate_).empty()) return false;
            ++seen;
        }
        return seen >= settings().majority();
    }

    std::string candidate_;
};

}  // namespace

StepPointer make_prefer_candidate(ClusterPointer cluster, std::string candidate) {
    return std::make_unique<PreferCandidate>(std::move(cluster), std::move(candidate));
}

}  // namespace aeterna::redis
