// How stand-in nodes keep each other's copies: forwarded writes, replica states, gossip, recovery.
// No consensus: meta changes and replica states ask for a majority of acknowledgements and then
// spread by gossip, which is enough to look like Qdrant from outside on one host, and not a design
// for data that matters.
//
// As in Qdrant: a peer that fails a forwarded write is marked Dead for that collection (needs the
// majority, else the write is an error); the last Active copy is never marked; a peer that is
// merely silent stays Active; a Dead peer pulls the state from an Active one (Partial meanwhile: it
// receives writes, serves no reads).
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "lab/stand_in/database.h"
#include "lab/stand_in/stand_in.h"

namespace aeterna::lab {

struct PeerHealth {
    bool answered = true;
    std::uint64_t failures = 0;  // since the last success
    std::string latest_error;
    WallTime latest_error_at{};
};

class Replication {
  public:
    Replication(const StandInConfig& config, Database& database, const env::Env& env)
        : config_(config), database_(database), env_(env) {}

    // One round of gossip and recovery; called every half second by one thread.
    void tick(const std::stop_token& stop);

    // A collection's creation or end, or the aliases: here and on a majority. kUnavailable
    // otherwise.
    Status write_meta(const Json& record);
    // Points, by the collection's write_consistency_factor. kServer when too few replicas took
    // them.
    Status write_points(const std::string& collection, const Json& record);

    // Peers that hold a readable copy, this one first when it does.
    [[nodiscard]] std::vector<std::uint64_t> readable_peers(const std::string& collection) const;
    [[nodiscard]] Result<env::HttpResponse> ask(const StandInPeer& peer, const std::string& method,
                                                const std::string& path_and_query,
                                                const std::string& body, Duration timeout);
    // By peer id, without this one.
    [[nodiscard]] std::map<std::uint64_t, PeerHealth> health() const;
    // The lowest answering peer id, as all see it; 0 without a majority.
    [[nodiscard]] std::uint64_t leader() const;
    // Everything but points, for gossip.
    [[nodiscard]] Json view() const;

  private:
    Status send_record(const StandInPeer& peer, const Json& record);
    void note(std::uint64_t peer, const Status& outcome);
    void merge_view(const Json& view);
    [[nodiscard]] std::size_t spread(const Json& record);
    Status set_state(const std::string& collection, std::uint64_t peer, const std::string& state);
    Status mark_dead(const std::string& collection, const std::vector<std::uint64_t>& peers);
    void recover(const std::string& collection, const std::stop_token& stop);
    Status pull(const std::string& collection, const StandInPeer& source,
                const std::stop_token& stop);

    const StandInConfig& config_;
    Database& database_;
    const env::Env& env_;
    mutable std::mutex mutex_;
    std::map<std::uint64_t, PeerHealth> health_;
};

}  // namespace aeterna::lab
