#include "postgres/restore/restore.h"

#include <fmt/format.h>

#include "postgres/client/wal.h"
#include "postgres/restore/plan.h"
#include "repository/pipeline/live_set.h"

namespace aeterna::postgres {
namespace {

constexpr std::size_t kMostConfBytes = 1 << 20;
constexpr const char* kAutoConf = "postgresql.auto.conf";
constexpr const char* kControl = "global/pg_control";

class PostgresRestorer final : public engine::Restorer {
  public:
    Result<engine::RestorePlan> plan(repository::Repository& repository, const engine::RestoreOrder& order,
                                     const env::Context& context) override {
        engine::RestorePlan plan;
        AETERNA_ASSIGN(const auto backups, repository.catalog().all(context));
        AETERNA_ASSIGN(plan.backup, choose_backup(backups, order.to, order.series));
        AETERNA_ASSIGN(const BaseBackupDetails details, read_details(plan.backup.details));
        AETERNA_ASSIGN(const auto places,
                       place_tablespaces(details.tablespaces, tablespace_words(order, details), order.into));
        AETERNA_TRY(check_targets(repository, plan.backup, order.into, places));
        repository::EntryReader reader(repository, context);
        AETERNA_ASSIGN(const bool is_whole, repository::has_everything(reader, plan.backup));
        if (!is_whole) {
            return make_error(ErrorCode::kCorrupt,
                              fmt::format("the repository has lost a part of backup '{}'", plan.backup.id),
                              "Restore another one (--to); 'aeterna-dr repo check' says which are whole.");
        }
        const std::uint64_t free = repository.ports().tree.free_bytes(order.into).value_or(0);
        if (free > 0 && free < plan.backup.bytes && places.empty() && !has_marker(repository, order.into)) {
            return make_error(ErrorCode::kNoSpace,
                              fmt::format("'{}' needs {} bytes and has {}", order.into, plan.backup.bytes, free),
                              "Name a directory on a larger file system.");
        }
        describe(plan, details, order, places, free);
        return plan;
    }

    Result<repository::RestoreResult> restore(repository::Repository& repository, const engine::RestoreOrder& order,
                                              const engine::RestorePlan& plan, const env::Context& context) override {
        AETERNA_ASSIGN(const BaseBackupDetails details, read_details(plan.backup.details));
        repository::RestoreRequest request;
        request.backup = plan.backup;
        request.into = order.into;
        request.workers = order.workers;
        request.progress = order.progress;
        AETERNA_ASSIGN(request.elsewhere,
                       place_tablespaces(details.tablespaces, tablespace_words(order, details), order.into));
        // A backup of a standby says that it is one.
        request.omitted = {"standby.signal", "recovery.signal", "postmaster.pid", "postmaster.opts"};
        const auto read = [&](const char* path, std::size_t limit) {
            return repository::read_small_file(repository, plan.backup, path, limit, context);
        };
        const auto add_missing = [&](const char* path, const std::string& content) -> Status {
            const auto there = read(path, kMostConfBytes);
            if (!there && there.error().code == ErrorCode::kNotFound) request.last.push_back({path, content, 0600});
            else if (!there && there.error().code != ErrorCode::kUsage) return there.error();
            return {};
        };
        AETERNA_TRY(add_missing("postgresql.conf", minimal_conf()));
        AETERNA_TRY(add_missing("pg_hba.conf", minimal_hba()));
        // Only named where the old configuration names one; the server does not start without it.
        AETERNA_TRY(add_missing("pg_ident.conf", "# Written by aeterna-dr's restore.\n"));
        const auto conf = read("postgresql.conf", kMostConfBytes);
        auto old = read(kAutoConf, kMostConfBytes);
        if (!old && old.error().code != ErrorCode::kNotFound) return old.error();
        request.last.push_back({kAutoConf, restored_auto_conf(old ? *old : "", conf ? *conf : "", order.into), 0600});
        // Without its control file no server starts: it comes last, so that a restore that was cut off is no data
        // directory.
        AETERNA_ASSIGN(std::string control, read(kControl, 1 << 16));
        request.last.push_back({kControl, std::move(control), 0600});
        return repository::restore_tree(repository, request, context);
    }

