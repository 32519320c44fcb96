// Where a recovery stops: the words of --to and --timeline, and the search for the record after which nothing is
// replayed. Pure.
//
// Whatever the word says, the server gets a record's position. So it stops where the plan says: not at the first commit
// after a time that may never come ("recovery ended before configured recovery target was reached"), and not behind
// what was captured after the plan was made.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "postgres/capture/timeline_history.h"
#include "postgres/client/wal_records.h"

namespace aeterna::postgres {

struct RecoveryTarget {
    enum class Kind {
        kLatest,
        kBackup,  // a backup as it is: `word` is its id or the unique beginning of one
        kTime,    // everything that was committed at or before `time`, by the server's clock
        kLsn,     // every record that ends at or before `lsn`
        kName,    // up to the newest restore point of this name (pg_create_restore_point)
        kXid,     // up to the end of this transaction, by commit or rollback
    };
    Kind kind = Kind::kLatest;
    std::string word;  // as it was given, without "name:"
    WallTime time{};
    Lsn lsn = 0;
    std::uint32_t xid = 0;
};
// "latest", a time with its offset, "lsn:0/3000148", "name:before-migration", "xid:742", or a backup. kUsage.
[[nodiscard]] Result<RecoveryTarget> parse_recovery_target(const std::string& word);
// Of --timeline beside it: a number above 0; nothing for no word. kUsage, for a backup as it is too.
[[nodiscard]] Result<std::optional<Timeline>> parse_target_timeline(const std::string& word,
                                                                    const RecoveryTarget& target);
// kUsage for a time behind `now`.
Status refuse_future(const RecoveryTarget& target, WallTime now);

struct RecoveryStop {
    Lsn last = 0;  // the last record that is replayed begins here
    Lsn end = 0;   // and ends here
    std::uint64_t commits = 0;            // replayed, since the scan began
    std::optional<WallTime> last_commit;  // of those
    std::optional<WallTime> next_commit;  // the first one that is not replayed, where it is known
    std::vector<std::string> tablespaces;  // made by what is replayed: their directories, empty where one is not known
    Duration clock_back{};  // the largest step back from an earlier commit's time to a later one's, of those replayed
};

// Sees the records of a backup's WAL and of what came after it, in order.
class StopFinder {
  public:
    // Nothing can be stopped at before `consistent_at`, the end of the backup.
    StopFinder(RecoveryTarget target, Lsn consistent_at) : target_(std::move(target)), consistent_at_(consistent_at) {}

    // False when nothing more has to be seen.
    bool see(const WalRecord& record);

    enum class Verdict {
        kFound,
        kAtBackup,  // nothing behind the backup's end belongs to it
        kBefore,    // the target lies before the backup's end: an older one is needed
        kBehind,    // the target lies behind what was seen
    };
    // When the records are over. `seen_to` is where the WAL ends.
    [[nodiscard]] Verdict finish(Lsn seen_to);
    // Whatever may come, it changes nothing but who commits next.
    [[nodiscard]] bool has_enough() const {
        return is_over_ || (target_.kind == RecoveryTarget::Kind::kLsn && passed_.end == target_.lsn);
    }
    // Of kFound.
    [[nodiscard]] const RecoveryStop& stop() const { return *stop_; }
    // Everything that was seen up to the target, or at all.
    [[nodiscard]] const RecoveryStop& passed() const { return passed_; }

  private:
    [[nodiscard]] bool is_behind_target(const WalRecord& record) const;
    [[nodiscard]] bool is_target(const WalRecord& record) const;
    void settle();

    RecoveryTarget target_;
    Lsn consistent_at_;
    RecoveryStop passed_;
    std::optional<RecoveryStop> stop_;
    std::optional<WallTime> newest_;  // commit time that was seen
    bool is_over_ = false, is_early_ = false;
};

}  // namespace aeterna::postgres
