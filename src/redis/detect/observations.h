// What the probes saw, as values with time, and the snapshot that detectors judge. No I/O, no locks.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/status.h"
#include "redis/client/info.h"
#include "redis/client/sentinel.h"
#include "redis/settings.h"

namespace aeterna::redis {

// Observations older than this count as silence: five missed rounds of a node, two of a Sentinel.
inline constexpr Duration kFreshFor = std::chrono::milliseconds(2500);
// The window of redis.cache_miss_100.
inline constexpr Duration kLookupWindow = std::chrono::seconds(30);

struct NodeObservation {
    MonoTime at{};                 // when the run ended
    MonoTime began{};              // before the question was sent
    std::optional<Error> error;    // nothing else is set then
    Role role;
    NodeInfo info;
};

struct SentinelObservation {
    MonoTime at{};
    MonoTime began{};  // before the question was sent
    std::optional<Error> error;
    SentinelOpinion opinion;
};

struct LookupSample {
    MonoTime at{};
    std::string run_id;
    std::int64_t hits = 0;
    std::int64_t misses = 0;
};

// What is remembered of one vantage.
template <class Observation>
struct Record {
    std::optional<Observation> latest;
    std::optional<MonoTime> first_try;
    std::optional<MonoTime> last_answer;   // the last observation without an error
    std::optional<MonoTime> silent_since;  // when the first question after it was sent that got none
};

struct NodeRecord : Record<NodeObservation> {
    std::deque<LookupSample> lookups;  // oldest first, at most kLookupWindow long
};

struct SentinelRecord : Record<SentinelObservation> {
    // From the event stream: the master that this Sentinel announced +odown for, not yet taken back, neither by an
    // event (which may be missed) nor by a later opinion without o_down.
    std::optional<env::Endpoint> odown;
    MonoTime odown_at{};
};

struct Snapshot {
    SettingsPointer settings;
    MonoTime now{};
    WallTime wall_now{};
    bool isolated = false;
    bool stalled = false;
    MonoTime trusted_since{};  // observations before this count for nothing
    std::map<std::string, NodeRecord> nodes;
    std::map<std::string, SentinelRecord> sentinels;
    std::optional<std::string> known_master;  // the last one that was judged to be it
};

enum class Contact {
    kUnknown,    // not tried yet
    kAnswering,
    kRefused,    // the kernel of its host answered: nobody listens
    kSilent,     // time-out, lost, stale
    kBlind,      // it answers, but we may not look (password, rights, nonsense)
};

struct ContactState {
    Contact contact = Contact::kUnknown;
    Duration silent_for{};  // since the first question without an answer; so long at least
    std::string reason;     // for kRefused, kSilent, kBlind: names the vantage
};
[[nodiscard]] ContactState contact_of(const Snapshot& snapshot, const std::string& node);
[[nodiscard]] ContactState contact_of_sentinel(const Snapshot& snapshot, const std::string& sentinel);

// The observation when the vantage answers now, else nullptr.
[[nodiscard]] const NodeObservation* fresh_node(const Snapshot& snapshot, const std::string& node);
[[nodiscard]] const SentinelOpinion* fresh_opinion(const Snapshot& snapshot, const std::string& sentinel);
[[nodiscard]] std::size_t fresh_sentinels(const Snapshot& snapshot);

// The address that most of the answering Sentinels name; nothing when none answers or they are split.
[[nodiscard]] std::optional<env::Endpoint> sentinels_master(const Snapshot& snapshot);
// Who is supposed to be master: by the Sentinels, else the only node that says so, else the last known one.
[[nodiscard]] std::optional<std::string> supposed_master(const Snapshot& snapshot);
// The node that is master and answers: what Sentinel names and what ROLE says agree, or only one says so.
[[nodiscard]] std::optional<std::string> working_master(const Snapshot& snapshot);

}  // namespace aeterna::redis
