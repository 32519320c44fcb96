#include "models/etcd.h"

#include "models/etcd_gateway.h"

namespace aeterna::sim::models {
namespace {

constexpr Duration kTick = std::chrono::milliseconds(100);  // heartbeat-interval
constexpr int kTicksPerExpiry = 5;
constexpr Duration kElectionTimeout = std::chrono::seconds(1);
constexpr Duration kRequestTimeout = std::chrono::seconds(7);
constexpr Duration kShortestCommit = std::chrono::microseconds(300);
constexpr Duration kLongestCommit = std::chrono::milliseconds(4);  // two fsyncs
constexpr Duration kFollowerRetry = std::chrono::seconds(1);

}  // namespace

Etcd::Etcd(World& world, std::vector<Host*> hosts, int port) : world_(world), port_(port) {
    for (Host* host : hosts) members_.push_back({host, nullptr, nullptr});
    for (std::size_t i = 0; i < members_.size(); ++i) start(i);
    leader_ = static_cast<int>(world_.rng().below(members_.size()));
    world_.scheduler.after(kTick, [this] { tick(); });
}

env::Endpoint Etcd::endpoint(std::size_t member) const {
    return {members_[member].host->address, port_};
}

void Etcd::start(std::size_t member) {
    ProcessOptions options;
    options.command = "etcd";
    options.host = members_[member].host;
    options.working_directory = "/data/" + members_[member].host->name + "/etcd";
    members_[member].process = &world_.processes.start(std::move(options));
    std::shared_ptr<HttpService> gateway = std::make_shared<EtcdGateway>(
        *this, world_,
        [this, member](std::function<void(bool)> then) { when_agreed(member, std::move(then)); },
        [this, member] { return members_[member].stale ? members_[member].stale.get() : nullptr; });
    world_.network.listen(endpoint(member), *members_[member].process, gateway,
                          &HttpService::kProtocol);
}

void Etcd::restart(std::size_t member) {
    if (!members_[member].process->is_alive()) start(member);
}

bool Etcd::reaches(std::size_t from, std::size_t to) const {
    return world_.network.is_open(members_[from].host, members_[to].host) &&
           world_.network.is_open(members_[to].host, members_[from].host);
}

bool Etcd::has_majority(std::size_t member) const {
    std::size_t count = 0;
    for (std::size_t i = 0; i < members_.size(); ++i) {
        const Process& other = *members_[i].process;
        if (other.is_alive() && !other.is_stopped() && reaches(member, i)) ++count;
    }
    const Process& self = *members_[member].process;
    return self.is_alive() && !self.is_stopped() && count > members_.size() / 2;
}

bool Etcd::serves(std::size_t member) const {
    const Process& self = *members_[member].process;
    return leader_ >= 0 && self.is_alive() && !self.is_stopped() &&
           reaches(member, static_cast<std::size_t>(leader_)) &&
           has_majority(static_cast<std::size_t>(leader_));
}

void Etcd::elect() {
    const std::size_t first = world_.rng().below(members_.size());
    for (std::size_t i = 0; i < members_.size(); ++i) {
        const std::size_t candidate = (first + i) % members_.size();
        if (!has_majority(candidate)) continue;
        leader_ = static_cast<int>(candidate);
        leader_serves_ = true;
        store_.extend_all(world_.now(), kElectionTimeout);
        return;
    }
}

void Etcd::tick() {
    world_.scheduler.after(kTick, [this] { tick(); });
    const bool was_serving = leader_serves_;
    leader_serves_ = leader_ >= 0 && has_majority(static_cast<std::size_t>(leader_));
    if (was_serving && !leader_serves_) {
        lost_at_ = world_.now();
        election_after_ = world_.rng().between(kElectionTimeout, 2 * kElectionTimeout);
    }
    if (!leader_serves_ && world_.now() - lost_at_ >= election_after_) elect();
    if (leader_serves_ && ++ticks_ % kTicksPerExpiry == 0) {
        store_.expire(world_.now());
        publish();
    }
    for (std::size_t i = 0; i < members_.size(); ++i) {
        if (serves(i)) {
            members_[i].stale.reset();
        } else if (!members_[i].stale) {
            members_[i].stale = std::make_shared<EtcdStore>(store_);
        }
    }
    connect_followers();
}

void Etcd::when_agreed(std::size_t member, std::function<void(bool)> then) {
    const Duration takes = world_.rng().between(kShortestCommit, kLongestCommit);
    world_.scheduler.after(takes, [this, member, then = std::move(then)] {
        if (leader_serves_ && serves(member)) {
            then(true);
        } else {
            world_.scheduler.after(kRequestTimeout, [then] { then(false); });
        }
    });
}

Error Etcd::no_leader() {
    return make_error(ErrorCode::kUnavailable, "etcdserver: request timed out");
}

std::size_t Etcd::start_at(const Process& client) const {
    for (std::size_t i = 0; i < members_.size(); ++i) {
        if (members_[i].host == client.host) return i;
    }
    return 0;
}

void Etcd::follow(Process& client, std::shared_ptr<EtcdCache> cache, std::string prefix) {
    auto follower = std::make_unique<Follower>();
    follower->client = &client;
    follower->cache = std::move(cache);
    follower->prefix = std::move(prefix);
    follower->member = start_at(client);
    followers_.push_back(std::move(follower));
    connect_followers();
}

void Etcd::connect_followers() {
    std::erase_if(followers_, [](const auto& follower) { return !follower->client->is_alive(); });
    for (const auto& follower : followers_) {
        if (follower->is_connected && serves(follower->member)) continue;
        const bool can_tell =
            world_.network.is_open(members_[follower->member].host, follower->client->host);
        if (follower->is_connected && !can_tell) continue;  // silence: its socket waits
        if (follower->is_connected) {
            follower->is_connected = false;
            follower->retry_at = world_.now() + kFollowerRetry;
        }
        if (world_.now() < follower->retry_at) continue;
        for (std::size_t i = 0; i < members_.size() && !follower->is_connected; ++i) {
            const std::size_t member = (start_at(*follower->client) + i) % members_.size();
            if (!serves(member) ||
                !world_.network.is_open(members_[member].host, follower->client->host) ||
                !world_.network.is_open(follower->client->host, members_[member].host)) {
                continue;
            }
            follower->member = member;
            send_snapshot(*follower);
        }
    }
}

void Etcd::send_snapshot(Follower& follower) {
    follower.is_connected = true;
    world_.network.carry(*members_[follower.member].host, *follower.client->host, true,
                         [cache = follower.cache, client = follower.client, keys = store_.keys,
                          revision = store_.revision] {
                             client->when_running([cache, keys, revision] {
                                 if (revision < cache->snapshot_revision) return;
                                 // What came meanwhile is newer than the copy.
                                 std::map<std::string, EtcdKey> newest = keys;
                                 for (const auto& [key, changed_at] : cache->revisions) {
                                     if (changed_at <= revision) continue;
                                     newest.erase(key);
                                     const auto present = cache->keys.find(key);
                                     if (present != cache->keys.end()) newest.insert(*present);
                                 }
                                 cache->keys = std::move(newest);
                                 cache->snapshot_revision = revision;
                                 cache->is_ready = true;
                                 if (cache->on_change) cache->on_change({});
                             });
                         });
}

void Etcd::publish() {
    if (store_.changes.empty()) return;
    const std::vector<EtcdChange> changes = std::exchange(store_.changes, {});
    for (const auto& follower : followers_) {
        if (!follower->is_connected || !serves(follower->member)) continue;
        for (const EtcdChange& change : changes) {
            if (!change.key.starts_with(follower->prefix)) continue;
            world_.network.carry(*members_[follower->member].host, *follower->client->host, true,
                                 [cache = follower->cache, client = follower->client, change] {
                                     client->when_running([cache, change] {
                                         // A watch is an ordered stream: what a newer change has
                                         // overtaken tells nothing.
                                         std::int64_t& newest = cache->revisions[change.key];
                                         if (change.revision <= newest ||
                                             change.revision <= cache->snapshot_revision)
                                             return;
                                         newest = change.revision;
                                         if (change.now) {
                                             cache->keys[change.key] = *change.now;
                                         } else {
                                             cache->keys.erase(change.key);
                                         }
                                         if (cache->on_change) cache->on_change(change);
                                     });
                                 });
        }
    }
}

}  // namespace aeterna::sim::models
