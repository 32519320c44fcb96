#include "postgres/engines/engine_backup.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "base/strings.h"
#include "postgres/capture/base_backup.h"

namespace aeterna::postgres {
namespace {

using TargetKind = RecoveryTarget::Kind;

Result<EngineBackup> find_engine_backup(const std::vector<EngineBackup>& backups, const std::string& word) {
    std::vector<const EngineBackup*> found;
    for (const EngineBackup& backup : backups) {
        if (backup.id == word) return backup;
        if (backup.id.starts_with(word)) found.push_back(&backup);
    }
    if (found.size() == 1) return *found.front();
    if (found.empty()) {
        return make_error(ErrorCode::kNotFound, fmt::format("there is no backup '{}'", one_line(word)),
                          "'aeterna-dr backups list' shows what there is.");
    }
    return make_error(ErrorCode::kUsage, fmt::format("'{}' may mean {} backups", one_line(word), found.size()),
                      fmt::format("Write all of it, such as '{}'.", found.front()->id));
}

// As recovery_target_time takes it, to the microsecond, in a zone that no setting changes.
std::string time_setting(WallTime time) {
    constexpr std::size_t kToSeconds = 19;  // "2026-11-27T04:01:00"
    std::string text = format_time(time).substr(0, kToSeconds);
    text[text.find('T')] = ' ';
    return text + fmt::format(".{:06}+00", to_unix_us(time) % 1'000'000);
}

struct NewestWay {
    std::optional<WalPath> path;
    std::string lost;  // why it does not lead to the newest timeline; empty: it does
};

// To the newest timeline that has a way. An archive without any WAL has lost none.
NewestWay newest_way(const ArchivedWal& wal) {
    NewestWay way;
    for (Timeline timeline = wal.newest(); timeline > 0; timeline = wal.newest_below(timeline)) {
        auto path = wal.path_to(timeline);
        if (path) {
            way.path = std::move(*path);
            break;
        }
        if (way.lost.empty()) way.lost = path.error().message;
    }
    return way;
}

class EngineSearch {
  public:
    EngineSearch(const EngineCatalog& catalog, const RecoveryTarget& target) : catalog_(catalog), target_(target) {}

    Result<EnginePoint> run(std::optional<Timeline> wanted) {
        if (catalog_.backups.empty())
            return make_error(ErrorCode::kNotFound, "there is no backup", "Take one: 'aeterna-dr backup postgres'.");
        if (target_.kind == TargetKind::kBackup) return as_it_is();
        AETERNA_ASSIGN(path_, catalog_.wal.path_to(wanted.value_or(std::max<Timeline>(1, catalog_.wal.newest()))));
        for (auto backup = catalog_.backups.rbegin(); backup != catalog_.backups.rend(); ++backup) {
            if (!may_begin_with(*backup)) continue;
            return go_on_from(*backup);
        }
        return make_error(ErrorCode::kNotFound,
                          "no backup leads to this point" + (notes_.empty() ? "" : ": " + join(notes_, "; ")),
                          "'aeterna-dr recovery-points' shows what can be restored.");
    }

  private:
    Result<EnginePoint> as_it_is() {
        EnginePoint point;
        AETERNA_ASSIGN(point.backup, find_engine_backup(catalog_.backups, target_.word));
        if (const std::string missing = missing_wal(point.backup, catalog_.wal); !missing.empty()) {
            return make_error(
                ErrorCode::kCorrupt,
                fmt::format("backup '{}' cannot be restored: its WAL '{}' is not archived", point.backup.id, missing),
                "Restore another one (--to); 'aeterna-dr recovery-points' shows from which one can.");
        }
        point.timeline = point.backup.timeline;
        point.settings = {{"recovery_target", "immediate"}};
        finish(point);
        return point;
    }

