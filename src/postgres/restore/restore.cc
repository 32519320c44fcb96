#include "postgres/restore/restore.h"

#include <fmt/format.h>

#include "base/strings.h"
#include "postgres/client/control_file.h"
#include "postgres/client/wal.h"
#include "postgres/restore/host_check.h"
#include "postgres/restore/old_state.h"
#include "postgres/restore/own_wal.h"
#include "postgres/restore/plan.h"
#include "postgres/restore/recovery_point.h"
#include "postgres/restore/recovery_windows.h"

namespace aeterna::postgres {
namespace {

constexpr const char* kStarter = "for";
constexpr const char* kStarters[] = {"people", "patroni-bootstrap", "patroni-replica"};

class PostgresRestorer final : public engine::Restorer {
  public:
    explicit PostgresRestorer(const env::Env& env) : env_(env) {}

    Result<std::vector<engine::RecoveryWindow>> recovery_windows(repository::Repository& repository,
                                                                 const env::Context& context) override {
        return find_recovery_windows(repository, context);
    }

    Result<engine::RestorePlan> plan(repository::Repository& repository, const engine::RestoreOrder& order,
                                     const env::Context& context) override {
        engine::RestorePlan plan;
        RecoveryOrder wanted{{}, order.series, {}, order.cluster};
        AETERNA_ASSIGN(wanted.target, parse_recovery_target(order.to));
        AETERNA_ASSIGN(wanted.timeline, parse_target_timeline(order.timeline, wanted.target));
        AETERNA_TRY(refuse_future(wanted.target, repository.ports().clock.wall_now()));
        AETERNA_ASSIGN(RecoveryPoint point, choose_recovery_point(repository, wanted, context));
        plan.backup = point.backup;
        if (point.replay) {
            const RecoveryStop& stop = point.replay->stop;
            plan.replay = engine::RestorePlan::Replay{point.replay->from, stop.last, stop.end, point.replay->timeline,
                                                      point.replay->timeline_before, point.replay->whole_from};
        }
        const BaseBackupDetails& details = point.details;
        const bool takes_from_old = order.into.empty() || is_delta(order.options) || !delta_from(order.options, repository.ports().files).empty();
        if (starter_of(order) != Starter::kPatroniReplica) AETERNA_TRY(check_new_tablespaces(repository, point, takes_from_old, context));
        for (std::string& line : missing_on_host(details.host, look_at_host(details.host, plan.backup.server_version, env_, context))) {
            point.notes.push_back(std::move(line));
        }
        // Without a directory nothing is placed: check_restore says what becomes of tablespaces in place.
        if (order.into.empty()) {
            describe(plan, point, order, {}, {});
            return plan;
        }
        AETERNA_ASSIGN(const auto places,
                       place_tablespaces(details.tablespaces, tablespace_words(order, details), order.into));
        AETERNA_ASSIGN(const bool is_overwritten, overwrites_old_state(repository, order, details.system_identifier));
        AETERNA_TRY(check_targets(repository, plan, order.into, is_overwritten, places));
        std::uint64_t old_bytes = 0;
        if (is_overwritten) {
            AETERNA_ASSIGN(old_bytes, bytes_of_files(repository.ports().tree, order.into));
        }
        const std::optional<std::uint64_t> free = free_bytes(repository.ports().tree, order.into, places);
        const std::uint64_t needed =
            plan.backup.bytes - std::min(plan.backup.bytes, old_bytes) + (plan.replay ? wal_bytes_at_once(*plan.replay) : 0);
        if (free && *free < needed && !has_marker(repository, order.into)) {
            return make_error(ErrorCode::kNoSpace,
                              fmt::format("'{}' needs {} bytes and has {}", order.into, needed, *free),
                              "Name a directory on a larger file system.");
        }
        describe(plan, point, order, places, free);
        if (is_overwritten) {
            plan.approval = fmt::format("overwrite the data directory '{}'", order.into);
            plan.lines.push_back(
                fmt::format("what '{}' holds now is overwritten: {} bytes, of which only what differs is fetched",
                            order.into, old_bytes));
        }
        return plan;
    }

