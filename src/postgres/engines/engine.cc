// The engine of postgres/engines/driver.h as the commands see it.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/strings.h"
#include "postgres/capture/base_backup.h"
#include "postgres/capture/logical_backup.h"
#include "postgres/engines/driver.h"
#include "postgres/engines/restored_directory.h"

namespace aeterna::postgres {
namespace {

// How long the WAL of a backup may take into the archive once the backup has ended: archive_command is another process.
constexpr Duration kArchivePatience = std::chrono::seconds(60);
// Of the engine: so long before the deadline no new question is asked.
constexpr Duration kTimeForAnswer = std::chrono::seconds(5);
constexpr Duration kArchiveLook = std::chrono::seconds(1);
constexpr const char* kBackupType = "type";

Status refuse_option(const std::string& engine, const std::string& option) {
    return make_error(ErrorCode::kUsage, fmt::format("--{} is not of backups by {}", option, engine), "Leave it out.");
}

class DrivenEngine final : public engine::BackupEngine {
  public:
    DrivenEngine(const EngineSettings& settings, const env::Env& env, std::unique_ptr<env::FileTree> tree)
        : settings_(settings),
          env_(env),
          tree_(std::move(tree)),
          driver_(make_engine_driver(settings_, env)),
          program_(settings_, env) {}

    const std::string& name() const override { return settings_.name; }

    bool takes(const engine::OptionValues& options) const override {
        return engine::option_words(options, "logical").empty();
    }

    Result<std::vector<repository::Backup>> backups(const env::Context& context) override {
        AETERNA_ASSIGN(const auto found, driver_->read_backups(context));
        std::vector<repository::Backup> entries;
        for (const EngineBackup& backup : found)
            entries.push_back(catalog_entry(backup, settings_.name, settings_.series));
        return entries;
    }

    Result<std::vector<engine::RecoveryWindow>> recovery_windows(const env::Context& context) override {
        AETERNA_ASSIGN(const EngineCatalog catalog, driver_->read_catalog(context));
        return engine_windows(catalog, settings_.series);
    }

    Result<repository::BackupResult> back_up(const engine::BackupOrder& order, const env::Context& context) override {
        AETERNA_TRY(read_logical_options(order.options));
        for (const engine::CommandOption& option : base_backup_options()) {
            if (!engine::option_words(order.options, option.name).empty())
                AETERNA_TRY(refuse_option(settings_.name, option.name));
        }
        if (!order.node.empty()) AETERNA_TRY(refuse_option(settings_.name, "node"));
        AETERNA_TRY(driver_->check_options(order));
        AETERNA_ASSIGN(const auto before, driver_->read_backups(context));
        Status pushed = driver_->push(order, context);
        // What an aborted backup has left is taken up by the next one, or removed.
        if (!pushed) pushed.error().effect = Effect::kPartial;
        AETERNA_TRY(std::move(pushed));
        AETERNA_ASSIGN(const EngineBackup taken, find_new(before, context));
        repository::BackupResult result;
        result.backup = catalog_entry(taken, settings_.name, settings_.series);
        if (taken.has_damaged_pages.value_or(false)) {
            result.problems.push_back("page checksums did not match: the server's data is damaged");
            result.problem_count = 1;
        }
        return result;
    }

    Result<engine::RestorePlan> plan(const engine::RestoreOrder& order, const env::Context& context) override {
        AETERNA_TRY(check_restore_options(order));
        AETERNA_ASSIGN(const EngineCatalog catalog, driver_->read_catalog(context));
        AETERNA_ASSIGN(const RecoveryTarget target, read_target(catalog, order.to));
        AETERNA_ASSIGN(const auto timeline, parse_target_timeline(order.timeline, target));
        AETERNA_ASSIGN(point_, choose_engine_point(catalog, target, timeline));
        AETERNA_ASSIGN(const auto more, driver_->examine(point_.backup, catalog, context));
        point_.notes.insert(point_.notes.end(), more.begin(), more.end());
        AETERNA_TRY(check_empty_target(*tree_, order.into));
        const std::uint64_t free = tree_->room(order.into).value_or(env::Room()).free_bytes;
        if (free > 0 && free < point_.backup.bytes) {
            return make_error(ErrorCode::kNoSpace,
                              fmt::format("'{}' needs {} bytes and has {}", order.into, point_.backup.bytes, free),
                              "Name a directory on a larger file system.");
        }
        return describe(order, free);
    }

