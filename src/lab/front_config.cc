// haproxy.cfg and prometheus.yml.
#include <fmt/format.h>

#include "lab/server_config.h"

namespace aeterna::lab {
namespace {

// OPTIONS, as in Patroni's example: an answer with a body, which HAProxy does not wait for, fills
// Patroni's log with reset connections.
std::string proxy_section(const Layout& layout, const char* name, const char* service,
                          const char* path) {
    std::string text = fmt::format(
        "listen {}\n    bind {}\n    option httpchk OPTIONS {}\n    http-check expect status 200\n"
        "    default-server inter 3s fall 3 rise 2 on-marked-down shutdown-sessions\n",
        name, layout.endpoint(service, kFrontHost).to_string(), path);
    for (int host = 1; host <= kHosts; ++host)
        text +=
            fmt::format("    server postgres-{} {} maxconn 100 check port {}\n", host,
                        layout.endpoint("postgres", host).to_string(), layout.ports.at("patroni"));
    return text + "\n";
}

std::string scrape_job(const Layout& layout, const char* job, const char* service, bool is_front) {
    std::string text = fmt::format("  - job_name: {}\n    static_configs:\n", job);
    if (is_front)
        return text + fmt::format("      - targets: ['{}']\n",
                                  layout.endpoint(service, kFrontHost).to_string());
    for (int host = 1; host <= kHosts; ++host)
        text += fmt::format("      - targets: ['{}']\n        labels: {{node: postgres-{}}}\n",
                            layout.endpoint(service, host).to_string(), host);
    return text;
}

}  // namespace

std::string haproxy_config(const Layout& layout) {
    return R"(global
    maxconn 400

defaults
    mode tcp
    retries 2
    timeout client 30m
    timeout connect 4s
    timeout server 30m
    timeout check 5s

)" +
           fmt::format(
               "listen statistics\n    mode http\n    bind {}\n    stats enable\n    stats uri "
               "/\n\n",
               layout.endpoint("haproxy_statistics", kFrontHost).to_string()) +
           proxy_section(layout, "primary", "haproxy", "/primary") +
           proxy_section(layout, "replicas", "haproxy_replicas", "/replica");
}

// Every 2 s: a drill on a lab wants to see a scrape within its detection time, which the usual 15 s
// hide; each scrape of the exporter is some twenty SQL queries, so that 1 s would be felt on two
// cores.
std::string prometheus_config(const Layout& layout) {
    return "global:\n  scrape_interval: 2s\n  scrape_timeout: 2s\n  evaluation_interval: "
           "15s\nscrape_configs:\n" +
           scrape_job(layout, "postgres", "exporter", false) +
           scrape_job(layout, "patroni", "patroni", false) +
           scrape_job(layout, "aeterna-dr", "serve", true);
}

}  // namespace aeterna::lab
