// See stack_file.h. Texts are written as JSON strings, which YAML reads as they are.
#include "lab/stack_file.h"

#include <fmt/format.h>

#include "base/json.h"
#include "base/strings.h"
#include "lab/backups.h"
#include "lab/server_commands.h"
#include "lab/server_config.h"

namespace aeterna::lab {
namespace {

std::string quoted(const std::string& text) { return dump_json(Json(text)); }

std::string url(const Layout& layout, const char* service, int host) {
    return quoted("http://" + layout.endpoint(service, host).to_string());
}

std::string host_section(const Layout& layout, const Programs& programs, const std::string& name,
                         int host) {
    std::string text =
        fmt::format("  - name: {}\n    site: a\n    executor: local\n    processes:\n", name);
    for (const Node& node : layout.nodes()) {
        if (node.host != host) continue;
        // PostgreSQL is started by its Patroni, and by nothing else.
        const std::string starts =
            node.kind == "postgres" ? fmt::format("patroni-{}", node.host) : node.name;
        std::vector<std::string> argv;
        for (const std::string& word :
             {programs.self, std::string("lab"), std::string("up"), std::string("--dir"),
              layout.directory, std::string("--only"), starts})
            argv.push_back(quoted(word));
        text += fmt::format("      - node: {}\n        pid_file: {}\n        start: [{}]\n        fence: marker\n",
                            node.name, quoted(layout.pid_file_of(node)), join(argv, ", "));
    }
    return text;
}

std::string postgres_section(const Layout& layout) {
    std::string text = fmt::format(
        R"(  postgres:
    objectives: {{rto: 5m, rpo: 5m}}
    # Actions that need no question. A stack of your own starts with an empty list.
    approvals: [heartbeat, failover, switchover, drill]
    # A primary that is proven dead is fenced and its lease ended, without a question. Your own stack starts with off.
    assist: act
    scope: {}
    namespace: /service
    user: {}                    # not a superuser: pg_monitor, its own schema, CREATE in its database
    password_file: {}
    database: {}
    ssl_mode: disable
    client: {}        # HAProxy: what applications connect to
    exporter_job: postgres
    capture: on                 # by serve, into the repository
    nodes:
)",
        kScope, kRole, quoted(layout.secret_file("postgres_aeterna_dr")), kDatabase,
        quoted(layout.endpoint("haproxy", kFrontHost).to_string()));
    for (int n = 1; n <= kHosts; ++n)
        text += fmt::format(
            "      - {{name: postgres-{0}, agent: patroni-{0}, member: postgres-{0}, address: {1}, "
            "patroni: {2}}}\n",
            n, quoted(layout.endpoint("postgres", n).to_string()), url(layout, "patroni", n));
    return text;
}

std::string redis_section(const Layout& layout) {
    std::string text = fmt::format(
        "  redis:\n    objectives: {{rto: 2m, rpo: 5m}}\n    approvals: [failover, switchover, "
        "drill]\n    assist: act\n"
        "    master_name: {}\n    password_file: {}\n",
        kMasterName, quoted(layout.secret_file("redis")));
    for (const auto& [key, kind] :
         {std::pair{"nodes", "redis"}, std::pair{"sentinels", "sentinel"}}) {
        text += fmt::format("    {}:\n", key);
        for (int n = 1; n <= kHosts; ++n) {
            const std::string name = fmt::format("{}-{}", kind, n);
            const auto node = layout.find(name);
            const bool is_data = node && node->kind == "redis";
            text += fmt::format("      - {{name: {}, address: {}{}}}\n", name,
                                quoted(layout.endpoint(kind, n).to_string()),
                                is_data ? ", config_file: " + quoted(config_file(layout, *node)) : "");
        }
    }
    return text;
}

std::string qdrant_section(const Layout& layout) {
    std::string text =
        layout.has_real_qdrant()
            ? std::string("  qdrant:\n")
            : std::string(
                  "  # A STAND-IN answers here, not a real Qdrant: none was found.\n  qdrant:\n");
    text += fmt::format(
        "    objectives: {{rto: 10m, rpo: 5m}}\n    approvals: [drill]\n    api_key_file: {}\n    "
        "nodes:\n",
        quoted(layout.secret_file("qdrant")));
    for (int n = 1; n <= kHosts; ++n)
        text += fmt::format("      - {{name: qdrant-{}, url: {}}}\n", n, url(layout, "qdrant", n));
    return text;
}

}  // namespace

std::string stack_file(const Layout& layout, const Programs& programs) {
    std::vector<std::string> etcd;
    for (int n = 1; n <= kHosts; ++n) etcd.push_back(url(layout, "etcd", n));
    std::string text = fmt::format(
        R"(# Written by 'aeterna-dr lab up', which writes it anew each time: edit a copy.
# The format: docs/stack-file.md. Secrets are never in it, only the files that hold them.
name: lab
state_directory: {}     # journal, ledgers, post-mortems
objectives: {{rto: 15m, rpo: 5m}}     # overall
lab: {{directory: {}}}     # marks a lab; only 'lab up' writes this

etcd:     # Patroni's: leader key and lease; our actor lock
  endpoints: [{}]

prometheus:
  url: {}

serve:
  listen: {}     # /metrics, /status, /healthz

repository:     # where backups and WAL are
  place: {}
  key_file: {}

# Where the processes are, how to find them and how to start one again. An equal number in names is one host.
hosts:
)",
        quoted(layout.path("state")), quoted(layout.directory), join(etcd, ", "),
        url(layout, "prometheus", kFrontHost),
        quoted(layout.endpoint("serve", kFrontHost).to_string()), quoted(repository_directory(layout)),
        quoted(repository_key_file(layout)));
    for (int n = 1; n <= kHosts; ++n)
        text += host_section(layout, programs, fmt::format("host-{}", n), n);
    text += host_section(layout, programs, "front", kFrontHost);
    return text + "\nstores:\n" + postgres_section(layout) + "\n" + redis_section(layout) + "\n" +
           qdrant_section(layout);
}

}  // namespace aeterna::lab
