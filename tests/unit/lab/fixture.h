// A fixed layout, fixed secrets, fixed programs.
#pragma once

#include "lab/layout.h"
#include "lab/programs.h"
#include "lab/secrets.h"

namespace aeterna::lab {

inline Layout test_layout(const std::string& directory = "/var/tmp/t/lab") {
    Layout layout = *Layout::choose(directory, {}, [](const env::Endpoint&) { return true; });
    layout.subnet = 20;
    return layout;
}

inline Secrets test_secrets() {
    return Secrets({{"postgres_superuser", Secret("secret-super")},
                    {"postgres_replication", Secret("secret-replication")},
                    {"postgres_rewind", Secret("secret-rewind")},
                    {"postgres_aeterna_dr", Secret("secret-ours")},
                    {"postgres_exporter", Secret("secret-exporter")},
                    {"redis", Secret("secret-redis")},
                    {"qdrant", Secret("secret-qdrant")}});
}

inline Programs test_programs() {
    Programs programs;
    programs.etcd = "/usr/bin/etcd";
    programs.python = "/usr/bin/python3";
    programs.patroni = "/usr/bin/patroni";
    programs.postgres_directory = "/usr/lib/postgresql/15/bin";
    programs.redis_server = "/usr/bin/redis-server";
    programs.redis_sentinel = "/usr/bin/redis-sentinel";
    programs.haproxy = "/usr/sbin/haproxy";
    programs.prometheus = "/usr/bin/prometheus";
    programs.exporter = "/usr/bin/prometheus-postgres-exporter";
    programs.self = "/opt/aeterna-dr";
    return programs;
}

}  // namespace aeterna::lab
