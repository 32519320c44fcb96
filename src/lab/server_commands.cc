// See server_commands.h.
#include "lab/server_commands.h"

#include <fmt/format.h>

#include "base/strings.h"
#include "lab/server_config.h"

namespace aeterna::lab {
namespace {

using Argv = std::vector<std::string>;
using Environment = std::map<std::string, std::string>;

std::string url(const env::Endpoint& endpoint) { return "http://" + endpoint.to_string(); }

Argv etcd_argv(const Layout& layout, const Programs& programs, const Node& node) {
    std::vector<std::string> cluster;
    for (int n = 1; n <= kHosts; ++n)
        cluster.push_back(fmt::format("etcd-{}={}", n, url(layout.endpoint("etcd_peer", n))));
    const std::string client = url(layout.endpoint("etcd", node.host));
    const std::string peer = url(layout.endpoint("etcd_peer", node.host));
    // After the first start etcd takes the cluster from its data directory and ignores the
    // --initial flags.
    return {programs.etcd,
            "--name",
            node.name,
            "--data-dir",
            node.data_directory,
            "--listen-client-urls",
            client,
            "--advertise-client-urls",
            client,
            "--listen-peer-urls",
            peer,
            "--initial-advertise-peer-urls",
            peer,
            "--initial-cluster",
            join(cluster, ","),
            "--initial-cluster-state",
            "new",
            "--initial-cluster-token",
            kScope,
            "--logger",
            "zap",
            "--log-outputs",
            "stderr"};
}

Argv qdrant_argv(const Layout& layout, const Programs& programs, const Node& node,
                 bool is_other_user) {
    if (!layout.has_real_qdrant())
        return {is_other_user ? own_copy(layout) : programs.self, "lab", "stand-in", "--config",
                config_file(layout, node)};
    Argv argv{layout.qdrant_program, "--uri", url(layout.endpoint("qdrant_peer", node.host)),
              "--disable-telemetry"};
    // A node that has joined once finds its peers in its storage and does not use the address
    // again.
    if (node.host != 1) {
        argv.push_back("--bootstrap");
        argv.push_back(url(layout.endpoint("qdrant_peer", 1)));
    }
    return argv;
}

Environment qdrant_environment(const Layout& layout, const Secrets& secrets, const Node& node) {
    return {{"QDRANT__SERVICE__HOST", node.address.host},
            {"QDRANT__SERVICE__HTTP_PORT", std::to_string(node.address.port)},
            {"QDRANT__SERVICE__GRPC_PORT", std::to_string(layout.ports.at("qdrant_grpc"))},
            {"QDRANT__SERVICE__API_KEY", secrets.reveal("qdrant")},
            {"QDRANT__SERVICE__ENABLE_STATIC_CONTENT", "false"},
            {"QDRANT__CLUSTER__ENABLED", "true"},
            {"QDRANT__CLUSTER__P2P__PORT", std::to_string(layout.ports.at("qdrant_peer"))},
            {"QDRANT__STORAGE__STORAGE_PATH", node.data_directory + "/storage"},
            {"QDRANT__STORAGE__SNAPSHOTS_PATH", node.data_directory + "/snapshots"},
            {"QDRANT__TELEMETRY_DISABLED", "true"}};
}

Environment exporter_environment(const Layout& layout, const Node& node) {
    return {{"DATA_SOURCE_URI",
             fmt::format("{}/{}?sslmode=disable",
                         layout.endpoint("postgres", node.host).to_string(), kDatabase)},
            {"DATA_SOURCE_USER", kExporterRole},
            {"DATA_SOURCE_PASS_FILE", layout.secret_file("postgres_exporter")}};
}

Argv prometheus_argv(const Layout& layout, const Programs& programs, const Node& node) {
    return {programs.prometheus,
            "--config.file=" + config_file(layout, node),
            "--storage.tsdb.path=" + node.data_directory,
            "--web.listen-address=" + node.address.to_string(),
            "--storage.tsdb.retention.time=2d",
            "--storage.tsdb.retention.size=256MB",
            "--log.level=warn"};
}

Argv argv_of(const Layout& layout, const Programs& programs, const Node& node,
             bool is_other_user) {
    const std::string file = config_file(layout, node);
    if (node.kind == "etcd") return etcd_argv(layout, programs, node);
    if (node.kind == "patroni" && !layout.patroni_program.empty())
        return {layout.patroni_program, file};
    if (node.kind == "patroni") return {programs.python, programs.patroni, file};
    if (node.kind == "redis") return {programs.redis_server, file};
    if (node.kind == "sentinel") return {programs.redis_sentinel, file};
    if (node.kind == "qdrant") return qdrant_argv(layout, programs, node, is_other_user);
    if (node.kind == "exporter")
        return {programs.exporter, "--web.listen-address=" + node.address.to_string(),
                "--log.level=warn"};
    if (node.kind == "haproxy") return {programs.haproxy, "-db", "-f", file};
    if (node.kind == "prometheus") return prometheus_argv(layout, programs, node);
    return {programs.self, "--stack", layout.path("stack.yaml"), "serve"};
}

}  // namespace

std::string config_file(const Layout& layout, const Node& node) {
    const std::string extension = node.kind == "patroni" || node.kind == "prometheus" ? "yml"
                                  : node.kind == "haproxy"                            ? "cfg"
                                  : node.kind == "qdrant"                             ? "json"
                                                                                      : "conf";
    return layout.path(fmt::format("etc/{}/{}.{}", node.name, node.kind, extension));
}

std::string own_copy(const Layout& layout) { return layout.path("bin/aeterna-dr"); }

env::SpawnOptions server_command(const Layout& layout, const Secrets& secrets,
                                 const Programs& programs, const Node& node,
                                 const std::optional<env::User>& server_user) {
    env::SpawnOptions options;
    options.argv = argv_of(layout, programs, node, server_user.has_value());
    options.log_path = layout.log_file(node.name);
    options.environment[kMarkerVariable] = layout.directory;
    if (node.kind == "serve") {
        options.working_directory = layout.directory;
        return options;
    }
    // Nothing of the caller's environment: PG…, PATRONI_…, QDRANT__… or a proxy of his would change
    // the servers.
    options.inherit_environment = false;
    options.environment["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    options.environment["LANG"] = "C.UTF-8";
    options.environment["HOME"] = layout.path("data/" + node.name);
    if (node.kind == "qdrant" && layout.has_real_qdrant())
        options.environment.merge(qdrant_environment(layout, secrets, node));
    if (node.kind == "exporter") options.environment.merge(exporter_environment(layout, node));
    options.working_directory = layout.path("data/" + node.name);
    options.user = server_user;
    return options;
}

}  // namespace aeterna::lab
