#include "lab/stand_in/replication.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"

namespace aeterna::lab {
namespace {

constexpr Duration kForwardTimeout = 2s;  // Qdrant's connect time-out
constexpr Duration kGossipTimeout = 1s;
constexpr Duration kPullTimeout = 10s;
constexpr std::size_t kPageSize = 500;

}  // namespace

Result<env::HttpResponse> Replication::ask(const StandInPeer& peer, const std::string& method,
                                           const std::string& path_and_query,
                                           const std::string& body, Duration timeout) {
    env::HttpRequest request;
    request.method = method;
    request.url = peer.url + path_and_query;
    request.body = body;
    request.response_limit_bytes = 64 << 20;
    request.headers = {{"Content-Type", "application/json"}, {"x-stand-in-peer", config_.name}};
    if (!config_.api_key.empty()) request.headers.emplace_back("api-key", config_.api_key.reveal());
    const env::Context context{env_.clock.now() + timeout, {}, config_.name};
    Result<env::HttpResponse> response = env_.http.send(request, context);
    note(peer.peer_id, response ? Status{} : Status(response.error()));
    return response;
}

void Replication::note(std::uint64_t peer, const Status& outcome) {
    const WallTime now = env_.clock.wall_now();
    const std::lock_guard lock(mutex_);
    PeerHealth& health = health_[peer];
    if (outcome) {
        health = {};
        return;
    }
    health = {false, health.failures + 1, outcome.error().message, now};
}

std::map<std::uint64_t, PeerHealth> Replication::health() const {
    const std::lock_guard lock(mutex_);
    return health_;
}

std::uint64_t Replication::leader() const {
    const auto peers = health();
    std::size_t answering = 1;
    std::uint64_t lowest = config_.own_id;
    for (const auto& [id, peer] : peers) {
        if (!peer.answered) continue;
        ++answering;
        lowest = std::min(lowest, id);
    }
    return answering >= config_.majority() ? lowest : 0;
}

Json Replication::view() const {
    return database_.read([](const DatabaseState& state) {
        Json records = Json::array();
        for (const auto& [name, collection] : state.collections) {
            records.push_back(collection_record(name, collection));
            if (!collection.dropped) records.push_back(replicas_record(name, collection));
        }
        records.push_back(aliases_record(state.aliases, state.aliases_version));
        return Json{{"records", records}};
    });
}

void Replication::merge_view(const Json& view) {
    const Json* records = find_member(view, "records");
    if (records == nullptr || !records->is_array()) return;
    std::vector<std::string> missed;
    for (const Json& record : *records) {
        const std::string name = find_string(record, "name").value_or("");
        if (find_string(record, "op") == "points") continue;
        const auto version_of = [&name](const DatabaseState& state) {
            const auto found = state.collections.find(name);
            return found == state.collections.end() ? 0 : found->second.version;
        };
        const std::uint64_t before = database_.read(version_of);
        if (!database_.apply(record)) continue;
        const bool is_live = !find_boolean(record, "dropped").value_or(true);
        if (is_live && database_.read(version_of) != before) missed.push_back(name);
    }
    // Learned of by gossip: this node was away when it was created (or lost its disk), so it has
    // not its points.
    for (const std::string& name : missed) {
        env_.log.info("stand_in.replica_missed", {{"collection", name}});
        (void)set_state(name, config_.own_id, "Dead");
    }
}

std::size_t Replication::spread(const Json& record) {
    std::size_t acknowledged = 0;
    for (const StandInPeer& peer : config_.peers) {
        if (peer.peer_id == config_.own_id) continue;
        acknowledged += send_record(peer, record) ? 1 : 0;
    }
    return acknowledged;
}

Status Replication::send_record(const StandInPeer& peer, const Json& record) {
    AETERNA_ASSIGN(const auto response,
                   ask(peer, "POST", "/stand-in/apply", dump_json(record), kForwardTimeout));
    if (response.status == 200) return {};
    return make_error(ErrorCode::kServer, fmt::format("peer '{}' answered {}: {}", peer.name,
                                                      response.status, one_line(response.body)));
}

Status Replication::write_meta(const Json& record) {
    if (leader() == 0)
        return make_error(ErrorCode::kUnavailable, "no quorum: most peers do not answer");
    AETERNA_TRY(database_.apply(record));
    if (spread(record) + 1 >= config_.majority()) return {};
    return make_error(ErrorCode::kUnavailable, "no quorum: most peers do not answer", "",
                      Effect::kUnknown);
}

Status Replication::set_state(const std::string& collection, std::uint64_t peer,
                              const std::string& state) {
    const Json states = {{std::to_string(peer), Json::array({state, database_.next_version()})}};
    const Json record = {{"op", "replicas"}, {"name", collection}, {"states", states}};
    AETERNA_TRY(database_.apply(record));
    env_.log.info("stand_in.replica_changed",
                  {{"collection", collection}, {"peer", std::to_string(peer)}, {"state", state}});
    if (spread(record) + 1 >= config_.majority()) return {};
    return make_error(ErrorCode::kUnavailable, "no quorum: most peers do not answer");
}

Status Replication::mark_dead(const std::string& collection,
                              const std::vector<std::uint64_t>& peers) {
    for (const std::uint64_t peer : peers) {
        if (leader() == 0) {
            return make_error(ErrorCode::kServer,
                              "a failed replica could not be deactivated: no quorum");
        }
        AETERNA_TRY(set_state(collection, peer, "Dead"));
    }
    return {};
}

Status Replication::write_points(const std::string& collection, const Json& record) {
    struct Plan {
        std::map<std::uint64_t, Replica> replicas;
        std::size_t factor = 1;
    };
    const Plan plan = database_.read([&](const DatabaseState& state) {
        const Collection* found = state.find(collection);
        if (found == nullptr) return Plan{};
        return Plan{found->replicas,
                    static_cast<std::size_t>(
                        find_integer(found->config, "write_consistency_factor").value_or(1))};
    });
    std::size_t done = 0, active = 0;
    std::vector<std::uint64_t> failed;
    std::string reason = "no active replica";
    for (const auto& [peer, replica] : plan.replicas) {
        const StandInPeer* address = config_.find_peer(peer);
        if (replica.state == "Dead" || address == nullptr) continue;
        const Status sent =
            peer == config_.own_id ? database_.apply(record) : send_record(*address, record);
        if (!sent) {
            failed.push_back(peer);
            reason = sent.error().message;
            continue;
        }
        ++done;
        active += replica.state == "Active" ? 1 : 0;
    }
    // As in Qdrant: the factor counts only when a replica failed just now, and then nobody is
    // marked Dead.
    const std::size_t wanted = failed.empty() ? 1 : std::min(plan.factor, plan.replicas.size());
    if (active == 0 || done < wanted) {
        return make_error(ErrorCode::kServer,
                          fmt::format("only {} of {} replicas took the write: {}", done,
                                      plan.replicas.size(), reason),
                          "", Effect::kPartial);
    }
    return mark_dead(collection, failed);
}

std::vector<std::uint64_t> Replication::readable_peers(const std::string& collection) const {
    return database_.read([&](const DatabaseState& state) {
        std::vector<std::uint64_t> peers;
        const Collection* found = state.find(collection);
        if (found == nullptr) return peers;
        for (const auto& [peer, replica] : found->replicas) {
            if (replica.state != "Active") continue;
            peers.insert(peer == config_.own_id ? peers.begin() : peers.end(), peer);
        }
        return peers;
    });
}

void Replication::tick(const std::stop_token& stop) {
    for (const StandInPeer& peer : config_.peers) {
        if (stop.stop_requested()) return;
        if (peer.peer_id == config_.own_id) continue;
        const auto response = ask(peer, "GET", "/stand-in/view", "", kGossipTimeout);
        if (!response || response->status != 200) continue;
        if (const auto view = parse_json(response->body, peer.name)) merge_view(*view);
    }
    const auto unwell = database_.read([this](const DatabaseState& state) {
        std::vector<std::string> names;
        for (const auto& [name, collection] : state.collections) {
            const std::string own = collection.state_of(config_.own_id);
            if (!collection.dropped && (own == "Dead" || own == "Partial")) names.push_back(name);
        }
        return names;
    });
    for (const std::string& name : unwell) recover(name, stop);
}

void Replication::recover(const std::string& collection, const std::stop_token& stop) {
    if (leader() == 0) return;
    // Partial first: from now on coordinators send us new writes, so that the pull cannot miss any.
    if (!set_state(collection, config_.own_id, "Partial")) return;
    for (const std::uint64_t source : readable_peers(collection)) {
        const StandInPeer* peer = config_.find_peer(source);
        if (peer == nullptr || source == config_.own_id || !pull(collection, *peer, stop)) continue;
        (void)set_state(collection, config_.own_id, "Active");
        return;
    }
}

Status Replication::pull(const std::string& collection, const StandInPeer& source,
                         const std::stop_token& stop) {
    std::string after;
    while (!stop.stop_requested()) {
        const std::string path = fmt::format("/stand-in/points?collection={}&limit={}&after={}",
                                             collection, kPageSize, after);
        AETERNA_ASSIGN(const auto response, ask(source, "GET", path, "", kPullTimeout));
        if (response.status != 200) return make_error(ErrorCode::kServer, "pull refused");
        AETERNA_ASSIGN(const Json page, parse_json(response.body, source.name));
        AETERNA_TRY(database_.apply(page));
        const auto next = find_string(page, "next");
        if (!next) return {};
        after = *next;
    }
    return make_error(ErrorCode::kCancelled, "stopped");
}

}  // namespace aeterna::lab
