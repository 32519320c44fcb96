// redis.salvage: keeps what only the old master has, before it comes back as a replica and a copy
// of the new master replaces it: its AOF (or RDB) files whole, and, where they can be told apart,
// the writes beyond the fork.
//
// Needs: the fence (nothing writes the files), config_file in the stack file, the files on this
// machine; for telling the tail apart a replica that followed through the failover: it still has
// the last bytes of the shared history, and Sentinel does not look at who follows a replica.
// Changes: files below the state directory. No undo, idempotent. Files that exist and cannot be
// kept stop the rejoin and ask a person: the fence stays until then.
#include <fmt/core.h>

#include "base/strings.h"
#include "redis/steps/assist.h"
#include "redis/steps/server_files.h"
#include "redis/steps/support.h"
#include "redis/steps/tail.h"

namespace aeterna::redis {
namespace {

using engine::CheckOutcome;

constexpr Duration kReplicaWait = 5s;
constexpr Duration kSalvageInterval = 50ms;
constexpr std::int64_t kSharedBytes = 256 << 10;
constexpr std::size_t kOwnBytes = 8 << 20;
constexpr engine::StepSpec kSalvageSpec{"redis.salvage", "keep what only the old master has",
                                 engine::Risk::kReversible, 300s, false};

class Salvage final : public RedisStep {
  public:
    explicit Salvage(ActingPointer acting)
        : RedisStep(acting->cluster, kSalvageSpec), acting_(std::move(acting)) {}

    std::string describe() const override {
        return "copy the old master's AOF or RDB below " + acting_->salvage_directory("EXECUTION") +
               ", and list the writes that only it had";
    }

    std::string condition() const override {
        return engine::assist_condition(acting_->assist, "the old master is fenced and its files can be reached");
    }

    Result<CheckOutcome> check(engine::StepContext& step) override {
        const RedisNode* old = node_of(step.facts, kOldMaster);
        if (find_member(step.facts, kSalvaged)) return CheckOutcome::kAlreadyDone;
        if (!old || !is_fenced(step.facts, old->name)) return CheckOutcome::kNotDue;
        if (acting_->hands->has_files_of(*old)) return CheckOutcome::kReady;
        step.progress("what only '" + old->name +
                      "' has is not kept: its config_file is not in the stack file");
        // Without its files that is all there is to tell of.
        if (const Json* taken = find_member(step.facts, kTakenSince)) {
            Json salvaged = *taken;
            salvaged["summary"] = "since its start: " + find_string(salvaged, "summary").value_or("");
            step.progress("salvaged: " + *find_string(salvaged, "summary"));
            step.facts[kSalvaged] = std::move(salvaged);
        }
        return CheckOutcome::kNotDue;
    }

    Status apply(engine::StepContext& step) override {
        const RedisNode* old = node_of(step.facts, kOldMaster);
        const auto salvaged = salvage(*old, step);
        if (!salvaged)
            return make_error(ErrorCode::kAwaitingApproval,
                              "what only '" + old->name +
                                  "' has could not be kept: " + salvaged.error().to_string(),
                              "Make room or repair the path, then resume this execution; the fence "
                              "stays until then.");
        step.facts[kSalvaged] = with_what_it_took(to_json(*salvaged), step.facts);
        step.progress("salvaged: " + *find_string(step.facts[kSalvaged], "summary"));
        return {};
    }

    Status verify(engine::StepContext&) override { return {}; }

  private:
    static Json with_what_it_took(Json salvaged, const Json& facts) {
        const Json* taken = find_member(facts, kTakenSince);
        if (!taken) return salvaged;
        salvaged["summary"] = find_string(salvaged, "summary").value_or("") + "; since its start: " +
                              find_string(*taken, "summary").value_or("");
        for (const char* count : {"files", "bytes", "lost_writes"}) {
            const std::int64_t more = find_integer(*taken, count).value_or(0);
            if (more > 0) salvaged[count] = find_integer(salvaged, count).value_or(0) + more;
        }
        return salvaged;
    }