    bool may_begin_with(const EngineBackup& backup) {
        if (!path_.has(backup.timeline, backup.to)) {
            notes_.push_back(fmt::format("backup {} is left out: timeline {} at {} is not on the way to timeline {}",
                                         backup.id, backup.timeline, format_lsn(backup.to),
                                         path_.parts.back().timeline));
            return false;
        }
        if (target_.kind == TargetKind::kTime && backup.finished_at > target_.time) return false;
        if (target_.kind == TargetKind::kLsn && backup.to > target_.lsn) return false;
        const std::string missing = missing_wal(backup, catalog_.wal);
        if (!missing.empty())
            notes_.push_back(fmt::format("backup {} is left out: its WAL '{}' is not archived", backup.id, missing));
        return missing.empty();
    }

    Result<EnginePoint> go_on_from(const EngineBackup& backup) {
        EnginePoint point{backup, path_.parts.back().timeline, follow(catalog_.wal, path_, backup.from), notes_, {}};
        const WalStretch& stretch = *point.stretch;
        const WalPath::Part* end = path_.part_ending_at(stretch.to);
        if (end) point.timeline = end->timeline;
        if (!stretch.missing.empty()) {
            point.notes.push_back(fmt::format(
                "WAL is missing from '{}' on: what was committed behind it cannot be restored", stretch.missing));
        }
        switch (target_.kind) {
            case TargetKind::kTime: AETERNA_TRY(aim_at_time(point)); break;
            case TargetKind::kLsn: AETERNA_TRY(aim_at_lsn(point)); break;
            case TargetKind::kName: point.settings = {{"recovery_target_name", target_.word}}; break;
            case TargetKind::kXid: point.settings = {{"recovery_target_xid", std::to_string(target_.xid)}}; break;
            default: break;
        }
        if (target_.kind == TargetKind::kName || target_.kind == TargetKind::kXid) {
            point.notes.push_back(
                "whether the point lies behind this backup is not known: where it does not, the server ends with "
                "'recovery ended before configured recovery target was reached'");
        }
        finish(point);
        return point;
    }

    Status aim_at_time(EnginePoint& point) const {
        const auto& stored = point.stretch->stored_at;
        if (stored && *stored < target_.time) return behind(*point.stretch, format_time(*stored));
        point.settings = {{"recovery_target_time", time_setting(target_.time)}};
        point.notes.push_back(
            "the server needs a commit behind this time in the archived WAL: without one it ends with 'recovery ended "
            "before configured recovery target was reached', and --to latest is what is wanted");
        return {};
    }

    Status aim_at_lsn(EnginePoint& point) const {
        if (point.stretch->to < target_.lsn) return behind(*point.stretch, format_lsn(point.stretch->to));
        // Every record that ends at or before it, as with our own backups.
        point.settings = {{"recovery_target_lsn", format_lsn(target_.lsn)}, {"recovery_target_inclusive", "off"}};
        return {};
    }

    static Error behind(const WalStretch& stretch, const std::string& end) {
        return make_error(ErrorCode::kNotFound,
                          stretch.missing.empty() ? fmt::format("the archived WAL ends before it, at {}", end)
                                                  : fmt::format("WAL is missing before it: '{}'", stretch.missing),
                          "'aeterna-dr recovery-points' shows what can be restored; --to latest is the newest.");
    }

    static void finish(EnginePoint& point) {
        if (point.backup.has_damaged_pages.value_or(false)) {
            point.notes.push_back(
                fmt::format("page checksums did not match when backup {} was taken", point.backup.id));
        }
        point.settings["recovery_target_timeline"] = std::to_string(point.timeline);
        point.settings["recovery_target_action"] = "promote";
    }

