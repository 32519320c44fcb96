#include "postgres/restore/recovery_target.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/strings.h"
#include "postgres/client/wal.h"

namespace aeterna::postgres {
namespace {

using Kind = RecoveryTarget::Kind;

constexpr std::size_t kMostNameBytes = 63;  // MAXFNAMELEN - 1

Error bad(const std::string& word, const char* what) {
    return make_error(ErrorCode::kUsage, fmt::format("'{}' {}", one_line(word), what),
                      "Write latest, a time such as 2026-03-01T10:00:00Z, lsn:0/3000148, name:POINT, xid:742, or a backup's id.");
}

bool is_end_of_transaction(const WalRecord& record) {
    return record.kind == WalRecord::Kind::kCommit || record.kind == WalRecord::Kind::kAbort;
}

}  // namespace

Result<RecoveryTarget> parse_recovery_target(const std::string& word) {
    RecoveryTarget target;
    target.word = word;
    if (word == "latest") return target;
    if (word.starts_with("lsn:")) {
        const auto lsn = parse_lsn(word.substr(4));
        if (!lsn) return bad(word, "names no position");
        target.kind = Kind::kLsn;
        target.lsn = *lsn;
    } else if (word.starts_with("name:")) {
        target.kind = Kind::kName;
        target.word = word.substr(5);
        if (target.word.empty() || target.word.size() > kMostNameBytes) return bad(word, "names no restore point");
    } else if (word.starts_with("xid:")) {
        const auto xid = to_integer(word.substr(4));
        if (!xid || *xid < 3 || *xid > std::numeric_limits<std::uint32_t>::max()) return bad(word, "names no transaction");
        target.kind = Kind::kXid;
        target.xid = static_cast<std::uint32_t>(*xid);
    } else if (word.find(':') != std::string::npos || word.find('T', 1) == std::string::npos) {
        // Ids have no colon, and "20261126T…" from their ninth letter on; shorter beginnings of one are digits alone.
        const auto time = parse_time(word);
        const bool is_id = word.find_first_not_of("0123456789") == std::string::npos && !word.empty();
        if (!time && !is_id) return bad(word, "is no recovery point");
        target.kind = time ? Kind::kTime : Kind::kBackup;
        if (time) target.time = *time;
    } else {
        target.kind = Kind::kBackup;
    }
    return target;
}

Result<std::optional<Timeline>> parse_target_timeline(const std::string& word, const RecoveryTarget& target) {
    if (word.empty()) return std::optional<Timeline>();
    const auto number = to_integer(word);
    if (!number || *number < 1 || *number > std::numeric_limits<Timeline>::max()) {
        return make_error(ErrorCode::kUsage, fmt::format("'{}' is no timeline", one_line(word)),
                          "Write its number, such as --timeline 2.");
    }
    if (target.kind == Kind::kBackup) {
        return make_error(ErrorCode::kUsage, "a backup as it is has its own timeline",
                          "Leave --timeline out, or give another --to.");
    }
    return std::optional(static_cast<Timeline>(*number));
}

Status refuse_future(const RecoveryTarget& target, WallTime now) {
    if (target.kind != Kind::kTime || target.time <= now) return {};
    return make_error(ErrorCode::kUsage, fmt::format("'{}' lies in the future", one_line(target.word)),
                      "Write --to latest for the newest state.");
}

bool StopFinder::is_behind_target(const WalRecord& record) const {
    switch (target_.kind) {
        // A checkpoint's time is when it began: what comes behind its record is younger.
        case Kind::kTime:
            return (is_end_of_transaction(record) || record.kind == WalRecord::Kind::kCheckpoint) && record.time > target_.time;
        case Kind::kLsn: return record.end > target_.lsn;
        default: return false;
    }
}

bool StopFinder::is_target(const WalRecord& record) const {
    switch (target_.kind) {
        case Kind::kName: return record.kind == WalRecord::Kind::kRestorePoint && record.name == target_.word;
        case Kind::kXid: return is_end_of_transaction(record) && record.xid == target_.xid;
        default: return false;
    }
}

// Here is the place, if the backup is whole by then.
void StopFinder::settle() {
    is_early_ = passed_.end < consistent_at_;
    if (!is_early_) stop_ = passed_;
}

bool StopFinder::see(const WalRecord& record) {
    const bool is_commit = record.kind == WalRecord::Kind::kCommit;
    if (!is_over_ && is_behind_target(record)) {
        is_over_ = true;
        if (passed_.end >= consistent_at_) settle();
        else is_early_ = record.begin < consistent_at_;
    }
    // Only who commits next is still wanted.
    if (stop_ && is_commit && !stop_->next_commit) stop_->next_commit = record.time;
    if (is_over_) return !is_commit;
    passed_.last = record.begin;
    passed_.end = record.end;
    if (record.kind == WalRecord::Kind::kTablespace) passed_.tablespaces.push_back(record.name);
    if (is_commit) {
        ++passed_.commits;
        passed_.last_commit = record.time;
        newest_ = std::max(newest_.value_or(record.time), record.time);
        passed_.clock_back = std::max(passed_.clock_back, std::chrono::duration_cast<Duration>(*newest_ - record.time));
    }
    if (is_target(record)) {
        settle();
        is_over_ = target_.kind == Kind::kXid;  // of restore points the newest of that name counts
    }
    return true;
}

StopFinder::Verdict StopFinder::finish(Lsn seen_to) {
    const bool is_whole = target_.kind == Kind::kLatest || (target_.kind == Kind::kLsn && !is_over_ && seen_to >= target_.lsn);
    if (is_whole && passed_.end >= consistent_at_) settle();
    if (stop_) return Verdict::kFound;
    if (is_early_ || (target_.kind == Kind::kLsn && target_.lsn < consistent_at_)) return Verdict::kBefore;
    return is_whole || is_over_ ? Verdict::kAtBackup : Verdict::kBehind;
}

}  // namespace aeterna::postgres