    Result<repository::RestoreResult> restore(repository::Repository& repository, const engine::RestoreOrder& order,
                                              const engine::RestorePlan& plan, const env::Context& context) override {
        AETERNA_ASSIGN(const BaseBackupDetails details, read_details(plan.backup.details));
        // A person may have thought about it for long: a server may run there by now.
        AETERNA_TRY(overwrites_old_state(repository, order, details.system_identifier));
        repository::RestoreRequest request;
        request.backup = plan.backup;
        request.into = order.into;
        request.workers = order.workers;
        request.progress = order.progress;
        request.replaces = is_delta(order.options);
        request.delta_from = delta_from(order.options, repository.ports().files);
        AETERNA_ASSIGN(request.elsewhere,
                       place_tablespaces(details.tablespaces, tablespace_words(order, details), order.into));
        request.purpose = purpose(plan, request.elsewhere);
        // A backup of a standby says that it is one.
        request.omitted = {kStandbySignal, kRecoverySignal, kServerPidFile, "postmaster.opts"};
        const auto read = [&](const char* path, std::size_t limit) {
            return repository::read_small_file(repository, plan.backup, path, limit, context);
        };
        for (const MinimalFile& file : minimal_files()) {
            const auto there = read(file.name, kMostConfBytes);
            if (!there && there.error().code == ErrorCode::kNotFound) {
                request.last.push_back({file.name, file.content, 0600});
            } else if (!there && there.error().code != ErrorCode::kUsage) {
                return there.error();
            }
        }
        const auto conf = read(kConf, kMostConfBytes);
        auto old = read(kAutoConf, kMostConfBytes);
        if (!old && old.error().code != ErrorCode::kNotFound) return old.error();
        AETERNA_ASSIGN(std::string control, read(kControlPath, kMostControlBytes));
        AETERNA_ASSIGN(const ControlFile parsed, parse_control_file(control));
        std::optional<Recovery> recovery;
        const Starter starter = starter_of(order);
        // A Patroni that was started again takes a whole data directory for a server that has crashed, and leads with what its WAL leads
        // to, without our recovery settings. A replica's it can use. Where the directory brings no WAL, nobody starts it but by them.
        const bool is_bootstrap = starter == Starter::kPatroniBootstrap;
        if (is_bootstrap) request.may_go_on = order.ask_starter;
        const bool brings_no_wal = is_bootstrap && plan.replay && plan.replay->whole_from != 0;
        if (brings_no_wal) request.omitted.insert("pg_wal/");
        if (plan.replay && starter != Starter::kPatroniReplica) {
            recovery = Recovery{order.archive_command, plan.replay->timeline, brings_no_wal ? plan.replay->whole_from : plan.replay->from,
                                plan.replay->to, plan.replay->last};
            request.last.push_back({kRecoverySignal, "", 0600});
            // Whoever starts it without these settings must not get a server that ends somewhere before.
            if (plan.replay->timeline_before != 0) {
                AETERNA_ASSIGN(control, demand_replay_to(std::move(control), plan.replay->last, plan.replay->timeline_before));
            }
        }
        request.last.push_back({kAutoConf, restored_auto_conf(old ? *old : "", conf ? *conf : "", order.into, parsed, starter, recovery), 0600});
        // Without its control file no server starts: it comes last, so that a restore that was cut off is no data
        // directory.
        request.last.push_back({kControlPath, std::move(control), 0600});
        return repository::restore_tree(repository, request, context);
    }

  private:
    // Of all that it is written to. How much goes into each tablespace a backup does not say: enough in all may still be too
    // little in one.
    // Nothing when no file system says it.
    static std::optional<std::uint64_t> free_bytes(env::FileTree& tree, const std::string& into,
                                                   const std::map<std::string, std::string>& places) {
        std::map<std::uint64_t, std::uint64_t> free;  // by file system
        const auto add = [&](const std::string& path) {
            if (const auto room = tree.room(path)) free[room->file_system] = room->free_bytes;
        };
        add(into);
        for (const auto& [path, place] : places) add(place);
        if (free.empty()) return std::nullopt;
        std::uint64_t sum = 0;
        for (const auto& [file_system, bytes] : free) sum += bytes;
        return sum;
    }