    Result<Salvaged> salvage(const RedisNode& old, engine::StepContext& step) {
        env::Files& files = cluster_->env().files;
        AETERNA_ASSIGN(const auto paths, persistent_files_of(old, files));
        AETERNA_ASSIGN(Salvaged salvaged, keep_files(old, acting_->salvage_directory(step.context.run_id), cluster_->env(), step.context));
        if (paths.empty()) return salvaged;
        if (const auto tail = find_own_tail(paths, step)) {
            salvaged.lost_writes = tail->size();
            salvaged.summary += tail->empty()
                                    ? "; nothing in them that the new master has not"
                                    : "; " + describe_writes(*tail) + ", which only it had";
            if (!tail->empty()) {
                AETERNA_ASSIGN(const std::uint64_t bytes,
                               keep_writes(*tail, old.name, salvaged.directory, files));
                salvaged.bytes += bytes;
                ++salvaged.files;
            }
        }
        return salvaged;
    }

    // The last INCR file holds the last writes as commands.
    std::optional<std::vector<Command>> find_own_tail(const std::vector<std::string>& paths,
                                                      engine::StepContext& step) {
        std::string last;
        for (const std::string& path : paths)
            if (path.ends_with(".incr.aof") &&
                std::pair(path.size(), path) > std::pair(last.size(), last))
                last = path;
        if (last.empty()) return std::nullopt;
        const auto text = cluster_->env().files.read_tail(last, kOwnBytes);
        const auto shared = shared_history(step);
        if (!text || !shared) return std::nullopt;
        return find_tail(parse_aof_end(*text), *shared);
    }

    // The end of what old and new master share, from the backlog of a replica that lived through
    // the failover.
    std::optional<std::vector<Command>> shared_history(engine::StepContext& step) {
        const RedisNode* master = node_of(step.facts, kNewMaster);
        const auto old_replid = find_string(step.facts, kOldReplid);
        const auto leader =
            master ? cluster_->info(*master, step.context) : Result<NodeInfo>(no_master());
        if (!leader || !old_replid || leader->replid2 != *old_replid || leader->second_offset <= 1)
            return std::nullopt;
        std::optional<std::vector<Command>> found;
        const env::Context soon = clock().within(kReplicaWait, step.context);
        // The replica is turned to the new master a moment after the promotion.
        const auto is_found = poll(cluster_->env(), soon, kSalvageInterval, [&]() -> Result<bool> {
            for (const RedisNode& node : settings().nodes) {
                const auto info = node.name == master->name ? Result<NodeInfo>(no_master())
                                                            : cluster_->info(node, soon);
                if (!info || info->is_master || info->replid != leader->replid || !info->is_link_up)
                    continue;
                found = read_shared(node, *info, leader->second_offset, soon);
                if (found) return true;
            }
            return false;
        });
        if (!is_found) return std::nullopt;
        return found;
    }

    std::optional<std::vector<Command>> read_shared(const RedisNode& replica, const NodeInfo& info,
                                                    std::int64_t fork,
                                                    const env::Context& context) {
        const std::int64_t first = std::max(info.backlog_first, fork - kSharedBytes);
        if (info.backlog_first <= 0 || first >= fork) return std::nullopt;
        const StreamRange range{info.replid, first, fork - 1};
        const auto bytes =
            read_stream(node_target(settings(), replica), range, cluster_->env(), context);
        if (!bytes) return std::nullopt;
        return parse_aof_end(*bytes);
    }

    static Error no_master() {
        return make_error(ErrorCode::kNotFound, "the new master is not known");
    }

    ActingPointer acting_;
};

}  // namespace

StepPointer make_salvage(ActingPointer acting) {
    return std::make_unique<Salvage>(std::move(acting));
}

}  // namespace aeterna::redis
