// SCAN returns every key that exists during the whole scan at least once (redis.io/commands/scan), so a quiet drill's
// keys are all read; duplicates are removed here.
#include "redis/workload/redis_drill_store.h"

#include <algorithm>

#include "redis/client/cluster.h"
#include "redis/faults/fault_target.h"
#include "redis/workload/writer.h"

namespace aeterna::redis {
namespace {

// Glob characters of the id are taken literally.
std::string match_pattern(const std::string& drill_id) {
    std::string pattern;
    for (const char c : drill_key_prefix(drill_id)) {
        if (std::string_view("*?[]\\^").find(c) != std::string_view::npos) pattern += '\\';
        pattern += c;
    }
    return pattern + "*";
}

class RedisDrillStore final : public engine::DrillStore {
  public:
    RedisDrillStore(SettingsPointer settings, const env::Env& env)
        : settings_(std::move(settings)), env_(env), cluster_(settings_, env) {}

    const std::string& name() const override { return name_; }
    const config::Objectives& objectives() const override { return settings_->objectives; }
    bool has_primary() const override { return true; }
    std::string server() const override { return "real"; }

    Status prepare(const std::string& drill_id, const env::Context& context) override {
        return clean_up(drill_id, context);
    }

    Result<std::vector<engine::WritePath>> paths(const std::string& drill_id) override {
        std::vector<engine::WritePath> paths;
        paths.push_back({"client", engine::PathKind::kClient, make_client_writer(settings_, drill_id, env_)});
        for (const RedisNode& node : settings_->nodes)
            paths.push_back({node.name, engine::PathKind::kDirect,
                             make_direct_writer(settings_, node, drill_id, env_)});
        return paths;
    }

    Result<std::vector<std::uint64_t>> read_back(const std::string& drill_id,
                                                 const env::Context& context) override {
        AETERNA_ASSIGN(const RedisNode* master, cluster_.majority_master_node(context));
        std::vector<std::uint64_t> ids;
        AETERNA_TRY(scan(*master, drill_id, context, [&](const std::vector<std::string>& keys) -> Status {
            for (const std::string& key : keys)
                if (const auto id = drill_id_of_key(key, drill_id)) ids.push_back(*id);
            return {};
        }));
        std::sort(ids.begin(), ids.end());
        ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
        return ids;
    }

    Result<engine::FaultTarget> fault_target(engine::FaultKind, const env::Context& context) override {
        return find_fault_target(cluster_, context);
    }

    Status clean_up(const std::string& drill_id, const env::Context& context) override {
        AETERNA_ASSIGN(const RedisNode* master, cluster_.majority_master_node(context));
        return scan(*master, drill_id, context, [&](const std::vector<std::string>& keys) -> Status {
            if (keys.empty()) return {};
            Command unlink{"UNLINK"};
            unlink.insert(unlink.end(), keys.begin(), keys.end());
            AETERNA_TRY(cluster_.order(*master, unlink, context));
            return {};
        });
    }

  private:
    Status check_master(const RedisNode& node, const env::Context& context) {
        AETERNA_ASSIGN(const Role role, cluster_.role(node, context));
        if (role.is_master()) return {};
        return make_error(ErrorCode::kUnavailable,
                          "the Sentinels name '" + node.name + "' as master, but it is a replica");
    }

    // Calls `take` with each batch of keys. Reads only from a node that says it is master, before and after: one that
    // was demoted meanwhile may have given the keys of a history that is thrown away.
    template <class Take>
    Status scan(const RedisNode& master, const std::string& drill_id, const env::Context& context, Take take) {
        AETERNA_TRY(check_master(master, context));
        std::string cursor = "0";
        do {
            AETERNA_ASSIGN(const Reply reply, cluster_.ask(master, {"SCAN", cursor, "MATCH", match_pattern(drill_id),
                                                                    "COUNT", "1000"}, context));
            if (!reply.is_list() || reply.elements.size() != 2 || !reply.elements[1].is_list())
                return make_error(ErrorCode::kProtocol, "the reply to SCAN has an unknown form");
            cursor = reply.elements[0].text;
            std::vector<std::string> keys;
            for (const Reply& key : reply.elements[1].elements) keys.push_back(key.text);
            AETERNA_TRY(take(keys));
        } while (cursor != "0" && env_.clock.now() < context.deadline && !context.stop.stop_requested());
        if (cursor == "0") return check_master(master, context);
        return make_error(ErrorCode::kDeadline, "the scan of '" + master.name + "' did not end in time");
    }

    std::string name_ = "redis";
    SettingsPointer settings_;
    const env::Env& env_;
    Cluster cluster_;
};

}  // namespace

std::unique_ptr<engine::DrillStore> make_redis_drill_store(SettingsPointer settings, const env::Env& env) {
    return std::make_unique<RedisDrillStore>(std::move(settings), env);
}

}  // namespace aeterna::redis
