// redis.check_switchover: refuses a switchover that could not end well. Read-only. Remembers who is master, and what
// proves later that a node was promoted from it: the connected replicas, the replication id, the config-epoch.
#include "redis/steps/explain_stuck.h"
#include "redis/steps/support.h"

namespace aeterna::redis {
namespace {

using engine::CheckOutcome;

constexpr engine::StepSpec kCheckSwitchoverSpec{"redis.check_switchover", "make sure that a planned switchover can end well",
                                 engine::Risk::kReadOnly, 10s, false};

Error refused(std::string message, std::string hint) {
    return make_error(ErrorCode::kGuardRefused, std::move(message), std::move(hint));
}

class CheckSwitchover final : public RedisStep {
  public:
    CheckSwitchover(ClusterPointer cluster, std::string candidate)
        : RedisStep(std::move(cluster), kCheckSwitchoverSpec), candidate_(std::move(candidate)) {}

    std::string describe() const override {
        return "check quorum, replicas and " + (candidate_.empty() ? "the candidates" : "the candidate " + candidate_);
    }

    Result<CheckOutcome> check(engine::StepContext& step) override {
        const auto answers = cluster_->opinions(step.context);
        AETERNA_ASSIGN(const RedisNode* master, find_master(answers, step.context));
        for (const SentinelAnswer& answer : answers)
            if (answer.opinion) AETERNA_TRY(check_sentinel(answer, *master));
        AETERNA_ASSIGN(const std::vector<std::string> replicas, connected_replicas(*master, step.context));
        AETERNA_TRY(check_candidate(*master, answers));
        AETERNA_ASSIGN(const NodeInfo info, cluster_->info(*master, step.context));
        step.facts[kOldMaster] = master->name;
        step.facts[kReplicas] = replicas;
        step.facts[kOldReplid] = info.replid;
        step.facts[kOldEpoch] = highest_epoch(answers);
        return CheckOutcome::kReady;
    }

    Status apply(engine::StepContext&) override { return {}; }
    Status verify(engine::StepContext&) override { return {}; }

  private:
    Result<const RedisNode*> find_master(const std::vector<SentinelAnswer>& answers, const env::Context& context) {
        const auto address = majority_of(answers);
        if (!address) {
            AETERNA_TRY(cluster_->majority_master_node(context));
            return refused("the Sentinels changed their mind during the check", "Try again in some seconds.");
        }
        const RedisNode* master = settings().node_at(*address);
        if (!master)
            return make_error(ErrorCode::kConfiguration,
                              "the Sentinels name '" + address->to_string() + "', which is no node of the stack file");
        const auto role = cluster_->role(*master, context);
        if (!role)
            return refused("the master does not answer: " + role.error().to_string(),
                           "Use `failover redis`: a switchover needs a living master.");
        if (!role->is_master())
            return refused("the Sentinels name '" + master->name + "', but it is a replica",
                           "Wait until the running failover has ended.");
        return master;
    }

    Status check_sentinel(const SentinelAnswer& answer, const RedisNode& master) {
        const SentinelOpinion& opinion = *answer.opinion;
        if (opinion.current_address != master.address)
            return refused(answer.sentinel + " names another master than the majority", "Wait until the Sentinels agree.");
        if (opinion.master.has_flag("failover_in_progress"))
            return refused(answer.sentinel + ": a failover is in progress", "Wait for its end.");
        if (opinion.master.is_down())
            return refused(answer.sentinel + " flags the master as down", "Use `failover redis` if it is dead.");
        if (!opinion.has_quorum)
            return refused(answer.sentinel + ": " + opinion.quorum_text, "Start the missing Sentinels first.");
        if (opinion.is_tilt) return refused(answer.sentinel + " is in TILT mode", "Try again in 30 s.");
        return {};
    }

    // A node that is away could come back during the switch and be taken for the promoted one, or be chosen.
    Result<std::vector<std::string>> connected_replicas(const RedisNode& master, const env::Context& context) {
        std::vector<std::string> replicas;
        for (const NodeAnswer& answer : cluster_->roles(context)) {
            const std::string& name = answer.node->name;
            if (name == master.name) continue;
            if (!answer.role)
                return refused("'" + name + "' does not answer: " + answer.error->to_string(),
                               "A planned switchover needs every node; bring it back first.");
            if (answer.role->is_master()) return refused("'" + name + "' also says it is master", "Repair that first.");
            if (is_replica_of(*answer.role, master, settings())) {
                replicas.push_back(name);
                continue;
            }
            if (name == candidate_)
                return refused("the candidate '" + name + "' has no replication link", "Choose another one.");
            AETERNA_ASSIGN(const NodeInfo info, cluster_->info(*answer.node, context));
            if (info.replica_priority != 0)
                return refused("'" + name + "' has no replication link, but Sentinel may choose it",
                               "Repair its replication, or set its replica-priority to 0.");
        }
        if (!replicas.empty()) return replicas;
        return refused("no replica is connected to '" + master.name + "'", "Bring a replica back first.");
    }

    static std::int64_t highest_epoch(const std::vector<SentinelAnswer>& answers) {
        std::int64_t epoch = 0;
        for (const SentinelAnswer& answer : answers)
            if (answer.opinion) epoch = std::max(epoch, answer.opinion->master.config_epoch);
        return epoch;
    }

    // In the eyes of every Sentinel, since any of them may be told to act.
    Status check_candidate(const RedisNode& master, const std::vector<SentinelAnswer>& answers) {
        if (candidate_ == master.name) return refused("'" + candidate_ + "' is the master already", "");
        for (const SentinelAnswer& answer : answers) {
            if (!answer.opinion) continue;
            std::string reason = candidate_.empty() ? "no replica is known" : "it does not know the candidate";
            bool is_good = false;
            for (const ReplicaView& replica : answer.opinion->replicas) {
                const std::string name = settings().name_of(replica.address);
                if (!candidate_.empty() && name != candidate_) continue;
                const std::string why = why_not_promotable(replica, answer.opinion->master);
                if (why.empty()) is_good = true;
                else reason = name + ": " + why;
            }
            if (!is_good)
                return refused(answer.sentinel + " would not promote " +
                                   (candidate_.empty() ? "any replica" : "'" + candidate_ + "'") + ": " + reason,
                               "Repair the replica or choose another candidate.");
        }
        return {};
    }

    std::string candidate_;
};

}  // namespace

StepPointer make_check_switchover(ClusterPointer cluster, std::string candidate) {
    return std::make_unique<CheckSwitchover>(std::move(cluster), std::move(candidate));
}

}  // namespace aeterna::redis
