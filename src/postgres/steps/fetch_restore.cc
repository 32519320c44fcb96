// postgres.fetch_restore
// Does: restores the backup into the sandbox beside the data directory, taking from that one what it has, and lays the
// WAL ready. Needs: check_restore. Changes: the sandbox only; the cluster runs on. Undo: removes it. Unknown outcome:
// repeated, it goes on.
#include <fmt/format.h>

#include <algorithm>

#include "engine/restore_test/sandbox.h"
#include "postgres/capture/archive_get.h"
#include "postgres/capture/wal_logs.h"
#include "postgres/restore/old_state.h"
#include "postgres/restore/restore.h"
#include "postgres/restore_test/give_tree.h"
#include "postgres/restore_test/wal_shelf.h"
#include "postgres/steps/in_place.h"
#include "postgres/steps/live.h"

namespace aeterna::postgres {

constexpr engine::StepSpec kFetchRestoreSpec{"postgres.fetch_restore",
                                             "restore the backup beside the member's data directory",
                                             engine::Risk::kReversible, 6 * 24h, true};

namespace {

constexpr Duration kProgressEvery = 10s;
constexpr unsigned kWorkers = 2;

class FetchRestore final : public engine::Step {
  public:
    explicit FetchRestore(StepParts parts)
        : parts_(std::move(parts)), live_(parts_.settings, parts_.env, Live::Scope::kNodes) {}

    const engine::StepSpec& spec() const override { return kFetchRestoreSpec; }

    std::string describe() const override {
        return fmt::format(
            "restore backup {} beside the data directory of '{}', which runs on; only what differs is fetched",
            parts_.restore->backup, parts_.candidate);
    }

    Result<engine::CheckOutcome> check(engine::StepContext& step) override {
        return step.facts.contains("restore.fetched") ? engine::CheckOutcome::kAlreadyDone
                                                      : engine::CheckOutcome::kReady;
    }

    Status apply(engine::StepContext& step) override {
        AETERNA_ASSIGN(const InPlace place, in_place(step.facts));
        AETERNA_ASSIGN(const RestoreSource source, open_source(parts_, step.context));
        AETERNA_TRY(furnish(place));
        repository::RestoreResult restored;
        // Of a former life of this execution, which came to the WAL.
        if (!is_whole(place)) {
            AETERNA_ASSIGN(restored, restore(step, place, source));
        }
        const auto archive = make_archive(parts_.env, parts_.lent->files);
        AETERNA_TRY(fill_shelf(*archive, *source.repository, source.plan, place.scratch(), step.context));
        AETERNA_TRY(reserve_timelines(step, place, source));
        AETERNA_TRY(give_away(place, *source.repository));
        // The journal says "fetched" from now on, also after a power loss; the restore itself has not seen the WAL.
        AETERNA_TRY(source.repository->ports().tree.sync_file_system(place.sandbox));
        step.facts["restore.fetched"] = Json{{"bytes", restored.bytes}, {"kept_bytes", restored.kept_bytes}};
        step.progress(
            fmt::format("{} bytes restored, of which {} were there already", restored.bytes, restored.kept_bytes));
        return {};
    }

    Status verify(engine::StepContext&) override { return {}; }

    Status undo(engine::StepContext& step) override {
        AETERNA_ASSIGN(const InPlace place, in_place(step.facts));
        if (parts_.env.files.exists(place.kept)) {
            return make_error(ErrorCode::kGuardRefused, fmt::format("the old data still lies in '{}'", place.kept),
                              "Resume this execution: it takes the names back first.");
        }
        AETERNA_TRY(engine::end_inhabitants(place.sandbox, {"postgres"}, parts_.env));
        step.facts.erase("restore.fetched");
        return parts_.env.files.remove_tree(place.sandbox);
    }

  private:
    // The control file comes last, and the marker goes before.
    [[nodiscard]] bool is_whole(const InPlace& place) const {
        const std::string data = place.scratch().data() + "/";
        return parts_.env.files.exists(data + kControlPath) &&
               !parts_.env.files.exists(data + repository::kRestoreMarker);
    }

    // Its owner, and he alone, can look into it.
    Status furnish(const InPlace& place) const {
        AETERNA_ASSIGN(const env::Owner owner, parts_.env.files.owner(place.data));
        for (const std::string& directory : {place.sandbox, place.scratch().wal()}) {
            AETERNA_TRY(parts_.env.files.make_directories(directory, 0700));
            AETERNA_TRY(parts_.env.files.change_owner(directory, owner));
        }
        return {};
    }

    Result<repository::RestoreResult> restore(engine::StepContext& step, const InPlace& place,
                                              const RestoreSource& source) const {
        engine::RestoreOrder order;
        order.into = place.scratch().data();
        order.archive_command = shelf_command(place.scratch());
        order.workers = kWorkers;
        // The settings are Patroni's; those of the recovery go when it is over.
        order.options["for"] = {"patroni-bootstrap"};
        order.options[kDeltaFromOption] = {place.data};
        order.progress = [&, next = parts_.env.clock.now() +
                                    kProgressEvery](const repository::Progress& progress) mutable {
            if (parts_.env.clock.now() < next) return;
            next = parts_.env.clock.now() + kProgressEvery;
            step.progress(fmt::format("{} of {} bytes", progress.bytes, progress.expected_bytes));
        };
        return make_restorer(parts_.env)->restore(*source.repository, order, source.plan, step.context);
    }

    // The server takes the first number behind its target of which it finds no history. Those that the cluster has used
    // since then, captured or not, must not be given again to other WAL.
    Status reserve_timelines(engine::StepContext& step, const InPlace& place, const RestoreSource& source) {
        const World world = live_.look(step.context);
        std::int64_t newest = source.plan.replay->timeline;
        for (const NodeSettings& node : parts_.settings.nodes)
            newest = std::max(newest, world.timeline(node.name).value_or(0));
        AETERNA_ASSIGN(const auto logs, list_wal_logs(*source.repository, step.context));
        for (const WalLog& log : logs) {
            if (log.system_identifier == source.details.system_identifier)
                newest = std::max<std::int64_t>(newest, log.timeline);
        }
        AETERNA_ASSIGN(const auto in_wal, parts_.env.files.list(place.data + "/pg_wal"));
        for (const std::string& name : in_wal) {
            newest = std::max<std::int64_t>(newest, parse_history_file_name(name).value_or(0));
        }
        for (std::int64_t timeline = source.plan.replay->timeline + 1; timeline <= newest; ++timeline) {
            const std::string name = history_file_name(static_cast<Timeline>(timeline));
            AETERNA_TRY(parts_.env.files.write_durable(place.scratch().wal() + "/" + name,
                                                       "# Only that it exists: this number is taken.\n"));
        }
        return {};
    }

    Status give_away(const InPlace& place, repository::Repository& repository) const {
        AETERNA_ASSIGN(const env::Owner owner, parts_.env.files.owner(place.data));
        return give_tree(place.sandbox, owner, repository.ports().tree, parts_.env.files);
    }

    StepParts parts_;
    Live live_;
};

}  // namespace

std::unique_ptr<engine::Step> make_fetch_restore(StepParts parts) {
    return std::make_unique<FetchRestore>(std::move(parts));
}

}  // namespace aeterna::postgres