    const EngineCatalog& catalog_;
    const RecoveryTarget& target_;
    WalPath path_;
    std::vector<std::string> notes_;
};

}  // namespace

void sort_oldest_first(std::vector<EngineBackup>& backups) {
    std::sort(backups.begin(), backups.end(), [](const EngineBackup& a, const EngineBackup& b) {
        return std::tie(a.finished_at, a.id) < std::tie(b.finished_at, b.id);
    });
}

repository::Backup catalog_entry(const EngineBackup& backup, const std::string& engine, const std::string& series) {
    repository::Backup entry;
    entry.id = backup.id;
    entry.kind = kBaseKind;
    entry.store = "postgres";
    entry.name = series;
    entry.server_version = backup.server_version;
    entry.started_at = backup.started_at;
    entry.finished_at = backup.finished_at;
    entry.parent = backup.parent;
    entry.bytes = backup.bytes;
    entry.stored_bytes = backup.stored_bytes;
    entry.details = Json{{"engine", engine},
                         {"type", backup.type},
                         {"place", backup.place},
                         {"system_identifier", backup.system_identifier},
                         {"timeline", backup.timeline},
                         {"start_lsn", format_lsn(backup.from)},
                         {"stop_lsn", format_lsn(backup.to)},
                         {"has_damaged_pages", json_or_null(backup.has_damaged_pages)}};
    return entry;
}

std::string missing_wal(const EngineBackup& backup, const ArchivedWal& wal) {
    // Its own WAL is of one timeline: no backup ends on another one than it began on.
    WalPath path{"", {{backup.timeline, 0, ~Lsn{0}}}};
    const WalStretch stretch = follow(wal, path, backup.from);
    return stretch.to >= backup.to ? "" : wal_segment_name(backup.timeline, stretch.to, wal.segment_bytes);
}

std::vector<const EngineBackup*> lineage(const std::vector<EngineBackup>& backups, const EngineBackup& backup) {
    std::vector<const EngineBackup*> found{&backup};
    while (!found.back()->parent.empty() && found.size() <= backups.size()) {
        const auto parent = std::find_if(backups.begin(), backups.end(), [&](const EngineBackup& one) {
            return one.id == found.back()->parent;
        });
        if (parent == backups.end()) break;
        found.push_back(&*parent);
    }
    return found;
}

Result<EnginePoint> choose_engine_point(const EngineCatalog& catalog, const RecoveryTarget& target,
                                        std::optional<Timeline> timeline) {
    return EngineSearch(catalog, target).run(timeline);
}

std::vector<engine::RecoveryWindow> engine_windows(const EngineCatalog& catalog, const std::string& series) {
    std::vector<engine::RecoveryWindow> windows;
    const auto [path, lost] = newest_way(catalog.wal);
    if (!path) return windows;
    for (const EngineBackup& backup : catalog.backups) {
        if (!path->has(backup.timeline, backup.to) || !missing_wal(backup, catalog.wal).empty()) continue;
        const WalStretch stretch = follow(catalog.wal, *path, backup.from);
        const std::string to = format_lsn(stretch.to);
        if (windows.empty() || windows.back().to != to) {
            engine::RecoveryWindow window;
            window.series = series;
            window.from = format_lsn(backup.to);
            window.to = to;
            window.since = backup.finished_at;
            const WalPath::Part* end = path->part_ending_at(stretch.to);
            window.timeline = end ? end->timeline : backup.timeline;
            window.ends_because = stretch.missing.empty() ? lost : fmt::format("'{}' is not archived", stretch.missing);
            windows.push_back(std::move(window));
        }
        windows.back().backups.push_back(backup.id);
    }
    return windows;
}

void check_archive(const EngineCatalog& catalog, std::vector<std::string>& problems,
                   std::vector<std::string>& hit_backups) {
    for (const EngineBackup& backup : catalog.backups) {
        const std::string missing = missing_wal(backup, catalog.wal);
        if (!missing.empty()) {
            problems.push_back(
                fmt::format("backup {} cannot be restored: its WAL '{}' is not archived", backup.id, missing));
            hit_backups.push_back(backup.id);
        }
        if (backup.has_damaged_pages.value_or(false)) {
            problems.push_back(fmt::format("page checksums did not match when backup {} was taken", backup.id));
            hit_backups.push_back(backup.id);
        }
    }
    const std::string lost = newest_way(catalog.wal).lost;
    if (!lost.empty()) problems.push_back(fmt::format("the newest state (--to latest) cannot be restored: {}", lost));
    const auto windows = engine_windows(catalog, "");
    if (!windows.empty() && !windows.back().ends_because.empty() && windows.back().ends_because != lost) {
        problems.push_back(
            fmt::format("nothing behind {} can be restored: {}", windows.back().to, windows.back().ends_because));
    }
}

}  // namespace aeterna::postgres
