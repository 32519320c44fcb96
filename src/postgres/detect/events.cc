// Comparing Worlds; see events.h.
#include "postgres/detect/events.h"

#include <fmt/core.h>

namespace aeterna::postgres {

namespace {

// The wall time of something seen at `at`.
WallTime wall_of(const World& world, MonoTime at) {
    return world.wall_now - std::chrono::duration_cast<WallTime::duration>(world.now - at);
}

engine::StoreEvent event_at(const World& world, MonoTime at, std::string kind, std::string subject,
                            std::string detail) {
    return {wall_of(world, at), "postgres", std::move(kind), std::move(subject), std::move(detail)};
}

}  // namespace

void Changes::compare_nodes(const World& world, std::vector<engine::StoreEvent>& events) {
    for (const NodeSettings& node : world.settings->nodes) {
        const auto& sql = world.of(node.name).sql;
        if (sql.answer == Answer::kNever || sql.answer == Answer::kRejected) continue;
        // One silent look is no news yet.
        if (sql.answer == Answer::kSilent && sql.repeats < 2) continue;
        const bool up = sql.answered();
        const auto known = node_up_.find(node.name);
        if (known != node_up_.end() && known->second != up) {
            events.push_back(event_at(world, sql.at, up ? "node.up" : "node.down", node.name,
                                      up ? "SQL answers" : describe_look(world, "SQL", sql)));
        }
        node_up_[node.name] = up;
    }
}

void Changes::compare_leader_key(const World& world, std::vector<engine::StoreEvent>& events) {
    if (!world.dcs()) return;
    const std::string& holder = world.key_holder;
    if (key_known_ && holder != key_holder_) {
        const MonoTime at = world.seen.dcs.at;
        if (holder.empty()) {
            events.push_back(
                event_at(world, at, "leader_key.expired", key_holder_, "the leader key is gone"));
        } else {
            events.push_back(event_at(world, at, "leader_key.changed", holder,
                                      key_holder_.empty() ? "taken" : "was '" + key_holder_ + "'"));
        }
    }
    key_known_ = true;
    key_holder_ = holder;
}

void Changes::compare_primary(const World& world, std::vector<engine::StoreEvent>& events) {
    if (!world.primary) return;
    const auto timeline = world.timeline(*world.primary);
    const MonoTime at = world.of(*world.primary).primary_since;
    if (!primary_.empty() && primary_ != *world.primary) {
        events.push_back(event_at(world, at, "primary.changed", *world.primary,
                                  fmt::format("was '{}', timeline {}", primary_,
                                              timeline ? std::to_string(*timeline) : "unknown")));
    }
    if (timeline && timeline_ && *timeline != *timeline_) {
        events.push_back(event_at(world, at, "timeline.changed", *world.primary,
                                  fmt::format("{} after {}", *timeline, *timeline_)));
    }
    if (timeline) timeline_ = timeline;
    primary_ = *world.primary;
    lost_.clear();
}

std::vector<engine::StoreEvent> Changes::compare(const World& world,
                                                 const std::vector<engine::Finding>& findings) {
    std::vector<engine::StoreEvent> events;
    compare_nodes(world, events);
    compare_leader_key(world, events);
    for (const engine::Finding& finding : findings) {
        const bool is_loss = finding.detector == "postgres.primary_down" &&
                             finding.state == engine::FindingState::kFiring;
        if (!is_loss || world.primary || lost_ == finding.subject) continue;
        lost_ = finding.subject;
        events.push_back(
            event_at(world, world.now, "primary.lost", finding.subject, finding.summary));
    }
    compare_primary(world, events);
    return events;
}

}  // namespace aeterna::postgres