    // What is replayed lies in pg_wal until a restartpoint removes it; by default PostgreSQL makes one before there is a GiB
    // (max_wal_size).
    static std::uint64_t wal_bytes_at_once(const engine::RestorePlan::Replay& replay) {
        return std::min(replay.bytes(), std::uint64_t{1} << 30);
    }

    static std::vector<std::string> tablespace_words(const engine::RestoreOrder& order,
                                                     const BaseBackupDetails& details) {
        std::vector<std::string> all;
        if (!order.tablespaces_under.empty()) {
            for (const Tablespace& one : details.tablespaces) {
                all.push_back(fmt::format("{0}={1}/{0}", one.oid, order.tablespaces_under));
            }
        }
        const auto given = engine::option_words(order.options, "tablespace");
        all.insert(all.end(), given.begin(), given.end());
        return all;
    }

    static Starter starter_of(const engine::RestoreOrder& order) {
        const std::string given = engine::option_word(order.options, kStarter);
        if (given.empty() || given == kStarters[0]) return Starter::kPeople;
        return given == kStarters[1] ? Starter::kPatroniBootstrap : Starter::kPatroniReplica;
    }

    // Replayed, CREATE TABLESPACE takes the directory that it took then, and what comes behind it is written over what lies
    // there by now: where the server that it was taken from lives on this machine, over its tables.
    static Status check_new_tablespaces(repository::Repository& repository, const RecoveryPoint& point, bool takes_from_old,
                                        const env::Context& context) {
        std::vector<std::string> directories;
        if (point.replay) directories = point.replay->stop.tablespaces;
        if (!point.has_seen_own_wal) {
            AETERNA_ASSIGN(const StartingPoint start, read_starting_point(repository, point.backup, context));
            const auto own = tablespaces_in_own_wal(repository, point.backup, start, context);
            if (own) directories.insert(directories.end(), own->begin(), own->end());
            // What is damaged cannot be restored either, and then nothing is replayed; but a delta, or one in place, may have it from the
            // old directory.
            else if (own.error().code != ErrorCode::kCorrupt || takes_from_old) return own.error();
        }
        for (const std::string& directory : directories) {
            if (!directory.empty() && repository::check_target_empty(repository.ports().tree, directory, "")) continue;
            return make_error(ErrorCode::kGuardRefused,
                              fmt::format("the WAL on the way makes a tablespace in '{}', which is in use on this machine: what is replayed would be "
                                          "written over it", one_line(directory)),
                              "Name a point behind a backup that was begun since, a point before it, or restore on another machine.");
        }
        return {};
    }

    static bool has_marker(repository::Repository& repository, const std::string& into) {
        return repository.ports().files.exists(into + "/" + repository::kRestoreMarker);
    }

    // What an interrupted restore says of itself: one to another point, or with other places, begins anew.
    static std::string purpose(const engine::RestorePlan& plan, const std::map<std::string, std::string>& places) {
        std::string text = plan.replay ? fmt::format("{} to {}", plan.backup.id, format_lsn(plan.replay->to)) : plan.backup.id;
        for (const auto& [path, place] : places) text += fmt::format(", {} in '{}'", path, place);
        return text;
    }

    // One that an interrupted restore to the same point left may be gone on with.
    static Status check_targets(repository::Repository& repository, const engine::RestorePlan& plan,
                                const std::string& into, bool is_overwritten,
                                const std::map<std::string, std::string>& places) {
        const auto marker = repository.ports().files.read(into + "/" + repository::kRestoreMarker);
        if (marker && repository::is_marker_of(*marker, purpose(plan, places))) return {};
        // The newest state may be another one by now.
        std::string hint = "Name a new or empty directory (--into).";
        if (marker) {
            hint = fmt::format("It holds an interrupted restore of {}: go on with it by that position (--to lsn:) or backup, or name another "
                               "directory (--into).", one_line(*marker));
        }
        env::FileTree& tree = repository.ports().tree;
        if (!is_overwritten) AETERNA_TRY(repository::check_target_empty(tree, into, hint));
        for (const auto& [path, place] : places) {
            const std::string oid = path.substr(path.find('/') + 1);
            AETERNA_TRY(repository::check_target_empty(tree, place,
                                    fmt::format("Name a new or empty directory for it: --tablespace {}=DIR.", oid)));
        }
        return {};
    }

