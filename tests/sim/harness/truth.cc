#include "harness/truth.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace aeterna::sim {
namespace {

constexpr Duration kTruthEvery = std::chrono::milliseconds(100);
// A start in place is worth waiting for, that long.
constexpr Duration kStartInPlace = std::chrono::seconds(55);
// A living server without an agent is stopped this long before its lease ends, not earlier.
constexpr Duration kLeaseLeft = std::chrono::seconds(11);

}  // namespace

Truth::Truth(World& world, Cluster& cluster, const std::vector<std::unique_ptr<Controller>>& controllers)
    : world_(world), cluster_(cluster), controllers_(controllers) {
    look();
}

void Truth::look() {
    refresh();
    world_.scheduler.after(kTruthEvery, [this] { look(); });
}

void Truth::refresh() {
    const MonoTime now = world_.now();
    const models::PatroniSettings& settings = cluster_.settings();
    paused_.note(settings.is_paused, now);
    standby_cluster_.note(settings.is_standby_cluster, now);
    no_quorum_.note(!cluster_.etcd().has_leader(), now);
    config_spoilt_.note(cluster_.is_config_spoilt(), now);
    window_.note(is_window_open_, now);
    const models::EtcdStore& store = cluster_.etcd().store();
    if (std::exchange(view_revision_, store.revision) != store.revision)
        view_ = models::read_view(store.keys, settings.prefix);
    const auto lease = store.leases.find(view_.leader_lease);
    lease_ends_.note(lease == store.leases.end() || lease->second.expires_at - now <= kLeaseLeft, now);
    for (int node = 0; node < Cluster::kNodes; ++node) look_at(node, now);
    for (std::size_t i = 0; i < controllers_.size(); ++i) {
        bool hears_somebody = false, hears_failsafe = false;
        for (int node = 0; node < Cluster::kNodes; ++node) {
            look_from(i, node, now);
            const Host& own = cluster_.controller_host(static_cast<int>(i));
            hears_somebody = hears_somebody || world_.network.is_open(&own, &cluster_.host(node)) ||
                             world_.network.is_open(&cluster_.host(node), &own);
            const models::Patroni& agent = cluster_.patroni(node);
            hears_failsafe = hears_failsafe || (agent.is_failsafe_active() && is_near(i, node) && agent.is_running() &&
                                                !agent.process()->is_stopped() && agent.answers());
        }
        isolated_[i].note(!hears_somebody, now);
        failsafe_[i].note(hears_failsafe, now);
    }
}

void Truth::look_at(int node, MonoTime now) {
    NodeTruth& truth = nodes_[static_cast<std::size_t>(node)];
    const models::Postgres& server = cluster_.postgres(node);
    truth.not_leader.note(view_.leader != server.name(), now);
    truth.foreign_sync.note(cluster_.settings().synchronous_mode && view_.sync_leader != server.name(), now);
    truth.watchdog.note(cluster_.patroni(node).is_watchdog_armed(), now);
    truth.server_up.note(server.is_running() && !server.is_starting(), now);
    bool someone_could = false;
    for (int other = 0; other < Cluster::kNodes; ++other) {
        someone_could = someone_could || (other != node && could_lead(other));
    }
    truth.no_successor.note(!someone_could, now);
    if (node == 0) failover_asked_.note(view_.has_failover, now);
}

bool Truth::could_lead(int node) const {
    const models::Patroni& agent = cluster_.patroni(node);
    const models::Postgres& server = cluster_.postgres(node);
    const bool lives = agent.is_running() && !agent.process()->is_stopped() && agent.answers() && server.is_running() &&
                       !server.is_starting();
    const bool may = !agent.nofailover && (!cluster_.settings().synchronous_mode || !view_.has_sync ||
                                           view_.sync_matches(server.name()));
    return lives && may && view_.optime - server.lsn() <= cluster_.settings().maximum_lag_on_failover;
}

bool Truth::is_near(std::size_t controller, int node) const {
    const Host& own = cluster_.controller_host(static_cast<int>(controller));
    const Host& host = cluster_.host(node);
    return host.slow == Duration() && world_.network.is_open(&own, &host) && world_.network.is_open(&host, &own);
}

