// Layout: which servers a lab consists of, and where each of them listens and keeps its files. A
// value without I/O: the same lab.json always gives the same nodes, addresses and paths.
//
// Nodes are named `<kind>-<n>`; an equal n is one host with the address 127.0.x.n. What stands in
// front of the stores (HAProxy, Prometheus, serve) has 127.0.x.10. A port is the server's stock
// port unless something on this machine listens on it at every address.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "env/net.h"

namespace aeterna::lab {

inline constexpr int kHosts = 3;
inline constexpr int kFrontHost = 10;  // HAProxy, Prometheus, serve
inline constexpr int kFirstSubnet = 16;
inline constexpr int kLastSubnet = 250;
// Every process of a lab has this environment variable, with the lab's directory as its value.
inline constexpr const char* kMarkerVariable = "AETERNA_DR_LAB";

struct Node {
    std::string name;   // "redis-2", "serve"
    std::string kind;   // "redis"
    std::string store;  // postgres | redis | qdrant; empty for what serves all of them
    int host = 0;       // last byte of its address
    std::string site = "a";
    env::Endpoint address;
    std::string data_directory;  // empty when it keeps nothing
    std::string server = "real";
    bool is_spawned = true;  // false: another node starts it (PostgreSQL is Patroni's child)
};

class Layout {
  public:
    // Picks ports and the subnet x. `can_listen` answers for an endpoint, `taken` are subnets of
    // other labs. Ports are never in 32768-60999, where the kernel picks the local ports of
    // outgoing connections.
    [[nodiscard]] static Result<Layout> choose(
        const std::string& directory, const std::set<int>& taken,
        const std::function<bool(const env::Endpoint&)>& can_listen);
    [[nodiscard]] static Result<Layout> from_json(const Json& document);
    [[nodiscard]] Json to_json() const;

    [[nodiscard]] std::vector<Node> nodes() const;
    // By name; "postgres-2" is found too.
    [[nodiscard]] std::optional<Node> find(const std::string& name) const;
    // `service` is a key of `ports`: "etcd_peer", "qdrant_grpc" …
    [[nodiscard]] env::Endpoint endpoint(const std::string& service, int host) const;
    // Every endpoint that the node itself listens on.
    [[nodiscard]] std::vector<env::Endpoint> listens(const Node& node) const;

    [[nodiscard]] std::string path(const std::string& relative) const {
        return directory + "/" + relative;
    }
    [[nodiscard]] std::string log_file(const std::string& node) const;
    [[nodiscard]] std::string pid_file(const std::string& node) const;
    // The pid file to find the node by: PostgreSQL's own for postgres, ours for the others.
    [[nodiscard]] std::string pid_file_of(const Node& node) const;
    [[nodiscard]] std::string secret_file(const std::string& name) const;
    // Where postgres-<host> has its Unix socket; empty when the path would be too long for a socket
    // address.
    [[nodiscard]] std::string socket_directory(int host) const;
    [[nodiscard]] bool has_real_qdrant() const { return !qdrant_program.empty(); }

    std::string directory;  // canonical
    int subnet = 0;         // the x of 127.0.x.y
    std::map<std::string, int> ports;
    bool synchronous = false;
    std::string qdrant_program;   // empty: the stand-in
    std::string patroni_program;  // empty: Debian's
    bool initialized = false;     // it was healthy once: from then on its data is worth keeping
};

// Nothing, or why a directory cannot hold a lab (its path goes into the configuration of many
// servers).
[[nodiscard]] std::optional<std::string> unusable_directory(const std::string& directory);

}  // namespace aeterna::lab
