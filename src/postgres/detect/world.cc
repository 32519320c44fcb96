// Building the picture; see world.h.
#include "postgres/detect/world.h"

#include <fmt/core.h>

#include <algorithm>

namespace aeterna::postgres {

namespace {

template <class T>
void drop_stale(Observation<T>& look, const Rhythm& rhythm, const World& world) {
    const bool fresh = look.repeats > 0 && world.now - look.at <= rhythm.stale_after() &&
                       look.started >= world.valid_from;
    if (!fresh) look = Observation<T>();
}

void drop_stale_looks(World& world) {
    for (auto& [name, of] : world.seen.nodes) {
        drop_stale(of.rest, kRestRhythm, world);
        drop_stale(of.cluster, kClusterRhythm, world);
        drop_stale(of.sql, kSqlRhythm, world);
        drop_stale(of.connect, kConnectRhythm, world);
        drop_stale(of.heartbeat, kHeartbeatRhythm, world);
        drop_stale(of.wal, kWalRhythm, world);
        drop_stale(of.disks, kDiskRhythm, world);
    }
    drop_stale(world.seen.dcs, kDcsRhythm, world);
    drop_stale(world.seen.etcd_health, kEtcdHealthRhythm, world);
    drop_stale(world.seen.exporter, kExporterRhythm, world);
    drop_stale(world.seen.client, kClientRhythm, world);
}

std::string claimed_by_rest(const World& world) {
    for (const auto& [name, of] : world.seen.nodes) {
        if (of.rest.value && of.rest.value->role == "primary") return name;
    }
    return "";
}

std::string find_holder(const World& world) {
    const DcsView* view = world.dcs();
    if (!view || !view->leader || view->leader->remaining_seconds.value_or(0) < 0) return "";
    return world.settings->node_of_member(view->leader->member);
}

void find_primary(World& world, const std::string& last_primary) {
    world.key_holder = find_holder(world);
    for (const auto& [name, of] : world.seen.nodes) {
        if (of.sql.value && !of.sql.value->in_recovery) world.writers.push_back(name);
    }
    if (world.writers.size() == 1) {
        world.primary = world.writers.front();
    } else if (std::find(world.writers.begin(), world.writers.end(), world.key_holder) !=
               world.writers.end()) {
        world.primary = world.key_holder;
    }
    world.reference = world.primary.value_or(last_primary);
    if (world.reference.empty()) world.reference = world.key_holder;
    if (world.reference.empty()) world.reference = claimed_by_rest(world);
}

}  // namespace

const NodeObservations& World::of(const std::string& node) const {
    static const NodeObservations nothing;
    const auto found = seen.nodes.find(node);
    return found == seen.nodes.end() ? nothing : found->second;
}

const PatroniConfig& World::config() const {
    static const PatroniConfig defaults;
    const DcsView* view = dcs();
    return view && view->has_config ? view->config : defaults;
}

Duration World::lasted(const Look& look) const {
    if (look.answer == Answer::kNever) return Duration::zero();
    return now - std::max(look.since, valid_from);
}

std::optional<std::int64_t> World::lag_bytes(const std::string& node) const {
    if (!primary || node == *primary) return std::nullopt;
    const auto& leader = of(*primary).sql.value;
    const auto& replica = of(node).sql.value;
    if (!leader || !leader->lsn) return std::nullopt;
    std::optional<std::int64_t> replayed = replica ? replica->lsn : std::nullopt;
    if (!replayed && of(node).rest.value) replayed = of(node).rest.value->replayed;
    if (!replayed) return std::nullopt;
    return std::max<std::int64_t>(0, *leader->lsn - *replayed);
}

std::optional<std::int64_t> World::timeline(const std::string& node) const {
    const NodeObservations& seen_of = of(node);
    if (seen_of.sql.value && seen_of.sql.value->timeline) return seen_of.sql.value->timeline;
    return seen_of.rest.value ? seen_of.rest.value->timeline : std::nullopt;
}

bool World::is_streaming(const std::string& node) const {
    const NodeObservations& seen_of = of(node);
    if (seen_of.sql.value && seen_of.sql.value->receiver_status == "streaming") return true;
    if (seen_of.rest.value && seen_of.rest.value->replication_state == "streaming") return true;
    // The primary's own list, by Patroni; needed where our role may not see the WAL receiver.
    const NodeSettings* known = settings->find(node);
    if (!primary || !known || !of(*primary).rest.value) return false;
    for (const PatroniReplication& item : of(*primary).rest.value->replication) {
        if (item.application_name == known->member && item.state == "streaming") return true;
    }
    return false;
}

std::vector<std::string> World::sync_standbys() const {
    std::vector<std::string> names;
    const DcsView* view = dcs();
    if (!view || !view->sync) return names;
    for (const std::string& member : view->sync->standbys)
        names.push_back(settings->node_of_member(member));
    return names;
}

bool World::cut_off() const {
    if (settings->nodes.size() < 2 || key_holder.empty()) return false;
    return std::all_of(settings->nodes.begin(), settings->nodes.end(), [&](const auto& node) {
        return of(node.name).sql.answer == Answer::kSilent &&
               of(node.name).rest.answer == Answer::kSilent;
    });
}

std::string World::client_writer() const {
    const Look& own = of(reference).sql;
    if (own.answer != Answer::kSilent || client_path_fails() || !seen.client.value) return "";
    return settings->client && seen.client.started > own.since ? seen.client.value->answerer : "";
}

bool World::client_path_fails() const {
    if (!settings->client || seen.client.answer == Answer::kNever) return false;
    return !seen.client.value || seen.client.value->in_recovery;
}

World make_world(const Settings& settings, Snapshot seen, const engine::JudgeContext& context,
                 MonoTime valid_from, const std::string& last_primary) {
    World world;
    world.settings = &settings;
    world.now = context.now;
    world.wall_now = context.wall_now;
    world.valid_from = valid_from;
    world.isolated = context.isolated;
    world.stalled = context.stalled;
    world.seen = std::move(seen);
    drop_stale_looks(world);
    find_primary(world, last_primary);
    return world;
}

std::string describe_look(const World& world, const std::string& vantage, const Look& look) {
    if (look.answer == Answer::kNever) return vantage + ": nothing seen lately";
    std::string text = fmt::format("{}: {} for {}", vantage, answer_name(look.answer),
                                   format_duration(world.lasted(look)));
    if (!look.error.empty()) text += " (" + look.error + ")";
    return text;
}

}  // namespace aeterna::postgres
