// redis.unite: makes all agree with redis.choose_master: first the Sentinels, which then send applications there; then masters beside it,
// whose own writes are kept (salvage/EXECUTION) before they become replicas; then replicas that follow another one. What a second
// master took and cannot be read is not destroyed by our hand: a person is asked. Needs: that the chosen one is still master. Idempotent.
#include <fmt/core.h>

#include <algorithm>

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
constexpr const char* kKept = "redis.kept";  // fact: by directory, as kSalvaged
constexpr engine::StepSpec kUniteSpec{"redis.unite", "let all servers agree who is master", engine::Risk::kDisruptive, 90s, false};

// What `other` has taken beside `master`: from where the two part on. Nothing where neither knows the other's history: what `other`
// had when it was started, or before its first replica came, is in no stream of it then.
std::optional<StreamRange> own_writes(const NodeInfo& other, const NodeInfo& master) {
    const auto from = [&](std::int64_t first) { return StreamRange{other.replid, first, other.master_offset}; };
    const bool is_other_second = other.second_offset >= 0, is_master_second = master.second_offset >= 0;
    if (is_master_second && master.replid2 == other.replid) return from(master.second_offset);
    if (is_other_second && other.replid2 == master.replid) return from(other.second_offset);
    // Both have left a third one, and the one that left it later has more of it.
    if (is_other_second && is_master_second && other.replid2 == master.replid2)
        return from(std::min(other.second_offset, master.second_offset));
    return std::nullopt;
}

class Unite final : public RedisStep {
  public:
    explicit Unite(ActingPointer acting) : RedisStep(acting->cluster, kUniteSpec), acting_(std::move(acting)) {}

    std::string describe() const override {
        return "tell every Sentinel who is master, keep what a second master took and make it a replica, turn replicas that follow another";
    }
    std::string condition() const override { return "only while they are divided"; }

    // Durable before anybody is made to forget: what the Sentinels are set to, and who is to be told.
    Result<CheckOutcome> check(engine::StepContext& step) override {
        if (!node_of(step.facts, kNewMaster)) return CheckOutcome::kNotDue;
        remember_sentinels(*cluster_, step.facts, step.context);
        note_due(step.facts, look_at_division(*cluster_, step.context).untold);
        return CheckOutcome::kReady;
    }

    Status apply(engine::StepContext& step) override {
        const RedisNode& master = *node_of(step.facts, kNewMaster);
        const env::Context budget = clock().within(kUniteBudget, step.context);
        std::vector<std::string> left;
        std::optional<MonoTime> united_since, silent_since;
        AETERNA_ASSIGN(const bool is_done, poll(cluster_->env(), budget, kUniteInterval, [&]() -> Result<bool> {
            const auto role = cluster_->role(master, budget);
            if (role && !role->is_master()) return make_error(ErrorCode::kUnavailable, "'" + master.name + "' is master no longer");
            if (role) silent_since.reset();
            else if (!silent_since) silent_since = clock().now();
            // Its failover waits for nobody.
            const bool is_gone = !role && (role.error().code == ErrorCode::kConnectionRefused || clock().now() - *silent_since >= kSettled);
            if (is_gone) return make_error(ErrorCode::kUnavailable, "'" + master.name + "' is gone: " + one_line(role.error().to_string()));
            if (role) {
                AETERNA_ASSIGN(left, one_round(master, step, budget));
            }
            if (!role || !left.empty()) united_since.reset();
            else if (!united_since) united_since = clock().now();
            return united_since && clock().now() - *united_since >= kSettled;
        }));
        if (is_done) return {};
        return make_error(ErrorCode::kAwaitingApproval, fmt::format("not all agree that '{}' is master: {}", master.name, join(left, "; ")),
                          "Mend that, then resume this execution.");
    }