    static Json replay_json(const RecoveryPoint& point) {
        if (!point.replay) return nullptr;
        const RecoveryStop& stop = point.replay->stop;
        const auto time = [](const std::optional<WallTime>& value) { return value ? Json(format_time(*value)) : Json(nullptr); };
        return Json{{"timeline", point.replay->timeline},
                    {"from", format_lsn(point.details.from)},
                    {"to", format_lsn(stop.end)},
                    {"bytes", stop.end - point.details.from},
                    {"commits", stop.commits},
                    {"last_commit", time(stop.last_commit)},
                    {"next_commit", time(stop.next_commit)}};
    }

    static std::string said(const std::optional<WallTime>& time) { return time ? format_time(*time) : "not known"; }

    static void describe(engine::RestorePlan& plan, const RecoveryPoint& point, const engine::RestoreOrder& order,
                         const std::map<std::string, std::string>& places, std::optional<std::uint64_t> free) {
        const repository::Backup& backup = plan.backup;
        const BaseBackupDetails& details = point.details;
        plan.lines = {fmt::format("backup {} of '{}', taken from '{}' (PostgreSQL {}), ended {}", backup.id,
                                  backup.name, backup.node, backup.server_version, format_time(backup.finished_at)),
                      order.into.empty() ? fmt::format("{} files, {} bytes", backup.files, backup.bytes)
                                         : fmt::format("{} files, {} bytes into '{}' ({} bytes free)", backup.files,
                                                       backup.bytes, order.into, free ? std::to_string(*free) : "unknown")};
        if (starter_of(order) == Starter::kPatroniReplica) {
            plan.lines.push_back(fmt::format("Patroni's replica follows from {} on: the primary, or its restore_command, must have the "
                                             "WAL from there", format_lsn(details.to)));
        } else if (point.replay) {
            const RecoveryStop& stop = point.replay->stop;
            plan.lines.push_back(fmt::format("its server, once started, replays {} bytes of WAL from {} to {}, timeline {}, {} commits, "
                                             "and promotes", stop.end - details.from, format_lsn(details.from), format_lsn(stop.end),
                                             point.replay->timeline, stop.commits));
            plan.lines.push_back(fmt::format("the last commit in it: {}; the next one, not in it: {}", said(stop.last_commit),
                                             stop.next_commit ? format_time(*stop.next_commit) : "none is known"));
        } else {
            plan.lines.push_back(fmt::format("replays the backup's own WAL from {} to {} on timeline {}", format_lsn(details.from),
                                             format_lsn(details.to), details.timeline));
        }
        for (const std::string& note : point.notes) plan.lines.push_back(note);
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
                             {"free_bytes", free ? Json(*free) : Json(nullptr)},
                             {"tablespaces", tablespaces},
                             {"system_identifier", details.system_identifier},
                             {"timeline", details.timeline},
                             {"start_lsn", format_lsn(details.from)},
                             {"stop_lsn", format_lsn(details.to)},
                             {"recovery_point", format_time(backup.finished_at)},
                             {"replay", replay_json(point)},
                             {"notes", point.notes},
                             {"damaged_pages", details.damaged_pages}};
    }

    const env::Env& env_;
};

}  // namespace

std::unique_ptr<engine::Restorer> make_restorer(const env::Env& env) { return std::make_unique<PostgresRestorer>(env); }

std::vector<engine::CommandOption> restore_options() {
    return {
        {"tablespace", "OID=DIR", "Put a tablespace there instead of where it was", {}, true},
        {kDeltaOption,
         "",
         "The target may be an old data directory of the cluster: it is overwritten, and only what differs is fetched",
         {},
         false,
         true},
        {kDeltaFromOption,
         "DIR",
         "An old data directory of the cluster: what it has is copied from there, and only the rest is fetched",
         {},
         false},
        {kStarter,
         "WHO",
         "Who starts it: people (the default), patroni-bootstrap (bootstrap.method) or patroni-replica "
         "(create_replica_methods)",
         {std::begin(kStarters), std::end(kStarters)},
         false}};
}

}  // namespace aeterna::postgres
