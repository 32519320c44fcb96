#include "postgres/restore/recovery_point.h"

#include <fmt/format.h>

#include <algorithm>

#include "postgres/capture/node_clocks.h"
#include "postgres/capture/wal_audit.h"
#include "postgres/restore/plan.h"
#include "postgres/restore/starting_point.h"
#include "repository/pipeline/live_set.h"

namespace aeterna::postgres {
namespace {

using Kind = RecoveryTarget::Kind;
using Verdict = StopFinder::Verdict;

// Commits that are under way together come in another order than their times, by milliseconds.
constexpr Duration kNotedStep = std::chrono::seconds(1);

class PointSearch {
  public:
    PointSearch(repository::Repository& repository, const RecoveryOrder& order, const env::Context& context)
        : repository_(repository),
          order_(order),
          target_(order.target),
          context_(context),
          reader_(repository, context) {}

    Result<RecoveryPoint> run() {
        AETERNA_ASSIGN(const auto all, repository_.catalog().all(context_));
        if (target_.kind == Kind::kBackup) {
            AETERNA_ASSIGN(const repository::Backup backup, choose_backup(all, target_.word, order_.series));
            AETERNA_ASSIGN(const bool is_whole, repository::has_everything(reader_, backup));
            return is_whole ? as_it_is(backup) : Result<RecoveryPoint>(lost_a_part(backup));
        }
        AETERNA_ASSIGN(const auto clusters, by_cluster(all));
        has_several_ = clusters.size() > 1;
        for (const Cluster& cluster : clusters) {
            AETERNA_ASSIGN(const auto point, search(cluster));
            if (point) return noting(cluster, clusters.front(), *point);
            // A time before it began may be of the one before it. Once it had, it never is, whatever has become of its backups
            // and its WAL: the old one may have lived on.
            if (!begins_later(cluster)) break;
        }
        return not_found();
    }

  private:
    // Of one system identifier, newest first.
    struct Cluster {
        std::string system_identifier;
        std::vector<repository::Backup> backups;
    };

    // The one of the newest backup first.
    Result<std::vector<Cluster>> by_cluster(const std::vector<repository::Backup>& all) const {
        AETERNA_ASSIGN(const auto backups, backups_of(all, order_.series));
        std::vector<Cluster> clusters;
        for (const repository::Backup& backup : backups) {
            AETERNA_ASSIGN(const BaseBackupDetails details, read_details(backup.details));
            const std::string& system = details.system_identifier;
            if (!order_.system_identifier.empty() && order_.system_identifier != system) continue;
            const auto known = std::find_if(clusters.begin(), clusters.end(), [&](const Cluster& one) { return one.system_identifier == system; });
            (known == clusters.end() ? clusters.emplace_back(Cluster{system, {}}) : *known).backups.push_back(backup);
        }
        if (!clusters.empty()) return clusters;
        return make_error(ErrorCode::kNotFound, fmt::format("there is no base backup of the cluster '{}'", one_line(order_.system_identifier)),
                          "'aeterna-dr recovery-points' shows which clusters there are.");
    }

    static RecoveryPoint noting(const Cluster& cluster, const Cluster& newest, RecoveryPoint point) {
        if (&cluster == &newest) return point;
        point.notes.push_back(fmt::format("it is of the cluster {} (PostgreSQL {}); newer backups are of another one, {} (PostgreSQL {})",
                                          cluster.system_identifier, point.backup.server_version, newest.system_identifier,
                                          newest.backups.front().server_version));
        return point;
    }

    // Nothing: no backup of this cluster leads to the target.
    Result<std::optional<RecoveryPoint>> search(const Cluster& cluster) {
        limit_ = 0;
        const auto has_wal = find_path(cluster.system_identifier);
        if (!has_wal && has_several_ && begins_later(cluster)) return std::optional<RecoveryPoint>();
        if (!has_wal) return has_wal.error();
        for (const repository::Backup& backup : cluster.backups) {
            AETERNA_ASSIGN(const auto point, try_backup(backup, *has_wal));
            if (point) return point;
        }
        return std::optional<RecoveryPoint>();
    }