    // Also after an apply() whose outcome nobody knows.
    Status verify(engine::StepContext& step) override {
        const RedisNode* master = node_of(step.facts, kNewMaster);
        const env::Context budget = clock().within(kForOne, step.context);
        std::string left;
        AETERNA_ASSIGN(const bool is_united, poll(cluster_->env(), budget, kUniteInterval, [&]() -> Result<bool> {
            const Division now = look_at_division(*cluster_, budget);
            left = now.obstacle.empty() ? join(now.lines, "; ") : now.obstacle;
            return left.empty() && now.master == master;
        }));
        if (is_united) return {};
        return make_error(ErrorCode::kUnavailable, "they are divided still: " + (left.empty() ? "another one is master" : left));
    }

  private:
    // Who does not agree yet, before and after what is done about it.
    Result<std::vector<std::string>> one_round(const RedisNode& master, engine::StepContext& step, const env::Context& context) {
        const Division now = look_at_division(*cluster_, context);
        if (!now.obstacle.empty()) return std::vector{now.obstacle};
        if (now.master != &master) {
            return make_error(ErrorCode::kGuardRefused, "the servers have changed their minds: now '" + now.master->name + "' should be master",
                              "Begin anew.");
        }
        std::vector<std::string> left = now.lines;
        const auto add = [&](std::vector<std::string> more) { left.insert(left.end(), more.begin(), more.end()); };
        if (!now.is_named) {
            note_due(step.facts, now.untold);
            add(teach_all(*cluster_, master, step.facts, context));
            return left;
        }
        add(teach_some(*cluster_, now.untold, master, step.facts, context));
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
        note_kept(kept, step);
        step.progress("kept of '" + other.name + "': " + kept.summary);
        return demote(*cluster_, other, master, step.facts, context);
    }

    // As commands where the two have a history in common; or else, with all that it has, by the files of its AOF. In a place of
    // its own for each history: whoever comes back with more, has another one.
    Result<Salvaged> keep(const RedisNode& other, const NodeInfo& own, const NodeInfo& masters, const engine::StepContext& step,
                          const env::Context& context) {
        const std::string directory =
            fmt::format("{}/{}-{}", acting_->salvage_directory(step.context.run_id), other.name, own.replid.substr(0, 8));
        std::string why = "no other server knows its history";
        if (const auto range = own_writes(own, masters)) {
            auto kept = salvage_stream(node_target(settings(), other), *range, directory, cluster_->env(), context);
            if (kept) return kept;
            why = one_line(kept.error().message);
        }
        if (own.keys == 0) return Salvaged{directory, 0, 0, "it has no keys", 0};
        if (!acting_->hands->has_files_of(other)) why += ", and its files are not within reach";
        else if (auto kept = keep_aof(other, own, directory, cluster_->env(), context)) return kept;
        else why += ", and " + one_line(kept.error().message);
        return make_error(ErrorCode::kUnavailable, "what it took by itself cannot be kept: " + why);
    }

    // The report wants one account of all.
    void note_kept(const Salvaged& kept, engine::StepContext& step) const {
        Json& all = step.facts[kKept];
        all[kept.directory] = to_json(kept);
        Salvaged sum{kept.directory, 0, 0, "", 0};
        if (all.size() > 1) sum.directory = acting_->salvage_directory(step.context.run_id);
        for (const Json& one : all) {
            sum.files += static_cast<std::size_t>(find_integer(one, "files").value_or(0));
            sum.bytes += static_cast<std::uint64_t>(find_integer(one, "bytes").value_or(0));
            sum.summary += (sum.summary.empty() ? "" : "; ") + find_string(one, "summary").value_or("");
            const auto lost = find_integer(one, "lost_writes");
            if (!lost) sum.lost_writes.reset();
            else if (sum.lost_writes) *sum.lost_writes += static_cast<std::size_t>(*lost);
        }
        step.facts[kSalvaged] = to_json(sum);
    }

    ActingPointer acting_;
};

}  // namespace

StepPointer make_unite(ActingPointer acting) { return std::make_unique<Unite>(std::move(acting)); }

}  // namespace aeterna::redis
