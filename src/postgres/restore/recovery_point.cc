#include "postgres/restore/recovery_point.h"

#include <fmt/format.h>

#include <algorithm>

#include "postgres/capture/wal_audit.h"
#include "postgres/restore/plan.h"
#include "postgres/restore/starting_point.h"
#include "repository/pipeline/live_set.h"

namespace aeterna::postgres {
namespace {

using Kind = RecoveryTarget::Kind;
using Verdict = StopFinder::Verdict;

// A checkpoint's time is taken, in whole seconds, a little before the position where replay begins: what was committed
// before that position is not younger than this much more. Both by the server's clock.
constexpr Duration kCheckpointSlack = std::chrono::seconds(2);

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
        AETERNA_ASSIGN(const auto backups, backups_of(all, order_.series));
        AETERNA_ASSIGN(const bool has_wal, find_path(backups.front()));
        for (const repository::Backup& backup : backups) {
            AETERNA_ASSIGN(const bool may_do, may_begin_with(backup, has_wal));
            if (!may_do) continue;
            // One small file first: all that a backup refers to takes long to look up, and most may be too young.
            const auto start = read_starting_point(repository_, backup, context_);
            if (start && is_too_young(*start)) continue;
            AETERNA_ASSIGN(const bool is_whole, is_there(backup));
            if (!is_whole) continue;
            if (!has_wal) return as_it_is(backup, "the repository has no WAL of this cluster");
            if (!start) return start.error();
            AETERNA_ASSIGN(const auto point, go_on_from(backup, *start));
            if (point) return *point;
        }
        return not_found();
    }

  private:
    Result<RecoveryPoint> as_it_is(const repository::Backup& backup, const std::string& why = "") {
        RecoveryPoint point{backup, {}, std::nullopt, notes_};
        AETERNA_ASSIGN(point.details, read_details(backup.details));
        if (!why.empty()) point.notes.push_back(why + ": what was committed after the backup ended is not in it");
        return point;
    }

    // Without any WAL of the cluster only the newest backup can be had.
    Result<bool> find_path(const repository::Backup& newest) {
        AETERNA_ASSIGN(const BaseBackupDetails details, read_details(newest.details));
        auto path = find_wal_path(repository_, details.system_identifier, order_.timeline, context_);
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
        if (has_wal && details.system_identifier != path_.system_identifier) return false;
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
            if (!part) return make_error(ErrorCode::kCorrupt, "the record to stop at is on no timeline");
            point.replay = Replay{part->timeline, from, finder.stop()};
            if (target_.kind == Kind::kLatest) AETERNA_TRY(note_hole(seen_to, point.notes));
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
        const auto seen_to = feed(details.from, details.to, segment_bytes, finder);
        if (!seen_to && seen_to.error().code != ErrorCode::kCorrupt) return seen_to.error();
        if (seen_to && (*seen_to >= details.to || finder.has_enough())) return *seen_to;
        if (!seen_to && finder.passed().end >= details.to) return seen_to.error();
        // Its capture began while the backup was taken; who committed before that is not known.
        if (target_.kind == Kind::kTime && target_.time < point.backup.finished_at) return from;
        finder = StopFinder(target_, details.to);
        return feed(from, details.to, segment_bytes, finder);
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
            fmt::format("Restore what there is: --to {}.", limit == 0 ? "latest" : "lsn:" + format_lsn(passed.end)));
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
    Lsn limit_ = 0;  // where the next newer backup ends, from which everything was searched; 0 before the first
};

}  // namespace

Result<RecoveryPoint> choose_recovery_point(repository::Repository& repository, const RecoveryOrder& order,
                                            const env::Context& context) {
    return PointSearch(repository, order, context).run();
}

}  // namespace aeterna::postgres
