// The table of services, the choice of subnet and ports, and lab.json.
#include "lab/layout.h"

#include <fmt/format.h>

#include "base/strings.h"

namespace aeterna::lab {
namespace {

struct Service {
    const char* name;
    int stock_port;
    const char* kind;  // whose node listens
    bool is_front;
};

constexpr Service kServices[] = {
    {"etcd", 2379, "etcd", false},
    {"etcd_peer", 2380, "etcd", false},
    {"postgres", 5432, "postgres", false},
    {"patroni", 8008, "patroni", false},
    {"redis", 6379, "redis", false},
    {"sentinel", 26379, "sentinel", false},
    {"qdrant", 6333, "qdrant", false},
    {"qdrant_grpc", 6334, "qdrant", false},
    {"qdrant_peer", 6335, "qdrant", false},
    {"exporter", 9187, "exporter", false},
    {"haproxy", 5000, "haproxy", true},
    {"haproxy_replicas", 5001, "haproxy", true},
    {"haproxy_statistics", 7000, "haproxy", true},
    {"prometheus", 9090, "prometheus", true},
    {"serve", 9464, "serve", true},
};

// No lab uses this subnet: a port that is not free here is taken by a listener on all addresses.
constexpr int kProbeSubnet = 251;
constexpr std::size_t kSocketPathLimit = 107;  // sizeof(sockaddr_un.sun_path) - 1

std::string address(int subnet, int host) { return fmt::format("127.0.{}.{}", subnet, host); }

bool is_allowed_port(int port) { return port < 32768 || (port > 60999 && port <= 65535); }

std::optional<int> choose_port(const Service& service, const std::set<int>& used,
                               const std::function<bool(const env::Endpoint&)>& can_listen) {
    for (int shift = 0; shift <= 60000; shift = shift == 0 ? 10000 : shift + 1000) {
        const int port = service.stock_port + shift;
        if (port > 65535) break;
        if (!is_allowed_port(port) || used.contains(port)) continue;
        if (can_listen({address(kProbeSubnet, 1), port})) return port;
    }
    return std::nullopt;
}

std::vector<int> hosts_of(const Service& service) {
    if (service.is_front) return {kFrontHost};
    return {1, 2, 3};
}

}  // namespace

Result<Layout> Layout::choose(const std::string& directory, const std::set<int>& taken,
                              const std::function<bool(const env::Endpoint&)>& can_listen) {
    Layout layout;
    layout.directory = directory;
    std::set<int> used;
    for (const Service& service : kServices) {
        const auto port = choose_port(service, used, can_listen);
        if (!port)
            return make_error(ErrorCode::kUnavailable,
                              fmt::format("no free port on loopback for '{}'", service.name),
                              "Stop what listens on all addresses at these ports.");
        used.insert(*port);
        layout.ports[service.name] = *port;
    }
    constexpr int kSubnets = kLastSubnet - kFirstSubnet + 1;
    const int first = static_cast<int>(stable_hash(directory) % kSubnets);
    for (int i = 0; i < kSubnets; ++i) {
        layout.subnet = kFirstSubnet + (first + i) % kSubnets;
        if (taken.contains(layout.subnet)) continue;
        bool is_free = true;
        for (const Service& service : kServices)
            for (const int host : hosts_of(service))
                is_free = is_free && can_listen(layout.endpoint(service.name, host));
        if (is_free) return layout;
    }
    return make_error(ErrorCode::kUnavailable,
                      "no loopback subnet 127.0.16.* to 127.0.250.* is free",
                      "Stop labs that are not needed: 'aeterna-dr lab down --purge --dir DIR'.");
}

Result<Layout> Layout::from_json(const Json& document) {
    const auto bad = [](const std::string& what) {
        return make_error(ErrorCode::kConfiguration, "lab.json: " + what,
                          "Remove the lab with 'aeterna-dr lab down --purge' and start a new one.");
    };
    Layout layout;
    const auto directory = find_string(document, "directory");
    const auto subnet = find_integer(document, "subnet");
    const Json* ports = find_member(document, "ports");
    if (!directory || !subnet || ports == nullptr) return bad("a member is missing");
    if (*subnet < kFirstSubnet || *subnet > kLastSubnet) return bad("the subnet is out of range");
    layout.directory = *directory;
    layout.subnet = static_cast<int>(*subnet);
    for (const Service& service : kServices) {
        const auto port = find_integer(*ports, service.name);
        if (!port || *port < 1 || *port > 65535)
            return bad(fmt::format("no port for '{}'", service.name));
        layout.ports[service.name] = static_cast<int>(*port);
    }
    layout.synchronous = find_boolean(document, "synchronous").value_or(false);
    layout.qdrant_program = find_string(document, "qdrant_program").value_or("");
    layout.patroni_program = find_string(document, "patroni_program").value_or("");
    layout.initialized = find_boolean(document, "initialized").value_or(false);
    return layout;
}

Json Layout::to_json() const {
    return Json{{"version", 1},
                {"directory", directory},
                {"subnet", subnet},
                {"ports", ports},
                {"synchronous", synchronous},
                {"qdrant_program", qdrant_program},
                {"patroni_program", patroni_program},
                {"initialized", initialized}};
}

std::vector<Node> Layout::nodes() const {
    std::vector<Node> nodes;
    const auto add = [&](const std::string& kind, const std::string& store, int number, int host) {
        Node node;
        node.kind = kind;
        node.name = kind == "serve" ? kind : fmt::format("{}-{}", kind, number);
        node.store = store;
        node.host = host;
        node.address = endpoint(kind, host);
        node.is_spawned = kind != "postgres";
        if (kind == "qdrant" && !has_real_qdrant()) node.server = "stand-in";
        if (kind != "exporter" && kind != "haproxy" && kind != "serve" && kind != "patroni")
            node.data_directory = path("data/" + node.name);
        nodes.push_back(node);
    };
    for (const char* kind : {"etcd", "patroni", "postgres", "exporter"})
        for (int n = 1; n <= kHosts; ++n) add(kind, "postgres", n, n);
    add("haproxy", "postgres", 1, kFrontHost);
    for (const char* kind : {"redis", "sentinel"})
        for (int n = 1; n <= kHosts; ++n) add(kind, "redis", n, n);
    for (int n = 1; n <= kHosts; ++n) add("qdrant", "qdrant", n, n);
    add("prometheus", "", 1, kFrontHost);
    add("serve", "", 1, kFrontHost);
    return nodes;
}

std::optional<Node> Layout::find(const std::string& name) const {
    for (const Node& node : nodes())
        if (node.name == name) return node;
    return std::nullopt;
}

env::Endpoint Layout::endpoint(const std::string& service, int host) const {
    const auto found = ports.find(service);
    return {address(subnet, host), found == ports.end() ? 0 : found->second};
}

std::vector<env::Endpoint> Layout::listens(const Node& node) const {
    std::vector<env::Endpoint> endpoints;
    for (const Service& service : kServices)
        if (node.kind == service.kind) endpoints.push_back(endpoint(service.name, node.host));
    return endpoints;
}

std::string Layout::log_file(const std::string& node) const {
    // PostgreSQL writes its own log, as its own user: a folder of its own.
    if (node.starts_with("postgres-")) return path("log/postgres/" + node + ".log");
    return path("log/" + node + ".log");
}

std::string Layout::pid_file(const std::string& node) const { return path("run/" + node + ".pid"); }

std::string Layout::pid_file_of(const Node& node) const {
    if (node.kind == "postgres") return node.data_directory + "/postmaster.pid";
    return pid_file(node.name);
}

std::string Layout::secret_file(const std::string& name) const { return path("secrets/" + name); }

std::string Layout::socket_directory(int host) const {
    const std::string folder = path(fmt::format("run/postgres-{}", host));
    const std::string socket = fmt::format("{}/.s.PGSQL.{}", folder, ports.at("postgres"));
    return socket.size() <= kSocketPathLimit ? folder : "";
}

std::optional<std::string> unusable_directory(const std::string& directory) {
    if (directory.empty() || directory.front() != '/') return "is not an absolute path";
    if (split(directory, '/').size() < 3) return "is too close to the root of the file system";
    for (const char c : directory) {
        const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                              (c >= '0' && c <= '9') || c == '/' || c == '.' || c == '_' ||
                              c == '-' || c == '+' || c == '@';
        if (!is_plain) return "has characters other than letters, digits and /._-+@";
    }
    return std::nullopt;
}

}  // namespace aeterna::lab
