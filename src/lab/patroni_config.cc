// patroni.yml. `etcd3`, not `etcd`: etcd 3.4 answers the v2 API with 404 and Patroni would wait for
// ever.
#include <fmt/format.h>

#include "base/strings.h"
#include "lab/server_config.h"

namespace aeterna::lab {
namespace {

// The part that is written to etcd once, at bootstrap.
std::string bootstrap_section(const Layout& layout) {
    return fmt::format(R"(bootstrap:
  dcs:
    ttl: 30
    loop_wait: 10
    retry_timeout: 10
    maximum_lag_on_failover: 1048576
    synchronous_mode: {}
    ignore_slots:
      - {{name: aeterna, type: physical}}
    postgresql:
      use_pg_rewind: true
      use_slots: true
      parameters:
        wal_level: replica
        hot_standby: 'on'
        max_connections: 100
        max_wal_senders: 10
        max_replication_slots: 10
        wal_log_hints: 'on'
  initdb:
    - encoding: UTF8
    - locale: C.UTF-8
    - data-checksums
)",
                       layout.synchronous);
}

std::string postgresql_section(const Layout& layout, const Secrets& secrets,
                               const Programs& programs, int host) {
    return fmt::format(
        R"(postgresql:
  listen: {address}
  connect_address: {address}
  data_dir: {data}
  bin_dir: {bin}
  pgpass: {passwords}
  authentication:
    superuser: {{username: postgres, password: {superuser}}}
    replication: {{username: replicator, password: {replication}}}
    rewind: {{username: rewinder, password: {rewind}}}
  pg_hba:
    - local all all scram-sha-256
    - host all all 127.0.0.0/8 scram-sha-256
    - host replication replicator 127.0.0.0/8 scram-sha-256
    - host replication {role} 127.0.0.0/8 scram-sha-256
  basebackup:
    - checkpoint: fast
  parameters:
    unix_socket_directories: '{socket}'
    shared_buffers: 32MB
    fsync: 'on'
    password_encryption: scram-sha-256
    logging_collector: 'on'
    log_directory: {log}
    log_filename: postgres-{host}.log
    log_rotation_age: 0
    log_rotation_size: 0
    log_line_prefix: '%m [%p] '
)",
        fmt::arg("address", layout.endpoint("postgres", host).to_string()),
        fmt::arg("data", layout.path(fmt::format("data/postgres-{}", host))),
        fmt::arg("bin", programs.postgres_directory),
        fmt::arg("passwords", layout.path(fmt::format("data/patroni-{}/pgpass", host))),
        fmt::arg("superuser", secrets.reveal("postgres_superuser")),
        fmt::arg("replication", secrets.reveal("postgres_replication")),
        fmt::arg("rewind", secrets.reveal("postgres_rewind")),
        fmt::arg("role", kRole), fmt::arg("socket", layout.socket_directory(host)),
        fmt::arg("log", layout.path("log/postgres")), fmt::arg("host", host));
}

}  // namespace

std::string patroni_config(const Layout& layout, const Secrets& secrets, const Programs& programs,
                           int host) {
    std::vector<std::string> etcd;
    for (int n = 1; n <= kHosts; ++n)
        etcd.push_back("'" + layout.endpoint("etcd", n).to_string() + "'");
    const std::string rest = layout.endpoint("patroni", host).to_string();
    return fmt::format("scope: {}\nnamespace: {}\nname: postgres-{}\n", kScope, kNamespace, host) +
           fmt::format("restapi:\n  listen: {0}\n  connect_address: {0}\n", rest) +
           fmt::format("etcd3:\n  hosts: [{}]\n", join(etcd, ", ")) + bootstrap_section(layout) +
           postgresql_section(layout, secrets, programs, host) + "watchdog:\n  mode: 'off'\n";
}

}  // namespace aeterna::lab
