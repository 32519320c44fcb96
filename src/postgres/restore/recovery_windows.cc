#include "postgres/restore/recovery_windows.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/strings.h"
#include "postgres/capture/wal_audit.h"
#include "postgres/client/wal_records.h"
#include "postgres/restore/plan.h"
#include "postgres/restore/starting_point.h"
#include "repository/pipeline/live_set.h"

namespace aeterna::postgres {
namespace {

struct Candidate {
    repository::Backup backup;
    StartingPoint start;
};

class WindowSearch {
  public:
    WindowSearch(repository::Repository& repository, const env::Context& context)
        : repository_(repository), context_(context), reader_(repository, context) {}

    Result<std::vector<engine::RecoveryWindow>> run() {
        AETERNA_ASSIGN(const auto all, repository_.catalog().all(context_));
        // By series and cluster.
        std::map<std::pair<std::string, std::string>, std::vector<Candidate>> clusters;
        for (const repository::Backup& backup : all) {
            if (!is_base_backup(backup)) continue;
            AETERNA_ASSIGN(auto candidate, examine(backup));
            if (candidate)
                clusters[{backup.name, candidate->start.details.system_identifier}].push_back(std::move(*candidate));
        }
        for (auto& [key, candidates] : clusters) {
            std::sort(candidates.begin(), candidates.end(),
                      [](const auto& a, const auto& b) { return a.start.details.to < b.start.details.to; });
            AETERNA_TRY(add_cluster(key.second, std::move(candidates)));
        }
        return std::move(windows_);
    }

  private:
    // Nothing for one that has lost a part.
    Result<std::optional<Candidate>> examine(const repository::Backup& backup) {
        AETERNA_ASSIGN(const bool is_whole, repository::has_everything(reader_, backup));
        if (!is_whole) return std::optional<Candidate>();
        AETERNA_ASSIGN(StartingPoint start, read_starting_point(repository_, backup, context_));
        return std::optional(Candidate{backup, std::move(start)});
    }

    // The newest timeline first; who is not on its way, on the newest of what is left.
    Status add_cluster(const std::string& system, std::vector<Candidate> candidates) {
        std::optional<Timeline> wanted;
        while (!candidates.empty()) {
            auto path = find_wal_path(repository_, system, wanted, context_);
            if (!path && path.error().code != ErrorCode::kNotFound) return path.error();
            std::vector<Candidate> on_it, others;
            for (Candidate& one : candidates) {
                const bool is_on = path && one.start.control.segment_bytes > 0 &&
                                   path->has(one.start.details.timeline, one.start.details.to);
                (is_on ? on_it : others).push_back(std::move(one));
            }
            if (path) AETERNA_TRY(add_path(*path, on_it));
            candidates = std::move(others);
            if (candidates.empty()) return {};
            const auto newest = std::max_element(
                candidates.begin(), candidates.end(),
                [](const auto& a, const auto& b) { return a.start.details.timeline < b.start.details.timeline; });
            // A timeline that was asked for already does not have it: no WAL goes on from it.
            if (!path || wanted == newest->start.details.timeline) {
                for (const Candidate& one : candidates) add_alone(one, "nothing of what came after it was captured");
                return {};
            }
            wanted = newest->start.details.timeline;
        }
        return {};
    }

    Status add_path(const WalPath& path, const std::vector<Candidate>& candidates) {
        if (candidates.empty()) return {};
        AETERNA_ASSIGN(const CapturedWal captured, captured_wal(repository_, path, context_));
        holes_ = find_holes(path, captured, candidates.front().start.wal_from);
        const std::size_t first = windows_.size();
        AETERNA_TRY(add_windows(path, candidates));
        for (std::size_t i = first; i + 1 < windows_.size(); ++i) {
            if (!windows_[i].gap) continue;
            windows_[i].gap->to = windows_[i + 1].from;
            windows_[i].gap->to_time = windows_[i + 1].since;
        }
        return {};
    }

