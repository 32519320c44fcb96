// IncidentBook: which incidents are open, from the detectors' findings. Keyed by (detector, subject): a firing finding
// opens one, a clear one closes it; suspect, unknown and missing leave it as it is. No I/O: the caller journals and
// logs the changes. After a restart, restore() takes over what the journal has open.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "engine/status.h"
#include "env/clock.h"

namespace aeterna::engine {

struct IncidentChange {
    enum class Kind { kOpened, kUpdated, kClosed };
    Kind kind = Kind::kOpened;
    IncidentSummary incident;  // as it is after the change
};

class IncidentBook {
  public:
    explicit IncidentBook(env::Random& random) : random_(random) {}

    // Goes on with the open ones of `incidents` (Journal::incidents, newest first). Where two are open for one key,
    // the newest goes on and the others are closed: those changes are returned.
    [[nodiscard]] std::vector<IncidentChange> restore(const std::vector<IncidentSummary>& incidents, WallTime now);
    // A new severity is a change at once; new words (lags and ages move all the time) at most every 5 s.
    [[nodiscard]] std::vector<IncidentChange> update(const std::vector<Finding>& findings, WallTime now);
    // By a person's hand: what no detector can close any more, because it is blind to it or was taken out of the
    // configuration. kNotFound when none is open under that id; kGuardRefused while `findings` say that it fires: it
    // would open anew at once, and be handled anew.
    [[nodiscard]] Result<IncidentChange> close(const std::string& id, const std::vector<Finding>& findings, WallTime now);
    // Somebody has taken note. kNotFound as above.
    [[nodiscard]] Result<IncidentChange> acknowledge(const std::string& id, const std::string& by, WallTime now);
    // Oldest first.
    [[nodiscard]] std::vector<IncidentSummary> open() const;

  private:
    struct Entry {
        IncidentSummary incident;
        WallTime changed_at{};
    };
    using Key = std::pair<std::string, std::string>;

    [[nodiscard]] std::map<Key, Entry>::iterator find_open(const std::string& id);
    [[nodiscard]] IncidentChange open_one(const Finding& finding, WallTime now);
    [[nodiscard]] static std::optional<IncidentChange> update_one(Entry& entry, const Finding& finding, WallTime now);

    env::Random& random_;
    std::map<Key, Entry> open_;
};

}  // namespace aeterna::engine