    // Than the time that is wanted, for all that its backups say.
    [[nodiscard]] bool begins_later(const Cluster& cluster) const {
        if (target_.kind != Kind::kTime) return false;
        return std::all_of(cluster.backups.begin(), cluster.backups.end(), [&](const repository::Backup& backup) {
            const auto start = read_starting_point(repository_, backup, context_);
            return start && is_too_young(*start);
        });
    }

    Result<std::optional<RecoveryPoint>> try_backup(const repository::Backup& backup, bool has_wal) {
        AETERNA_ASSIGN(const bool may_do, may_begin_with(backup, has_wal));
        if (!may_do) return std::optional<RecoveryPoint>();
        // One small file first: all that a backup refers to takes long to look up, and most may be too young.
        const auto start = read_starting_point(repository_, backup, context_);
        if (start && is_too_young(*start)) return std::optional<RecoveryPoint>();
        AETERNA_ASSIGN(const bool is_whole, is_there(backup));
        if (!is_whole) return std::optional<RecoveryPoint>();
        if (!has_wal) {
            AETERNA_ASSIGN(RecoveryPoint point, as_it_is(backup, "the repository has no WAL of this cluster"));
            return std::optional(std::move(point));
        }
        if (!start) return start.error();
        return go_on_from(backup, *start);
    }

    Result<RecoveryPoint> as_it_is(const repository::Backup& backup, const std::string& why = "") {
        RecoveryPoint point{backup, {}, std::nullopt, false, notes_};
        AETERNA_ASSIGN(point.details, read_details(backup.details));
        if (!why.empty()) point.notes.push_back(why + ": what was committed after the backup ended is not in it");
        return point;
    }

    // Without any WAL of the cluster only the newest backup can be had.
    Result<bool> find_path(const std::string& system_identifier) {
        auto path = find_wal_path(repository_, system_identifier, order_.timeline, context_);
        const bool is_needed = target_.kind != Kind::kLatest || order_.timeline;
        if (!path && (is_needed || path.error().code != ErrorCode::kNotFound)) return path.error();
        if (!path) return false;
        path_ = std::move(*path);
        return true;
    }

    [[nodiscard]] bool is_too_young(const StartingPoint& start) const {
        return target_.kind == Kind::kTime && start.control.segment_bytes > 0 &&
               target_.time < start.control.checkpoint_at + kCheckpointSlack;
    }

    // By the catalog alone.
    Result<bool> may_begin_with(const repository::Backup& backup, bool has_wal) {
        AETERNA_ASSIGN(const BaseBackupDetails details, read_details(backup.details));
        if (has_wal && !path_.has(details.timeline, details.to)) {
            notes_.push_back(fmt::format("backup {} is left out: timeline {} at {} is not on the way to timeline {}",
                                         backup.id, details.timeline, format_lsn(details.to),
                                         path_.parts.back().timeline));
            return false;
        }
        return target_.kind != Kind::kLsn || target_.lsn >= details.to;
    }

    Result<bool> is_there(const repository::Backup& backup) {
        AETERNA_ASSIGN(const bool is_whole, repository::has_everything(reader_, backup));
        if (!is_whole)
            notes_.push_back(fmt::format("backup {} is left out: the repository has lost a part of it", backup.id));
        return is_whole;
    }