void Truth::look_from(std::size_t controller, int node, MonoTime now) {
    NodeTruth& truth = nodes_[static_cast<std::size_t>(node)];
    const models::Postgres& server = cluster_.postgres(node);
    const models::Patroni& agent = cluster_.patroni(node);
    const bool is_heard = server.is_responsive() && !server.is_starting() && is_near(controller, node);
    truth.heard[controller].note(is_heard, now);
    bool replica_hears = false, replica_is_deaf = false, other_writes = false;
    for (int other = 0; other < Cluster::kNodes; ++other) {
        const models::Postgres& replica = cluster_.postgres(other);
        if (other == node || !replica.is_responsive() || replica.is_starting() || !is_near(controller, other)) continue;
        const bool hears = replica.is_streaming() && replica.upstream() == &server && replica.receiver_silence() < 1s;
        (hears ? replica_hears : replica_is_deaf) = true;
        other_writes = other_writes || replica.is_primary();
    }
    truth.replicas_hear[controller].note(replica_hears, now);
    truth.all_replicas_hear[controller].note(replica_hears && !replica_is_deaf, now);
    truth.writes_seen[controller].note(other_writes, now);
    truth.agent_answers[controller].note(agent.is_running() && !agent.process()->is_stopped() && agent.answers() &&
                                             is_near(controller, node),
                                         now);
}

std::string Truth::running_of(int node) const {
    if (cluster_.patroni(node).is_running()) return fmt::format("patroni-{}", node + 1);
    if (cluster_.postgres(node).is_running()) return fmt::format("postgres-{}", node + 1);
    return "";
}

std::vector<std::string> Truth::refusals(int node, std::size_t controller, MonoTime at) const {
    const NodeTruth& truth = nodes_[static_cast<std::size_t>(node)];
    const MonoTime known = at - kKnown;
    std::vector<std::string> lines;
    const auto refuse = [&](const Spans& spans, const char* why) {
        if (spans.covers(known, at)) lines.emplace_back(why);
    };
    refuse(paused_, "the cluster was paused");
    refuse(standby_cluster_, "it was a standby cluster");
    refuse(failover_asked_, "a failover asked for by hand was pending");
    refuse(no_quorum_, "etcd had no quorum");
    refuse(config_spoilt_, "Patroni's configuration could not be read");
    if (node == cluster_.unfenceable) lines.emplace_back("nothing keeps it from being started");
    refuse(failsafe_[controller], "failsafe mode was active");
    refuse(truth.foreign_sync, "the sync key was another's");
    refuse(truth.no_successor, "nobody could be elected instead");
    refuse(truth.watchdog, "a watchdog was armed");
    refuse(truth.not_leader, "it did not hold the leader key");
    refuse(truth.writes_seen[controller], "another node took writes");
    refuse(isolated_[controller], "the controller was cut off from everybody");
    return lines;
}

std::vector<std::string> Truth::against_killing(int node, std::size_t controller) const {
    const NodeTruth& truth = nodes_[static_cast<std::size_t>(node)];
    const MonoTime now = world_.now();
    const models::Postgres& server = cluster_.postgres(node);
    if (server.is_running() && !server.is_starting()) return against_silent(node, controller);
    std::vector<std::string> lines;
    const bool agent_starts_it = truth.agent_answers[controller].covers(now - kKnown, now);
    if (agent_starts_it && truth.server_up.touches(now - kStartInPlace, now - kKnown)) {
        lines.emplace_back("its agent was starting it in place");
    }
    return lines;
}

std::vector<std::string> Truth::against_silent(int node, std::size_t controller) const {
    const NodeTruth& truth = nodes_[static_cast<std::size_t>(node)];
    const MonoTime now = world_.now();
    const MonoTime from = now - kSilenceBeforeAct, to = now - kKnown;
    std::vector<std::string> lines;
    // Without its agent nobody renews the lease: then it must be stopped before the lease ends. An election may have given
    // it its whole time again since the last look.
    if (!cluster_.patroni(node).is_running() && lease_ends_.touches(to, now)) return lines;
    if (truth.heard[controller].touches(from, to, kOneQuestion)) lines.emplace_back("it had answered within 5 s");
    if (truth.replicas_hear[controller].covers(from, to)) lines.emplace_back("a replica still heard it");
    if (truth.all_replicas_hear[controller].touches(from, to, kOneQuestion)) lines.emplace_back("all replicas had heard it within 5 s");
    return lines;
}

}  // namespace aeterna::sim
