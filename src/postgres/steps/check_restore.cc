// postgres.check_restore
// Does: looks whether the cluster can be put back on this machine, and chooses the places: nothing may be found out
// only when the cluster is down. Needs: etcd, the repository, the hosts of all members. Changes: nothing.
#include <fmt/format.h>

#include <algorithm>

#include "postgres/client/control_file.h"
#include "postgres/steps/assist.h"
#include "postgres/steps/in_place.h"

namespace aeterna::postgres {

constexpr engine::StepSpec kCheckRestoreSpec{"postgres.check_restore",
                                             "look whether the cluster can be put back here, and where",
                                             engine::Risk::kReadOnly, 120s, false};

namespace {

// Beside files and WAL: logs, the server's own temporary files, what a file system rounds up.
constexpr std::uint64_t kSpareBytes = 256ULL << 20;

Error refused(std::string what, std::string hint) {
    return make_error(ErrorCode::kGuardRefused, std::move(what), std::move(hint));
}

class CheckRestore final : public engine::Step {
  public:
    explicit CheckRestore(StepParts parts)
        : parts_(std::move(parts)), live_(parts_.settings, parts_.env, Live::Scope::kNodes) {}

    const engine::StepSpec& spec() const override { return kCheckRestoreSpec; }

    std::string describe() const override {
        return fmt::format("look whether '{}' can be put back to {} by backup {}", parts_.candidate,
                           format_lsn(parts_.restore->replay.to), parts_.restore->backup);
    }

    Result<engine::CheckOutcome> check(engine::StepContext& step) override {
        if (in_place(step.facts)) return engine::CheckOutcome::kAlreadyDone;
        AETERNA_TRY(check_hosts(step.context));
        AETERNA_TRY(check_cluster(step.context));
        AETERNA_ASSIGN(const RestoreSource source, open_source(parts_, step.context));
        AETERNA_ASSIGN(const InPlace place, choose_places(step.context));
        AETERNA_TRY(check_data(source, place));
        AETERNA_TRY(check_space(source, place));
        AETERNA_TRY(find_server_programs(source.plan.backup.server_version, "", parts_.env, step.context));
        put_in_place(step.facts, place);
        step.facts["restore.had_primary"] = had_primary_;
        return engine::CheckOutcome::kReady;
    }

    Status apply(engine::StepContext&) override { return {}; }
    Status verify(engine::StepContext&) override { return {}; }

  private:
    // A member that we cannot hold down comes back with more WAL than the restored one and wins the race for the leader
    // key.
    Status check_hosts(const env::Context& context) const {
        for (const NodeSettings& node : parts_.settings.nodes) {
            const auto executor = executor_of(parts_.settings, node.name, parts_.env);
            if (!executor)
                return refused(executor.error().to_string(),
                               "A restore in place needs a host with 'executor: local' for every member.");
            const config::Host* host = parts_.settings.host_of(node.name);
            for (const std::string& name : node.fence_group()) {
                if (host->can_hold(name)) continue;
                return refused(fmt::format("'{}' cannot be held down on host '{}'", name, host->name),
                               "Make its starter honour the markers, then say 'fence: marker' (docs/stack-file.md).");
            }
            if ((*executor)->is_watchdog_armed(context).value_or(false)) {
                return refused(
                    fmt::format("a hardware watchdog is armed on host '{}': it would reset the host", host->name),
                    "Switch Patroni's watchdog off for the time of the restore.");
            }
            AETERNA_TRY(check_markers(**executor, node, context));
        }
        return {};
    }

    static Status check_markers(hosts::Executor& executor, const NodeSettings& node, const env::Context& context) {
        AETERNA_ASSIGN(const auto markers, executor.fences(context));
        const std::vector<std::string> group = node.fence_group();
        for (const hosts::FenceMarker& marker : markers) {
            if (marker.holder == context.run_id || std::find(group.begin(), group.end(), marker.node) == group.end())
                continue;
            return refused(fmt::format("'{}' is fenced by {}: {}", marker.node, marker.holder, marker.reason),
                           "Lift that fence first.");
        }
        return {};
    }