    // Nothing: an older backup has to be tried.
    Result<std::optional<RecoveryPoint>> go_on_from(const repository::Backup& backup, const StartingPoint& start) {
        AETERNA_ASSIGN(RecoveryPoint point, as_it_is(backup));
        if (start.control.segment_bytes == 0) {
            return make_error(ErrorCode::kUsage,
                              fmt::format("the control file of backup '{}' is of an unknown version", backup.id),
                              "--to BACKUP restores it as it is.");
        }
        StopFinder finder(target_, point.details.to);
        const Lsn from = start.wal_from;
        AETERNA_ASSIGN(const Lsn seen_to, look_through(point, start.control.segment_bytes, from, finder));
        const Lsn limit = std::exchange(limit_, point.details.to);
        const Verdict verdict = finder.finish(seen_to);
        if (verdict == Verdict::kFound) {
            const WalPath::Part* part = path_.part_ending_at(finder.stop().end);
            const WalPath::Part* before = path_.part_ending_at(finder.stop().last);
            if (!part || !before) return make_error(ErrorCode::kCorrupt, "the record to stop at is on no timeline");
            point.replay = Replay{part->timeline, before->timeline, from, 0, finder.stop()};
            point.has_seen_own_wal = has_seen_own_wal_;
            if (has_seen_own_wal_) {
                const Lsn begin = point.details.from - point.details.from % start.control.segment_bytes;
                AETERNA_ASSIGN(const Lsn seen, read_wal(repository_, path_, begin, [](std::string_view) { return false; }, context_));
                if (seen > begin) point.replay->whole_from = begin;
            }
            if (target_.kind == Kind::kLatest) AETERNA_TRY(note_hole(seen_to, point.notes));
            if (target_.kind == Kind::kTime) {
                for (std::string& line : clocks_that_are_off(point.details.clocks_ahead)) point.notes.push_back(std::move(line));
            }
            if (target_.kind == Kind::kTime && finder.stop().clock_back > kNotedStep) {
                point.notes.push_back(fmt::format("the servers' clocks went back by {} among these commits, so some times came twice: it stops "
                                                  "where '{}' is passed for the first time", format_duration(finder.stop().clock_back),
                                                  one_line(target_.word)));
            }
            return std::optional(std::move(point));
        }
        if (verdict == Verdict::kBefore) return std::optional<RecoveryPoint>();
        if (seen_to <= from) {
            const std::string gap = fmt::format("the repository does not have the WAL at {}, where backup {} ends",
                                                format_lsn(from), backup.id);
            if (target_.kind == Kind::kLatest) {
                point.notes.push_back(gap + ": what was committed after the backup ended is not in it");
                return std::optional(std::move(point));
            }
            notes_.push_back(gap);
            return std::optional<RecoveryPoint>();
        }
        if (verdict == Verdict::kAtBackup) return std::optional(std::move(point));
        const bool is_searched_for = target_.kind == Kind::kName || target_.kind == Kind::kXid;
        if (verdict == Verdict::kBehind && !is_searched_for) return behind(finder.passed(), seen_to, limit);
        return std::optional<RecoveryPoint>();
    }

    // The backup's own WAL too where the log has it whole: what was committed while it was taken may lie behind the
    // target. Gives where the WAL ends, `from` or less when the log does not have the backup's end.
    Result<Lsn> look_through(const RecoveryPoint& point, std::uint64_t segment_bytes, Lsn from, StopFinder& finder) {
        const BaseBackupDetails& details = point.details;
        has_seen_own_wal_ = true;
        const auto seen_to = feed(details.from, details.to, segment_bytes, finder);
        if (!seen_to && seen_to.error().code != ErrorCode::kCorrupt) return seen_to.error();
        if (seen_to && (*seen_to >= details.to || finder.has_enough())) return *seen_to;
        if (!seen_to && finder.passed().end >= details.to) return seen_to.error();
        // Its capture began while the backup was taken; who committed before that is not known. One who did behind it and
        // before the target shows that the target is later than all of them.
        finder = StopFinder(target_, details.to);
        has_seen_own_wal_ = false;
        AETERNA_ASSIGN(const Lsn end, feed(from, details.to, segment_bytes, finder));
        if (target_.kind != Kind::kTime || finder.passed().last_commit) return end;
        finder = StopFinder(target_, details.to);
        return from;
    }

