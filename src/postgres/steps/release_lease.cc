// postgres.release_lease
// Does: takes the leader key of the fenced primary out of etcd, in one transaction that compares its value, revision
// and lease and our actor lock; Patroni elects at once instead of when the lease ends. Needs: a confirmed fence, and
// that nothing speaks against it now. Changes: the leader key. Undo: none needed. Unknown outcome: the key is read
// again; the transaction may be repeated. With a candidate the same transaction orders it to be the leader.
#include <fmt/core.h>

#include "base/strings.h"
#include "engine/runbook/actor_lock.h"
#include "postgres/steps/assist.h"

namespace aeterna::postgres {

constexpr engine::StepSpec kReleaseLeaseSpec{"postgres.release_lease",
                                             "release the fenced primary's lease, so that Patroni elects at once",
                                             engine::Risk::kDisruptive, 20s, false};

namespace {

constexpr int kTries = 3;

class ReleaseLease final : public engine::Step {
  public:
    explicit ReleaseLease(StepParts parts)
        : parts_(std::move(parts)), live_(parts_.settings, parts_.env, Live::Scope::kNodes) {}

    const engine::StepSpec& spec() const override { return kReleaseLeaseSpec; }

    std::string describe() const override {
        return "take the fenced primary's leader key out of etcd, if it is still the same and we still hold the lock";
    }

    std::string condition() const override {
        return engine::assist_condition(parts_.assist, "the fence is confirmed");
    }

    Result<engine::CheckOutcome> check(engine::StepContext& step) override {
        const bool is_due = is_assist(step.facts, "proven") && step.facts.contains("fence.confirmed");
        if (is_assist(step.facts, "acted")) return engine::CheckOutcome::kAlreadyDone;
        return is_due ? engine::CheckOutcome::kReady : engine::CheckOutcome::kNotDue;
    }

    Status apply(engine::StepContext& step) override {
        const NodeSettings* old = parts_.settings.find(fact(step.facts, "old_primary"));
        if (!old) return make_error(ErrorCode::kInternal, "the old primary is not known");
        const World world = live_.look(step.context, old->name);
        if (world.dcs() && world.key_holder != old->name) {
            settle_assist(step, "not_needed", {"etcd: its leader key was gone before it was released"});
            return {};
        }
        const std::vector<std::string> reasons = hindrances(step, world, *old);
        if (!reasons.empty()) {
            refuse_assist(step, reasons);
            return {};
        }
        return release(step, *world.dcs()->leader);
    }

    Status verify(engine::StepContext&) override { return {}; }

  private:
    // All that forbade the fence forbids the release as well: minutes may have passed, if we had died between.
    std::vector<std::string> hindrances(engine::StepContext& step, const World& world, const NodeSettings& old) {
        LossWatch watch(parts_, old);
        const LossEvidence evidence = watch.gather(world, step.context);
        std::vector<std::string> lines = assist_refusals(world, old, evidence);
        if (std::string why = candidate_hindrance(parts_, world); !why.empty()) lines.push_back(std::move(why));
        if (!evidence.host_answered || !evidence.agent.is_gone() || !evidence.server.is_gone()) {
            lines.push_back("the fence does not hold: something of '" + old.name + "' runs");
        }
        if (!step.actor_lease) lines.emplace_back("the actor lock is not in etcd: nothing to compare with");
        if (!world.dcs() || !world.dcs()->leader) return lines;
        const Json* proof = find_member(step.facts, "fence.leader");
        const LeaderKey& leader = *world.dcs()->leader;
        const auto before = proof ? find_integer(*proof, "remaining_seconds") : std::nullopt;
        if (!proof || leader.member != find_string(*proof, "member") || leader.lease != find_integer(*proof, "lease")) {
            lines.emplace_back("etcd: the leader key is not the one that the fence left");
        }
        if (!leader.remaining_seconds || !before || *leader.remaining_seconds > *before) {
            lines.emplace_back("etcd: the lease was renewed in spite of the fence, or cannot be read");
        }
        return lines;
    }

    Status release(engine::StepContext& step, const LeaderKey& leader) {
        services::Etcd etcd(*parts_.settings.etcd, parts_.env);
        const std::string key = parts_.settings.key_prefix + "leader";
        const std::vector<services::EtcdCondition> conditions = {
            {key, leader.member, leader.mod_revision, leader.lease},
            {engine::actor_key(parts_.settings.stack_name), std::nullopt, std::nullopt, *step.actor_lease}};
        Result<bool> removed = false;
        for (int attempt = 0; attempt < kTries; ++attempt) {
            removed = etcd.remove_if(key, conditions, parts_.env.clock.within(3s, step.context), order());
            if (removed) break;
        }
        if (removed && *removed) {
            step.facts["lease_remaining_seconds"] = leader.remaining_seconds.value_or(0);
            step.facts["assist_acted_at"] = format_time(parts_.env.clock.wall_now());
            step.facts["assist"] = "acted";
            step.progress(fmt::format("the lease of '{}' is released {} s before its end", leader.member,
                                      leader.remaining_seconds.value_or(0)));
            return {};
        }
        return judge_unreleased(step, key, leader, removed);
    }

    // As Patroni's own /failover writes it (3.0.2 dcs/__init__.py, manual_failover).
    std::optional<services::EtcdPut> order() const {
        const NodeSettings* candidate = parts_.settings.find(parts_.candidate);
        if (!candidate) return std::nullopt;
        return services::EtcdPut{parts_.settings.key_prefix + "failover", dump_json(Json{{"member", candidate->member}})};
    }

    // A repeated or lost request may have done it all the same.
    Status judge_unreleased(engine::StepContext& step, const std::string& key, const LeaderKey& leader,
                            const Result<bool>& removed) {
        services::Etcd etcd(*parts_.settings.etcd, parts_.env);
        const auto present = etcd.get(key, parts_.env.clock.within(3s, step.context));
        if (present && (!*present || (*present)->lease != leader.lease)) {
            settle_assist(step, "acted", {"etcd: the leader key is gone"});
            step.facts["assist_acted_at"] = format_time(parts_.env.clock.wall_now());
            return {};
        }
        refuse_assist(step, {removed ? std::string("etcd: the leader key or our lock changed at the last moment")
                                     : "etcd: " + removed.error().to_string()});
        return {};
    }

    StepParts parts_;
    Live live_;
};

}  // namespace

std::unique_ptr<engine::Step> make_release_lease(StepParts parts) {
    return std::make_unique<ReleaseLease>(std::move(parts));
}

}  // namespace aeterna::postgres
