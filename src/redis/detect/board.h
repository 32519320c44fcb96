// Board: where the probes of one monitor post what they saw. Thread-safe; nothing blocks while its mutex is held.
#pragma once

#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "engine/detect/monitor.h"
#include "redis/detect/observations.h"

namespace aeterna::redis {

// An event as one Sentinel published it.
struct HeardEvent {
    std::string sentinel;
    MonoTime at{};
    WallTime wall{};
    SentinelEvent event;
};

// Says which events are news: what another Sentinel has just told is not. Pure.
//
// A Sentinel that repeats itself tells something new (+sdown again after -sdown); another one that says the same
// within kSameEvent only confirms.
class EventFilter {
  public:
    [[nodiscard]] bool is_news(const HeardEvent& heard);

  private:
    struct Seen {
        MonoTime at{};
        std::set<std::string> sentinels;
    };
    std::map<std::string, Seen> seen_;
};

class Board {
  public:
    explicit Board(SettingsPointer settings);
    void post_node(const std::string& node, NodeObservation observation);
    void post_sentinel(const std::string& sentinel, SentinelObservation observation);
    void post_event(HeardEvent heard);
    // The records; the judge's own part of the snapshot is left to the caller.
    [[nodiscard]] Snapshot snapshot() const;
    // The news since the last call, as events of the timeline.
    [[nodiscard]] std::vector<engine::StoreEvent> take_events();

  private:
    SettingsPointer settings_;
    mutable std::mutex mutex_;
    std::map<std::string, NodeRecord> nodes_;
    std::map<std::string, SentinelRecord> sentinels_;
    EventFilter filter_;
    std::vector<engine::StoreEvent> events_;
};

}  // namespace aeterna::redis