    Result<Lsn> feed(Lsn from, Lsn consistent_at, std::uint64_t segment_bytes, StopFinder& finder) {
        WalRecordReader records(from, segment_bytes);
        const auto see = [&](const WalRecord& record) {
            const bool is_searched = limit_ == 0 || record.begin < limit_ || target_.kind == Kind::kTime;
            return is_searched && finder.see(record);
        };
        auto read = read_wal(
            repository_, path_, from, [&](std::string_view bytes) { return records.add(bytes, see); }, context_);
        if (read || read.error().code != ErrorCode::kCorrupt) return read;
        // Damage behind the target is no obstacle.
        const Lsn whole_to = finder.passed().end;
        if (finder.has_enough()) return whole_to;
        if (whole_to >= consistent_at)
            read.error().hint = fmt::format("What comes before it can be restored: --to lsn:{}.", format_lsn(whole_to));
        return read;
    }

    // The end of what can be replayed, and the log has more: it cannot be had from any backup before.
    Status note_hole(Lsn seen_to, std::vector<std::string>& notes) {
        AETERNA_ASSIGN(const auto later, later_wal(seen_to));
        if (later) notes.push_back(hole_text(seen_to, *later) + ": nothing behind that hole can be replayed");
        return {};
    }

    Result<std::optional<Lsn>> later_wal(Lsn seen_to) {
        AETERNA_ASSIGN(const CapturedWal captured, captured_wal(repository_, path_, context_));
        return next_captured(path_, captured, seen_to);
    }

    static std::string hole_text(Lsn from, Lsn to) {
        return fmt::format("the WAL from {} to {} is missing in the repository", format_lsn(from), format_lsn(to));
    }

    [[nodiscard]] Error behind(const RecoveryStop& passed, Lsn seen_to, Lsn limit) {
        if (const auto later = later_wal(seen_to); later && *later) {
            return make_error(ErrorCode::kNotFound,
                              fmt::format("{}: '{}' lies in or behind that hole", hole_text(seen_to, **later),
                                          one_line(target_.word)),
                              fmt::format("Restore what comes before it: --to lsn:{}.", format_lsn(passed.end)));
        }
        const std::string last =
            passed.last_commit ? fmt::format(", the last commit in it is of {}", format_time(*passed.last_commit)) : "";
        return make_error(
            ErrorCode::kNotFound,
            fmt::format("the WAL in the repository {} at {}{}: '{}' lies behind it", limit == 0 ? "ends" : "has a hole",
                        format_lsn(seen_to), last, one_line(target_.word)),
            fmt::format("Restore what there is: --to {}{}.", limit == 0 ? "latest" : "lsn:" + format_lsn(passed.end),
                        has_several_ ? " --cluster " + path_.system_identifier : ""));
    }

    [[nodiscard]] Error not_found() const {
        std::string text = fmt::format("no backup and WAL in the repository lead to '{}'", one_line(target_.word));
        for (const std::string& note : notes_) text += "; " + note;
        return make_error(ErrorCode::kNotFound, text,
                          "'aeterna-dr backups list' shows what there is; a restore begins with a backup "
                          "that ended before its target.");
    }

    repository::Repository& repository_;
    const RecoveryOrder& order_;
    const RecoveryTarget& target_;
    const env::Context& context_;
    repository::EntryReader reader_;
    WalPath path_;
    std::vector<std::string> notes_;
    bool has_several_ = false;
    bool has_seen_own_wal_ = false;  // of the backup that was looked at last
    Lsn limit_ = 0;  // where the next newer backup ends, from which everything was searched; 0 before the first
};

}  // namespace

Result<RecoveryPoint> choose_recovery_point(repository::Repository& repository, const RecoveryOrder& order,
                                            const env::Context& context) {
    return PointSearch(repository, order, context).run();
}

}  // namespace aeterna::postgres
