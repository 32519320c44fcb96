// redis.unite: makes all agree with redis.choose_master: first the Sentinels, which then send applications there; then masters beside it,
// whose own writes are kept (salvage/EXECUTION) before they become replicas; then replicas that follow another one. What a second
// master took and cannot be read is not destroyed by our hand: a person is asked. Needs: that the chosen one is still master. Idempotent.
#include <fmt/core.h>

#include "base/strings.h"
#include "redis/detect/division.h"
#include "redis/steps/assist.h"
#include "redis/steps/sentinel_teaching.h"
#include "redis/steps/server_files.h"
#include "redis/steps/support.h"
#include "redis/steps/tail.h"

namespace aeterna::redis {
namespace {

using engine::CheckOutcome;

constexpr Duration kUniteBudget = 60s;
constexpr Duration kUniteInterval = 500ms;
constexpr Duration kForOne = 10s;
constexpr engine::StepSpec kUniteSpec{"redis.unite", "let all servers agree who is master", engine::Risk::kDisruptive, 90s, false};

// What `other` has taken beside `master`: from where the two part on. Nothing where neither knows the other's history.
std::optional<StreamRange> own_writes(const NodeInfo& other, const NodeInfo& master) {
    if (master.replid2 == other.replid && master.second_offset >= 0) return StreamRange{other.replid, master.second_offset, other.master_offset};
    const bool is_of_its_line = other.replid2 == master.replid || other.replid2 == master.replid2;
    if (other.second_offset >= 0 && is_of_its_line) return StreamRange{other.replid, other.second_offset, other.master_offset};
    return taken_since_start(other);
}

class Unite final : public RedisStep {
  public:
    explicit Unite(ActingPointer acting) : RedisStep(acting->cluster, kUniteSpec), acting_(std::move(acting)) {}

    std::string describe() const override {
        return "tell every Sentinel who is master, keep what a second master took and make it a replica, turn replicas that follow another";
    }
    std::string condition() const override { return "only while they are divided"; }

    Result<CheckOutcome> check(engine::StepContext& step) override {
        return node_of(step.facts, kNewMaster) ? CheckOutcome::kReady : CheckOutcome::kNotDue;
    }

    Status apply(engine::StepContext& step) override {
        const RedisNode& master = *node_of(step.facts, kNewMaster);
        const env::Context budget = clock().within(kUniteBudget, step.context);
        std::vector<std::string> left;
        std::optional<MonoTime> united_since;
        AETERNA_ASSIGN(const bool is_done, poll(cluster_->env(), budget, kUniteInterval, [&]() -> Result<bool> {
            AETERNA_ASSIGN(left, one_round(master, step, budget));
            if (!left.empty()) united_since.reset();
            else if (!united_since) united_since = clock().now();
            return united_since && clock().now() - *united_since >= kSettled;
        }));
        if (is_done) return {};
        return make_error(ErrorCode::kAwaitingApproval, fmt::format("not all agree that '{}' is master: {}", master.name, join(left, "; ")),
                          "Mend that, then resume this execution.");
    }

    Status verify(engine::StepContext&) override { return {}; }

  private:
    // Who does not agree yet, before and after what is done about it.
    Result<std::vector<std::string>> one_round(const RedisNode& master, engine::StepContext& step, const env::Context& context) {
        AETERNA_ASSIGN(const Role role, cluster_->role(master, context));
        if (!role.is_master()) return make_error(ErrorCode::kUnavailable, "'" + master.name + "' is master no longer");
        const Division now = look_at_division(*cluster_, context);
        if (!now.obstacle.empty()) return std::vector{now.obstacle};
        if (now.master != &master) {
            return make_error(ErrorCode::kGuardRefused, "the servers have changed their minds: now '" + now.master->name + "' should be master",
                              "Begin anew.");
        }
        std::vector<std::string> left = now.lines;
        const auto add = [&](std::vector<std::string> more) { left.insert(left.end(), more.begin(), more.end()); };
        if (!now.is_named) {
            add(teach_all(*cluster_, master, step.facts, context));
            return left;
        }
        if (!now.untold.empty()) add(teach_some(*cluster_, now.untold, master, step.facts, context));
        for (const RedisNode* other : now.others) {
            const Status turned = bring_under(*other, master, step, cluster_->env().clock.within(kForOne, context));
            if (!turned) left.push_back(other->name + ": " + one_line(turned.error().to_string()));
        }
        if (!now.astray.empty()) add(turn_replicas(*cluster_, master, "", Turn::kAstray, context));
        return left;
    }

    // The pause stays where its writes cannot be kept, and ends by itself.
    Status bring_under(const RedisNode& other, const RedisNode& master, engine::StepContext& step, const env::Context& context) {
        AETERNA_TRY(pause_writes(*cluster_, other, context));
        AETERNA_ASSIGN(const NodeInfo own, cluster_->info(other, context));
        AETERNA_ASSIGN(const NodeInfo masters, cluster_->info(master, context));
        if (!own.is_master) return {};
        AETERNA_ASSIGN(const Salvaged kept, keep(other, own, masters, step, context));
        step.facts[kSalvaged] = to_json(kept);
        step.progress("kept of '" + other.name + "': " + kept.summary);
        return demote(*cluster_, other, master, step.facts, context);
    }

    // As commands, or else, with all that it has, by the files of its AOF: while its writes are paused all of them are in there.
    Result<Salvaged> keep(const RedisNode& other, const NodeInfo& own, const NodeInfo& masters, const engine::StepContext& step,
                          const env::Context& context) {
        const std::string directory = acting_->salvage_directory(step.context.run_id);
        const auto range = own_writes(own, masters);
        if (range) {
            auto kept = salvage_stream(node_target(settings(), other), *range, directory, cluster_->env(), context);
            if (kept) return kept;
        }
        if (own.is_aof_enabled && own.is_aof_write_ok && acting_->hands->has_files_of(other)) {
            AETERNA_ASSIGN(Salvaged kept, keep_files(other, directory, cluster_->env(), context));
            if (kept.files > 0) return kept;
        }
        return make_error(ErrorCode::kUnavailable, "what it took by itself cannot be kept: no other server knows its history, and no AOF of it "
                                                   "is within reach");
    }

    ActingPointer acting_;
};

}  // namespace

StepPointer make_unite(ActingPointer acting) { return std::make_unique<Unite>(std::move(acting)); }

}  // namespace aeterna::redis
