// RPO now: how old the oldest byte of WAL may be that the repository does not have. Pure.
//
// A look at the server says "at this instant the WAL ended there". Everything that was acknowledged before a look whose
// end is durable by now is safe; what came after it may not be. So RPO now is the time since the latest such look: it stays
// small on an idle server that answers, and grows when nobody can ask the server, because then nobody knows.
#pragma once

#include <deque>
#include <optional>

#include "base/time.h"
#include "postgres/capture/timeline_history.h"

namespace aeterna::postgres {

class Exposure {
  public:
    // `asked_at` is before the question was sent. Looks of one server, in the order of time.
    void looked(MonoTime asked_at, Lsn end);
    // What the repository has. Never goes back.
    void became_durable(Lsn end);
    // A new primary's positions compare with the old one's only up to the fork: what was not proven safe stays unproven.
    void begin_timeline(Lsn durable);
    // A hole that no base backup lies behind: what was acknowledged since it began cannot be restored, whatever becomes
    // durable.
    void set_hole(bool has_hole) { has_hole_ = has_hole; }
    // Nothing before the first look whose end became durable.
    [[nodiscard]] std::optional<Duration> rpo_now(MonoTime now) const;
    // What is known to be written and not durable, bytes.
    [[nodiscard]] std::uint64_t behind_bytes() const;

  private:
    struct Look {
        MonoTime at;
        Lsn end = 0;
    };
    static constexpr std::size_t kMostLooks = 4096;

    void settle();

    std::deque<Look> open_;  // looks whose end is not durable yet
    std::optional<MonoTime> safe_until_;
    Lsn durable_ = 0;
    bool has_hole_ = false;
};

// The end of WAL that pg_current_wal_insert_lsn() means: at the beginning of a page it points behind the page's header,
// which is not written before a record is (seen: 0/2000028 after pg_switch_wal() at 0/2000000).
[[nodiscard]] Lsn written_end(Lsn insert_position, std::uint64_t segment_bytes);

}  // namespace aeterna::postgres