  private:
    static std::vector<std::string> words(const engine::RestoreOrder& order, const char* name) {
        const auto found = order.options.find(name);
        return found == order.options.end() ? std::vector<std::string>() : found->second;
    }

    static std::vector<std::string> tablespace_words(const engine::RestoreOrder& order,
                                                     const BaseBackupDetails& details) {
        std::vector<std::string> all;
        if (!order.tablespaces_under.empty()) {
            for (const Tablespace& one : details.tablespaces) {
                all.push_back(fmt::format("{0}={1}/{0}", one.oid, order.tablespaces_under));
            }
        }
        const auto given = words(order, "tablespace");
        all.insert(all.end(), given.begin(), given.end());
        return all;
    }

    static bool has_marker(repository::Repository& repository, const std::string& into) {
        return repository.ports().files.exists(into + "/" + std::string(repository::kRestoreMarker));
    }

    static Status check_empty(repository::Repository& repository, const std::string& place, const std::string& hint) {
        const auto entries = repository.ports().tree.entries(place);
        if (!entries) return entries.error().code == ErrorCode::kNotFound ? Status() : Status(entries.error());
        if (entries->empty()) return {};
        return make_error(ErrorCode::kGuardRefused, fmt::format("'{}' is not empty", place), hint);
    }

    // One that an interrupted restore of the same backup left may be gone on with.
    static Status check_targets(repository::Repository& repository, const repository::Backup& backup,
                                const std::string& into, const std::map<std::string, std::string>& places) {
        const auto marker = repository.ports().files.read(into + "/" + std::string(repository::kRestoreMarker));
        if (marker && *marker == backup.id) return {};
        AETERNA_TRY(check_empty(repository, into, "Name a new or empty directory (--into)."));
        for (const auto& [path, place] : places) {
            const std::string oid = path.substr(path.find('/') + 1);
            AETERNA_TRY(check_empty(repository, place,
                                    fmt::format("Name a new or empty directory for it: --tablespace {}=DIR.", oid)));
        }
        return {};
    }

    static void describe(engine::RestorePlan& plan, const BaseBackupDetails& details, const engine::RestoreOrder& order,
                         const std::map<std::string, std::string>& places, std::uint64_t free) {
        const repository::Backup& backup = plan.backup;
        plan.lines = {
            fmt::format("backup {} of '{}', taken from '{}' (PostgreSQL {}), ended {}", backup.id, backup.name,
                        backup.node, backup.server_version, format_time(backup.finished_at)),
            fmt::format("{} files, {} bytes into '{}' ({} bytes free)", backup.files, backup.bytes, order.into, free),
            fmt::format("replays the backup's own WAL from {} to {} on timeline {}", format_lsn(details.from),
                        format_lsn(details.to), details.timeline),
            "what was committed after the backup ended is not in it"};
        Json tablespaces = Json::object();
        for (const auto& [path, place] : places) {
            const std::string oid = path.substr(path.find('/') + 1);
            plan.lines.push_back(fmt::format("tablespace {} into '{}'", oid, place));
            tablespaces[oid] = place;
        }
        if (details.damaged_pages > 0) {
            plan.lines.push_back(
                fmt::format("{} warnings about damaged pages came with this backup", details.damaged_pages));
        }
        plan.document = Json{{"backup", backup.id},
                             {"name", backup.name},
                             {"node", backup.node},
                             {"server_version", backup.server_version},
                             {"into", order.into},
                             {"bytes", backup.bytes},
                             {"files", backup.files},
                             {"free_bytes", free},
                             {"tablespaces", tablespaces},
                             {"system_identifier", details.system_identifier},
                             {"timeline", details.timeline},
                             {"start_lsn", format_lsn(details.from)},
                             {"stop_lsn", format_lsn(details.to)},
                             {"recovery_point", format_time(backup.finished_at)},
                             {"damaged_pages", details.damaged_pages}};
    }
};

}  // namespace

std::unique_ptr<engine::Restorer> make_restorer() { return std::make_unique<PostgresRestorer>(); }

std::vector<engine::CommandOption> restore_options() {
    return {{"tablespace", "OID=DIR", "Put a tablespace there instead of where it was", {}, true}};
}

}  // namespace aeterna::postgres