    Status add_windows(const WalPath& path, const std::vector<Candidate>& candidates) {
        for (auto next = candidates.begin(); next != candidates.end();) {
            engine::RecoveryWindow window = begin_window(*next);
            WalRecordReader records(next->start.wal_from, next->start.control.segment_bytes);
            Lsn last = next->start.details.to;
            const auto see = [&](const WalRecord& record) {
                last = std::max(last, record.end);
                note_time(window, record, *next);
                return true;
            };
            const auto read = read_wal(
                repository_, path, next->start.wal_from,
                [&](std::string_view bytes) { return records.add(bytes, see); }, context_);
            // Nothing goes on over damaged WAL; a backup behind it does.
            if (!read && read.error().code != ErrorCode::kCorrupt) return read.error();
            const Lsn end = read ? *read : last;
            // Its own timeline was left, or lost, before it ended: it brings the rest itself, and nothing goes on from there.
            if (end < next->start.details.to || end <= next->start.wal_from) {
                const Lsn missing = std::max(end, next->start.wal_from);
                add_alone(*next++, fmt::format("the WAL at {} is missing", format_lsn(missing)));
                note_gap(windows_.back(), missing);
                continue;
            }
            const WalPath::Part* part = path.part_ending_at(last);
            window.to = format_lsn(last);
            window.timeline = part ? part->timeline : next->start.details.timeline;
            if (read) {
                note_gap(window, end);
            } else {
                window.ends_because = read.error().message;
            }
            for (++next; next != candidates.end() && next->start.wal_from < end; ++next)
                window.backups.push_back(next->backup.id);
            windows_.push_back(std::move(window));
        }
        return {};
    }

    // As StopFinder goes by times: restore points prove nothing, a checkpoint tells when it began.
    static void note_time(engine::RecoveryWindow& window, const WalRecord& record, const Candidate& first) {
        const bool is_end = record.kind == WalRecord::Kind::kCommit || record.kind == WalRecord::Kind::kAbort;
        if (!is_end && record.kind != WalRecord::Kind::kCheckpoint) return;
        window.until = window.until ? std::max(*window.until, record.time) : record.time;
        if (window.earliest || !is_end || record.end <= first.start.details.to) return;
        window.earliest = std::max(*window.until, first.start.control.checkpoint_at + kCheckpointSlack);
    }

    // What is missing from `end` on, where the history goes on behind it.
    void note_gap(engine::RecoveryWindow& window, Lsn end) const {
        engine::RecoveryGap gap;
        for (const WalHole& hole : holes_) {
            if (hole.to <= end || hole.from > end) continue;
            gap.missing.push_back(describe_hole({hole.timeline, end, hole.to}));
            end = hole.to;
        }
        if (gap.missing.empty()) return;
        window.ends_because = join(gap.missing, ", ") + " is missing";
        window.gap = std::move(gap);
    }

    static engine::RecoveryWindow begin_window(const Candidate& one) {
        engine::RecoveryWindow window;
        window.series = one.backup.name;
        window.cluster = one.start.details.system_identifier;
        window.backups = {one.backup.id};
        window.from = window.to = format_lsn(one.start.details.to);
        window.since = one.backup.finished_at;
        window.timeline = one.start.details.timeline;
        return window;
    }

    void add_alone(const Candidate& one, std::string why) {
        windows_.push_back(begin_window(one));
        windows_.back().ends_because = std::move(why);
    }

    repository::Repository& repository_;
    const env::Context& context_;
    repository::EntryReader reader_;
    std::vector<engine::RecoveryWindow> windows_;
    std::vector<WalHole> holes_;  // of the path that is looked at
};

}  // namespace

Result<std::vector<engine::RecoveryWindow>> find_recovery_windows(repository::Repository& repository,
                                                                  const env::Context& context) {
    return WindowSearch(repository, context).run();
}

}  // namespace aeterna::postgres