    Status check_cluster(const env::Context& context) {
        const World world = live_.look(context);
        const DcsView* dcs = world.dcs();
        if (dcs == nullptr) return refused("etcd, which says who may lead, cannot be read", "Bring etcd back first.");
        if (world.config().paused)
            return refused("the cluster is paused: Patroni would not start the restored server",
                           "Run 'patronictl resume' first.");
        if (dcs->config.is_standby_cluster)
            return refused("it is a standby cluster: its data comes from elsewhere",
                           "Restore the cluster that it follows.");
        // Until a standby is made anew nobody can commit, and that is done only when a write has proved who the writer is.
        if (dcs->config.synchronous_mode_strict)
            return refused("synchronous_mode_strict is on: the restored member could not be proved by a write",
                           "Set it to false in Patroni's configuration for the time of the restore.");
        if (dcs->failover) return refused("a failover or switchover is under way", "Wait for its end.");
        if (parts_.candidate.empty()) {
            return refused("which member is to be restored is not known: none takes writes",
                           "Name it with --node; its host needs the space.");
        }
        had_primary_ = world.primary.has_value();
        if (!world.primary || *world.primary == parts_.candidate) return {};
        return refused(fmt::format("'{}' takes writes, not '{}'", *world.primary, parts_.candidate),
                       "Restore that one: its data, kept aside, is what the cluster has last.");
    }

    Result<InPlace> choose_places(const env::Context& context) const {
        AETERNA_ASSIGN(const auto executor, executor_of(parts_.settings, parts_.candidate, parts_.env));
        AETERNA_ASSIGN(const std::string data, executor->data_directory(parts_.candidate, context));
        const std::string parent = data.substr(0, data.rfind('/'));
        const std::string id = context.run_id.empty() ? "plan" : context.run_id;
        return InPlace{data, parent + "/" + id, data + ".before-" + id};
    }

    Status check_data(const RestoreSource& source, const InPlace& place) const {
        env::FileTree& tree = source.repository->ports().tree;
        AETERNA_ASSIGN(const env::NodeInfo data, tree.look(place.data));
        AETERNA_ASSIGN(const env::NodeInfo parent, tree.look(place.data.substr(0, place.data.rfind('/'))));
        if (data.type != env::NodeType::kDirectory || data.device != parent.device) {
            return refused(fmt::format("'{}' cannot be renamed: it is a link or a mount point", place.data),
                           "Put the data directory one level below the mount point.");
        }
        AETERNA_TRY(owner_of(place.data, parts_.env));
        AETERNA_TRY(check_socket_path(place.scratch()));
        if (!source.details.tablespaces.empty()) {
            return refused("the cluster has tablespaces, which are not restored in place yet",
                           "Restore it into a directory (--into, --tablespace) and let Patroni begin from there "
                           "(docs/patroni.md).");
        }
        const auto control = read_control_of(source.repository->ports().files, place.data, "");
        if (control && control->system_identifier != source.details.system_identifier) {
            return refused(fmt::format("'{}' is of the cluster {}, the backup of {}", place.data,
                                       control->system_identifier, source.details.system_identifier),
                           "Name the backups of this cluster (--name).");
        }
        return {};
    }

    // Old and new lie side by side, and the WAL to be replayed lies there twice.
    static Status check_space(const RestoreSource& source, const InPlace& place) {
        const engine::RestorePlan::Replay& replay = *source.plan.replay;
        const std::uint64_t needed = source.plan.backup.bytes + 2 * replay.bytes() + kSpareBytes;
        AETERNA_ASSIGN(const env::Room room, source.repository->ports().tree.room(place.data));
        if (room.free_bytes >= needed) return {};
        return make_error(
            ErrorCode::kGuardRefused,
            fmt::format("beside '{}' {} bytes are needed and {} are free: the old data stays until you drop it",
                        place.data, needed, room.free_bytes),
            "Make room on its file system.");
    }

    StepParts parts_;
    Live live_;
    bool had_primary_ = false;
};

}  // namespace

std::unique_ptr<engine::Step> make_check_restore(StepParts parts) {
    return std::make_unique<CheckRestore>(std::move(parts));
}

}  // namespace aeterna::postgres