    Result<repository::RestoreResult> restore(const engine::RestoreOrder& order, const engine::RestorePlan& plan,
                                              const env::Context& context) override {
        AETERNA_ASSIGN(const auto user, program_.user());
        AETERNA_TRY(make_target(*tree_, env_.files, order.into, user));
        Status done = driver_->fetch(point_.backup, order, context);
        if (done)
            done =
                let_stand_alone(env_.files, order.into, user, {driver_->restore_command(order.into), point_.settings});
        if (!done) {
            done.error().effect = Effect::kPartial;
            done.error().hint += fmt::format("{}What is in '{}' is no whole server: remove it.",
                                             done.error().hint.empty() ? "" : " ", order.into);
            return done.error();
        }
        AETERNA_TRY(tree_->sync_file_system(order.into));
        repository::RestoreResult result;
        result.bytes = plan.backup.bytes;
        return result;
    }

    Result<engine::EngineCheck> check(const env::Context& context) override {
        AETERNA_ASSIGN(const EngineCatalog catalog, driver_->read_catalog(context));
        engine::EngineCheck check;
        check.backups = catalog.backups.size();
        AETERNA_TRY(driver_->verify(catalog, check, context));
        check_archive(catalog, check.problems, check.hit_backups);
        std::sort(check.hit_backups.begin(), check.hit_backups.end());
        check.hit_backups.erase(std::unique(check.hit_backups.begin(), check.hit_backups.end()),
                                check.hit_backups.end());
        return check;
    }

  private:
    // The exit code alone proves nothing.
    Result<EngineBackup> find_new(const std::vector<EngineBackup>& before, const env::Context& context) {
        std::set<std::string> known;
        for (const EngineBackup& backup : before) known.insert(backup.id);
        const MonoTime last_look = std::min(env_.clock.now() + kArchivePatience, context.deadline - kTimeForAnswer);
        while (true) {
            AETERNA_ASSIGN(const EngineCatalog after, driver_->read_catalog(context));
            const auto taken = std::find_if(after.backups.rbegin(), after.backups.rend(),
                                            [&](const EngineBackup& backup) { return !known.contains(backup.id); });
            if (taken == after.backups.rend()) {
                return make_error(ErrorCode::kUnknownOutcome,
                                  fmt::format("{} says that it has done it, and lists no new backup", settings_.name),
                                  "Look into its own log, then take another one.", Effect::kUnknown);
            }
            const std::string missing = missing_wal(*taken, after.wal);
            if (missing.empty()) return *taken;
            if (env_.clock.now() >= last_look) {
                return make_error(
                    ErrorCode::kServer,
                    fmt::format("backup '{}' was taken, and cannot be restored: its WAL '{}' is not archived",
                                taken->id, missing),
                    "Look at the server's archive_command (pg_stat_archiver); 'aeterna-dr repo check' says when it is "
                    "whole.",
                    Effect::kPartial);
            }
            (void)env_.clock.sleep_for(kArchiveLook, context.stop);
        }
    }

    Status check_restore_options(const engine::RestoreOrder& order) const {
        for (const char* option : {"for", "delta", "delta-from"}) {
            if (!engine::option_words(order.options, option).empty()) AETERNA_TRY(refuse_option(settings_.name, option));
        }
        if (!order.series.empty() && order.series != settings_.series) {
            return make_error(ErrorCode::kNotFound,
                              fmt::format("{} has no backups of '{}' here", settings_.name, one_line(order.series)),
                              fmt::format("Its backups are of '{}': leave --name out.", settings_.series));
        }
        return driver_->check_options(order);
    }

