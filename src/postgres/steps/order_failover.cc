// postgres.order_failover
// Does: asks Patroni to make the node that a person has named the leader (POST /failover), where nobody leads. Needs: the
// parameter `candidate`; no leader key, nobody who may still take writes, and nothing that Patroni itself would have
// against that node: a manual failover without a leader asks neither for lag nor for /sync (3.0.2 ha.py,
// manual_failover_process_no_leader). Changes: who leads. Undo: none. Unknown outcome: never asked again; await_promotion
// sees who leads.
//
// Where the lease was released, the order went into etcd with that (release_lease), or another node might have won first.
#include "base/strings.h"
#include "postgres/client/patroni.h"
#include "postgres/steps/assist.h"

namespace aeterna::postgres {

constexpr engine::StepSpec kOrderFailoverSpec{"postgres.order_failover",
                                              "ask Patroni to make the named node the leader",
                                              engine::Risk::kDisruptive, 1min, false};

namespace {

class OrderFailover final : public engine::Step {
  public:
    explicit OrderFailover(StepParts parts)
        : parts_(std::move(parts)), live_(parts_.settings, parts_.env), patroni_(parts_.settings, parts_.env) {}

    const engine::StepSpec& spec() const override { return kOrderFailoverSpec; }

    std::string describe() const override {
        return "ask Patroni to make " + (parts_.candidate.empty() ? "the named node" : "'" + parts_.candidate + "'") +
               " the leader";
    }

    std::string condition() const override {
        if (parts_.candidate.empty()) return "only with a candidate";
        return "only if nobody leads, and the release of the lease has not ordered it";
    }

    Result<engine::CheckOutcome> check(engine::StepContext& step) override {
        if (parts_.candidate.empty() || find_boolean(step.facts, "restart_agent.done").value_or(false))
            return engine::CheckOutcome::kNotDue;
        const World world = live_.look(step.context, fact(step.facts, "old_primary"));
        const DcsView* dcs = world.dcs();
        if (world.primary || is_ordered(dcs)) return engine::CheckOutcome::kAlreadyDone;
        if (dcs && !world.key_holder.empty()) {
            step.progress("'" + parts_.candidate + "' is not asked for: '" + world.key_holder + "' still holds the leader key");
            return engine::CheckOutcome::kNotDue;
        }
        if (fact(step.facts, "old_primary").empty()) step.facts["old_primary"] = only_other(world);
        if (const auto lines = hindrances(world, step); !lines.empty())
            return make_error(ErrorCode::kGuardRefused, join(lines, "; "), "Mend that, or name another node.");
        return engine::CheckOutcome::kReady;
    }

    Status apply(engine::StepContext& step) override {
        const NodeSettings* candidate = parts_.settings.find(parts_.candidate);
        if (!candidate) return make_error(ErrorCode::kInternal, "the candidate is not configured");
        const env::Context bounded = parts_.env.clock.within(Patroni::kActionTimeout, step.context);
        AETERNA_ASSIGN(const ActionReply reply, patroni_.failover(*candidate, candidate->member, bounded));
        step.facts["await_promotion.begun"] = true;  // whoever leads now was promoted
        step.progress("patroni: " + (reply.text.empty() ? "it did not say how the failover ended" : reply.text));
        return {};
    }

    // Patroni's answer is no proof; the next step looks.
    Status verify(engine::StepContext&) override { return {}; }

  private:
    bool is_ordered(const DcsView* dcs) const {
        const NodeSettings* candidate = parts_.settings.find(parts_.candidate);
        return dcs && dcs->failover && candidate && dcs->failover->candidate == candidate->member;
    }

    std::vector<std::string> hindrances(const World& world, const engine::StepContext& step) const {
        if (!world.dcs()) return {"etcd cannot be read: whether somebody leads is not known"};
        const NodeSettings* old = parts_.settings.find(fact(step.facts, "old_primary"));
        if (!old) return {"nobody knows which node was the primary, and so whether it still takes writes"};
        std::vector<std::string> lines = cluster_refusals(world, *old);
        const auto& sql = world.of(old->name).sql;
        const bool may_write = fenced_nodes(step.facts).empty() && sql.answer != Answer::kRefused && !sql.value;
        if (may_write)
            lines.push_back("whether '" + old->name + "' still takes writes cannot be seen: " + describe_look(world, "SQL", sql));
        if (std::string why = candidate_hindrance(parts_, world); !why.empty()) lines.push_back(std::move(why));
        return lines;
    }

    // Where nobody has led since we look: the one node that is no replica must have been it. Empty where there are more.
    std::string only_other(const World& world) const {
        std::vector<std::string> others;
        for (const auto& [name, of] : world.seen.nodes)
            if (!of.sql.value) others.push_back(name);
        return others.size() == 1 ? others.front() : "";
    }

    StepParts parts_;
    Live live_;
    Patroni patroni_;
};

}  // namespace

std::unique_ptr<engine::Step> make_order_failover(StepParts parts) {
    return std::make_unique<OrderFailover>(std::move(parts));
}

}  // namespace aeterna::postgres
