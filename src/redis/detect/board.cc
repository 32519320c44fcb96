// Keeping the latest observation of each vantage, the look-up counters of the window, and the news.
#include "redis/detect/board.h"

namespace aeterna::redis {
namespace {

constexpr Duration kSameEvent = 30s;
constexpr std::size_t kEventsKept = 10000;

// "+odown" → "sentinel.odown", "-sdown" → "sentinel.-sdown".
std::string event_kind(const std::string& name) {
    return "sentinel." + (name.rfind('+', 0) == 0 ? name.substr(1) : name);
}

std::string event_subject(const SentinelEvent& event, const RedisSettings& settings) {
    if (event.address.host.empty()) return settings.master_name;
    for (const RedisNode& sentinel : settings.sentinels)
        if (sentinel.address == event.address) return sentinel.name;
    return settings.name_of(event.address);
}

template <class Records, class Observation>
auto& keep(Records& records, const std::string& name, Observation observation) {
    auto& record = records[name];
    if (!record.first_try) record.first_try = observation.at;
    if (!observation.error) {
        record.last_answer = observation.at;
        record.silent_since.reset();
    } else if (!record.silent_since) {
        record.silent_since = observation.began;
    }
    record.latest = std::move(observation);
    return record;
}

}  // namespace

bool EventFilter::is_news(const HeardEvent& heard) {
    std::erase_if(seen_, [&](const auto& entry) { return heard.at - entry.second.at > kSameEvent; });
    // "+odown … #quorum 2/2" and "… 3/2" tell the same.
    const std::string text = heard.event.text.substr(0, heard.event.text.find(" #quorum"));
    Seen& seen = seen_[heard.event.name + " " + text];
    if (!seen.sentinels.empty() && seen.sentinels.insert(heard.sentinel).second) return false;
    seen.at = heard.at;
    seen.sentinels = {heard.sentinel};
    return true;
}

Board::Board(SettingsPointer settings) : settings_(std::move(settings)) {
    for (const RedisNode& node : settings_->nodes) nodes_[node.name];
    for (const RedisNode& sentinel : settings_->sentinels) sentinels_[sentinel.name];
}

void Board::post_node(const std::string& node, NodeObservation observation) {
    const std::lock_guard lock(mutex_);
    NodeRecord& record = keep(nodes_, node, std::move(observation));
    if (record.latest->error) return;
    const NodeInfo& info = record.latest->info;
    record.lookups.push_back({record.latest->at, info.run_id, info.keyspace_hits, info.keyspace_misses});
    while (record.lookups.back().at - record.lookups.front().at > kLookupWindow) record.lookups.pop_front();
}

void Board::post_sentinel(const std::string& sentinel, SentinelObservation observation) {
    const std::lock_guard lock(mutex_);
    SentinelRecord& record = keep(sentinels_, sentinel, std::move(observation));
    const SentinelObservation& latest = *record.latest;
    if (!latest.error && latest.began > record.odown_at && !latest.opinion.master.has_flag("o_down"))
        record.odown.reset();
}

void Board::post_event(HeardEvent heard) {
    const std::lock_guard lock(mutex_);
    const SentinelEvent& event = heard.event;
    if (!event.master_name.empty() && event.master_name != settings_->master_name) return;
    SentinelRecord& record = sentinels_[heard.sentinel];
    if (event.name == "+odown" && event.kind == "master") {
        record.odown = event.address;
        record.odown_at = heard.at;
    }
    if (event.name == "-odown" || event.name == "+switch-master") record.odown.reset();
    if (!filter_.is_news(heard) || events_.size() >= kEventsKept) return;
    events_.push_back({heard.wall, "redis", event_kind(event.name), event_subject(event, *settings_),
                       heard.sentinel + ": " + event.name + " " + event.text});
}

Snapshot Board::snapshot() const {
    const std::lock_guard lock(mutex_);
    Snapshot snapshot;
    snapshot.settings = settings_;
    snapshot.nodes = nodes_;
    snapshot.sentinels = sentinels_;
    return snapshot;
}

std::vector<engine::StoreEvent> Board::take_events() {
    const std::lock_guard lock(mutex_);
    return std::exchange(events_, {});
}

}  // namespace aeterna::redis
