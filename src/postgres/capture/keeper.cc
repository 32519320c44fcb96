#include "postgres/capture/keeper.h"

#include <fmt/format.h>

#include <algorithm>

#include "postgres/capture/slot_protection.h"

namespace aeterna::postgres {
namespace {

constexpr Duration kLookEvery = std::chrono::seconds(1);
constexpr Duration kLookTimeout = std::chrono::seconds(10);
constexpr int kLooksPerRound = 5;        // rounds over all nodes: slots, who is the primary
constexpr int kRoundsPerProtection = 6;  // looks at Patroni's configuration

}  // namespace

std::string said(const Error& error) {
    return error.hint.empty() ? error.to_string() : fmt::format("{} ({})", error.to_string(), error.hint);
}

Result<Slot> keep_slot(NodeSessions& sessions, const NodeSettings& node, const Settings& settings, Teller& teller,
                       const env::Context& context) {
    auto slot = sessions.ensure_slot(node, context);
    if (slot && slot->was_made) teller.say(node.name, fmt::format("made the slot '{}' on '{}'", settings.slot, node.name));
    return slot;
}

// ---------------------------------------------------------------------------------------------- SourceFinder

Result<SourceView> SourceFinder::find(const env::Context& context) {
    std::vector<SourceView> primaries;
    std::string failures;
    for (const NodeSettings& node : settings_.nodes) {
        auto view = sessions_.look(node, context);
        if (view && view->is_primary) primaries.push_back(std::move(*view));
        if (!view) failures += fmt::format("; {}", view.error().to_string());
    }
    if (primaries.empty()) return make_error(ErrorCode::kUnavailable, "no primary is found" + failures);
    return choose(primaries, context);
}

SourceView SourceFinder::choose(const std::vector<SourceView>& primaries, const env::Context& context) const {
    if (primaries.size() == 1) return primaries.front();
    const std::string leader = patroni_leader(context);
    const auto better = [&](const SourceView& left, const SourceView& right) {
        if ((left.node == leader) != (right.node == leader)) return right.node == leader;
        return left.timeline < right.timeline;
    };
    return *std::max_element(primaries.begin(), primaries.end(), better);
}

std::string SourceFinder::patroni_leader(const env::Context& context) const {
    for (const NodeSettings& node : settings_.nodes) {
        const auto cluster = patroni_.cluster(node, env_.clock.within(1s, context));
        if (cluster && !cluster->leader.empty()) return settings_.node_of_member(cluster->leader);
    }
    return "";
}

// ---------------------------------------------------------------------------------------------- Keeper

bool is_durable_for(const CapturedPart& part, const SourceView& node) {
    if (node.timeline == part.source.timeline) return true;
    return node.is_primary && node.node == part.source.node && node.timeline > part.source.timeline;
}

void Keeper::run(const std::stop_token& stop) {
    for (int looks = 0; !stop.stop_requested(); ++looks) {
        const env::Context context{env_.clock.now() + kLookTimeout, stop, "capture"};
        look_at_source(context);
        if (looks % kLooksPerRound == 0) go_round(context);
        if (looks % (kLooksPerRound * kRoundsPerProtection) == 0) check_protection(context);
        env_.clock.sleep_for(kLookEvery, stop);
    }
}

void Keeper::look_at_source(const env::Context& context) {
    const auto source = state_.source();
    const NodeSettings* node = source ? settings_.find(source->node) : nullptr;
    if (!node) return;
    const MonoTime asked_at = env_.clock.now();
    const auto view = sessions_.look(*node, context);
    if (view && view->is_primary) state_.looked(asked_at, *view);
}

void Keeper::go_round(const env::Context& context) {
    const auto part = state_.captured();
    if (!part) return;
    const SourceView& source = part->source;
    // What was written where the repository is no longer, is not durable.
    if (const Status there = repository_.check_place(context); !there) return state_.end_stream(there.error());
    std::vector<SourceView> primaries;
    for (const NodeSettings& node : settings_.nodes) {
        const auto view = sessions_.look(node, context);
        if (!view) {  // others watch over nodes that are down
            state_.lost_sight_of(node.name);
            continue;
        }
        if (view->is_primary) primaries.push_back(*view);
        if (view->system_identifier != source.system_identifier) {
            teller_.say(node.name, fmt::format("'{}' belongs to another cluster ({}): it is left alone", node.name,
                                               view->system_identifier));
            continue;
        }
        const auto slot = keep_slot(sessions_, node, settings_, teller_, context);
        Status moved = slot ? Status() : Status(slot.error());
        if (moved && !state_.is_held(node.name) && is_durable_for(*part, *view))
            moved = sessions_.advance_slot(*view, part->durable, context);
        if (!moved) teller_.say(node.name, said(moved.error()));
    }
    if (!primaries.empty() && finder_.choose(primaries, context).node != source.node) {
        state_.end_stream(make_error(ErrorCode::kUnavailable, fmt::format("'{}' is the primary no longer", source.node)));
    }
}

void Keeper::check_protection(const env::Context& context) {
    const auto is_protected = ask_slot_protection(settings_, [&](const NodeSettings& node) {
        return patroni_.config_text(node, env_.clock.within(2s, context));
    });
    if (!is_protected) return;
    teller_.say("protection", *is_protected ? ""
                                            : fmt::format("the slot '{}' is not protected: Patroni will drop it ({})",
                                                          settings_.slot, protection_hint(settings_.slot)));
}

}  // namespace aeterna::postgres
