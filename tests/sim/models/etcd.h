// Etcd: a cluster of members, as Patroni and our client see it. One store stands for what Raft has
// agreed on; a member serves it while it reaches a leader that reaches a majority. Modelled from
// etcd 3.4's documentation and source:
//   - a lost leader is replaced 1 to 2 s later (election-timeout 1000 ms, randomised), and leases
//   begin anew then, longer by that time-out (seen on 3.4.23: a lease of 10 s whose leader died after 8 s took its key
//   along 20.2 s after the grant)
//   - the leader looks for expired leases each 500 ms
//   - a request that finds no leader is answered "etcdserver: request timed out" after 7 s
//   - without a leader /health says so; a cut-off member answers serializable reads from what it
//   had
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "env/sim/services.h"
#include "env/sim/world.h"
#include "models/etcd_store.h"

namespace aeterna::sim::models {

// A copy of the keys that follows changes, as Patroni's watch cache.
struct EtcdCache {
    std::map<std::string, EtcdKey> keys;
    bool is_ready = false;
    std::map<std::string, std::int64_t> revisions;  // of each key's newest change, deletions too
    std::int64_t snapshot_revision = 0;
    std::function<void(const EtcdChange&)> on_change;
};

class Etcd {
  public:
    // `hosts`: one member on each.
    Etcd(World& world, std::vector<Host*> hosts, int port);

    [[nodiscard]] std::size_t size() const { return members_.size(); }
    [[nodiscard]] env::Endpoint endpoint(std::size_t member) const;
    [[nodiscard]] Process& process(std::size_t member) { return *members_[member].process; }
    // After a kill.
    void restart(std::size_t member);

    // For models: a change by `client`, through some member that it reaches; blocks the fiber.
    // kUnavailable and network errors. `change` runs on the agreed store.
    template <class T, class Change>
    Result<T> commit(Process& client, const env::Context& context, Change change) {
        Result<T> last = make_error(ErrorCode::kUnavailable, "no etcd member answers");
        const std::size_t first = start_at(client);
        for (std::size_t i = 0; i < members_.size(); ++i) {
            const std::size_t index = (first + i) % members_.size();
            // Patroni's client divides its read time-out among the members (dcs/etcd.py,
            // _calculate_timeouts).
            const MonoTime share = world_.now() + (context.deadline - world_.now()) / 3;
            auto answer = world_.network.call<Result<T>>(
                client, endpoint(index), context.until(share), {false, "etcd", "etcd"},
                [this, index, change](Network::Listener&, Promise<Result<T>> promise) {
                    when_agreed(index, [this, change, promise](bool agreed) {
                        if (!agreed) return promise.send(no_leader());
                        promise.send(Result<T>(change(store_)));
                        publish();
                    });
                });
            last = answer ? std::move(*answer) : Result<T>(std::move(answer).error());
            if (last || !client.is_alive() || context.stop.stop_requested()) return last;
        }
        return last;
    }
    // Keeps `cache` up to date for the life of `client`, as far as the network lets it.
    void follow(Process& client, std::shared_ptr<EtcdCache> cache, std::string prefix);

    [[nodiscard]] const EtcdStore& store() const { return store_; }
    [[nodiscard]] EtcdStore& store() { return store_; }
    // Tells the followers; after a change by hand.
    void publish();
    [[nodiscard]] bool has_leader() const { return leader_ >= 0 && leader_serves_; }
    [[nodiscard]] std::int64_t next_lease() { return ++last_lease_; }
    // A change of the agreed store through the gateway, for the checks of a run. `sent_at`: what a cut path held may
    // arrive much later.
    struct ClientChange {
        Process& client;
        MonoTime sent_at;
        const EtcdStore& before;
        const EtcdStore& after;
    };
    std::function<void(const ClientChange&)> on_client_change;
    bool hides_leases = false;  // TimeToLive is not answered, as while a leader is elected; everything else is

  private:
    struct Member {
        Host* host = nullptr;
        Process* process = nullptr;
        std::shared_ptr<EtcdStore> stale;  // what a cut-off member knows
    };
    struct Follower {
        Process* client;
        std::shared_ptr<EtcdCache> cache;
        std::string prefix;
        std::size_t member = 0;
        bool is_connected = false;
        MonoTime retry_at{};
    };

    void start(std::size_t member);
    void tick();
    void elect();
    [[nodiscard]] bool reaches(std::size_t from, std::size_t to) const;
    [[nodiscard]] bool has_majority(std::size_t member) const;
    [[nodiscard]] bool serves(std::size_t member) const;
    void when_agreed(std::size_t member, std::function<void(bool)> then);
    [[nodiscard]] static Error no_leader();
    [[nodiscard]] std::size_t start_at(const Process& client) const;
    void connect_followers();
    void send_snapshot(Follower& follower);

    World& world_;
    int port_;
    std::vector<Member> members_;
    EtcdStore store_;
    std::int64_t last_lease_ = 7000;
    int leader_ = 0;
    bool leader_serves_ = true;
    MonoTime lost_at_{};
    Duration election_after_{};
    int ticks_ = 0;
    std::vector<std::unique_ptr<Follower>> followers_;
};

}  // namespace aeterna::sim::models