    // An engine's ids look like nothing else of --to.
    Result<RecoveryTarget> read_target(const EngineCatalog& catalog, const std::string& word) const {
        const bool is_id = std::any_of(catalog.backups.begin(), catalog.backups.end(), [&](const EngineBackup& backup) {
            return !word.empty() && backup.id.starts_with(word);
        });
        if (is_id) {
            RecoveryTarget target;
            target.kind = RecoveryTarget::Kind::kBackup;
            target.word = word;
            return target;
        }
        AETERNA_ASSIGN(RecoveryTarget target, parse_recovery_target(word));
        AETERNA_TRY(refuse_future(target, env_.clock.wall_now()));
        return target;
    }

    [[nodiscard]] engine::RestorePlan describe(const engine::RestoreOrder& order, std::uint64_t free) const {
        const EngineBackup& backup = point_.backup;
        engine::RestorePlan plan;
        plan.backup = catalog_entry(backup, settings_.name, settings_.series);
        plan.lines = {fmt::format("{} backup {} of '{}' by {}, ended {}", backup.type, backup.id, settings_.series,
                                  settings_.name, format_time(backup.finished_at)),
                      fmt::format("{} bytes into '{}' ({} bytes free)", backup.bytes, order.into, free),
                      fmt::format("its server, once started, asks {} for WAL from {} on, timeline {}, and promotes",
                                  settings_.name, format_lsn(backup.from), point_.timeline)};
        if (point_.stretch)
            plan.lines.push_back(
                fmt::format("WAL is archived without a hole up to {}", format_lsn(point_.stretch->to)));
        plan.lines.insert(plan.lines.end(), point_.notes.begin(), point_.notes.end());
        plan.document = Json{{"engine", settings_.name},
                             {"backup", backup.id},
                             {"name", settings_.series},
                             {"server_version", backup.server_version},
                             {"into", order.into},
                             {"bytes", backup.bytes},
                             {"free_bytes", free},
                             {"system_identifier", backup.system_identifier},
                             {"timeline", point_.timeline},
                             {"start_lsn", format_lsn(backup.from)},
                             {"stop_lsn", format_lsn(backup.to)},
                             {"recovery_settings", point_.settings},
                             {"archived_to", point_.stretch ? Json(format_lsn(point_.stretch->to)) : Json(nullptr)},
                             {"notes", point_.notes}};
        return plan;
    }

    const EngineSettings settings_;
    const env::Env& env_;
    std::unique_ptr<env::FileTree> tree_;
    std::unique_ptr<EngineDriver> driver_;
    EngineProgram program_;
    EnginePoint point_;  // of the last plan()
};

}  // namespace

std::unique_ptr<EngineDriver> make_engine_driver(const EngineSettings& settings, const env::Env& env) {
    switch (settings.kind) {
        case EngineSettings::Kind::kPgBackRest: return make_pgbackrest_driver(settings, env);
        case EngineSettings::Kind::kWalG: return make_wal_g_driver(settings, env);
        default: return nullptr;
    }
}

std::unique_ptr<engine::BackupEngine> make_backup_engine(const EngineSettings& settings, const env::Env& env,
                                                         std::unique_ptr<env::FileTree> tree) {
    if (settings.is_native()) return nullptr;
    return std::make_unique<DrivenEngine>(settings, env, std::move(tree));
}

std::vector<engine::CommandOption> engine_backup_options() {
    return {{kBackupType,
             "full|diff|incr",
             "Of a backup by the stack's own engine (pgbackrest, wal-g); its own rule otherwise",
             {"full", "diff", "incr"}}};
}

Status refuse_engine_options(const engine::OptionValues& values) {
    if (engine::option_words(values, kBackupType).empty()) return {};
    return make_error(ErrorCode::kUsage, "--type is of backups by pgbackrest or wal-g",
                      "Leave it out: every backup here is a whole one that stores what changed.");
}

}  // namespace aeterna::postgres
