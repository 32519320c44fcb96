#include "app/cli/config_text.h"

namespace aeterna::app {

const std::vector<StackOption>& stack_options() {
    static const std::vector<StackOption> options = {
        {"name", "a-z 0-9 -", "required", "The stack's name; every confirmation prints it"},
        {"state_directory", "path", "see below", "Journal, ledgers, post-mortems"},
        {"objectives.rto", "duration", "15m", "Longest outage of the whole stack"},
        {"objectives.rpo", "duration", "5m", "Longest stretch of lost writes of the whole stack"},
        {"etcd.endpoints", "list of URLs", "required", "Patroni's etcd (v3): leader key, lease, our actor lock"},
        {"etcd.user", "text", "none", "etcd user"},
        {"etcd.password_file", "path", "none", "File that holds the etcd user's password"},
        {"etcd.ca_file", "path", "the system's", "Certificate authority for https endpoints"},
        {"etcd.certificate_file", "path", "none", "Client certificate"},
        {"etcd.key_file", "path", "none", "Its key"},
        {"prometheus.url", "URL", "none", "Where exporters' metrics are asked for"},
        {"serve.listen", "HOST:PORT", "required for serve", "Where serve answers /metrics, /status, /healthz"},
        {"journal.keep", "duration", "400d", "What ended longer ago is forgotten; drills with their evidence never are"},
        {"repository.place", "path or s3://…", "required in it", "Where backups are; --repo goes before it"},
        {"repository.key_file", "path", "required in it", "Its key file or passphrase; --key-file goes before it"},
        {"repository.merge_every", "duration", "5m", "While a log is captured, its small pieces are merged this often; at least 1s"},
        {"hosts[].name", "text", "required", "A machine"},
        {"hosts[].site", "text", "none", "Its availability zone"},
        {"hosts[].executor", "local | none", "none", "How we may act on it"},
        {"hosts[].fence_directory", "path", "state_directory/fences", "On the host: what holds its nodes down"},
        {"hosts[].processes[].node", "text", "required", "The node that this process is"},
        {"hosts[].processes[].pid_file", "path", "required", "Its first line is the process id"},
        {"hosts[].processes[].start", "list of words", "none", "Starts it and returns; run without a shell"},
        {"hosts[].processes[].fence", "none | marker", "none",
         "marker: whatever may start it, first looks into fence_directory/NODE; only then can it be fenced"},
        {"lab.directory", "path", "none", "Written by 'lab up' only"},
        {"stores.*.objectives.rto", "duration", "the stack's", "Longest outage of this store"},
        {"stores.*.objectives.rpo", "duration", "the stack's", "Longest stretch of lost writes of this store"},
        {"stores.*.approvals", "list of words", "none",
         "Actions that need no question: heartbeat, failover, switchover, drill, fence, unfence"},
        {"stores.*.assist", "off | propose | act", "off",
         "With a primary that is proven dead: only wait for Patroni or Sentinel, name the steps that would end the wait, "
         "or fence it and take them; act is the standing approval of these steps"},
        {"stores.*.assist_cooldown", "duration", "10m",
         "After an assisted failover the same failure of the same node is only proposed for; a worse one never waits"},
        {"stores.postgres.scope", "text", "required", "Patroni's scope"},
        {"stores.postgres.namespace", "text", "/service", "Patroni's namespace"},
        {"stores.postgres.user", "text", "aeterna_dr", "Role that we log in as"},
        {"stores.postgres.password_file", "path", "none", "File that holds its password"},
        {"stores.postgres.database", "text", "postgres", "Database that we log in to"},
        {"stores.postgres.ssl_mode", "libpq's sslmode", "prefer", "TLS to the servers"},
        {"stores.postgres.ssl_root_certificate", "path", "libpq's", "Certificate authority"},
        {"stores.postgres.client", "HOST:PORT", "none", "What applications connect to"},
        {"stores.postgres.exporter_job", "text", "none", "Job label of the PostgreSQL exporters in Prometheus"},
        {"stores.postgres.capture", "on | off", "off", "serve captures the WAL into the repository; RPO now is told, and judged"},
        {"stores.postgres.slot", "a-z 0-9 _", "aeterna", "Physical slot on every node that capture holds WAL by"},
        {"stores.postgres.synchronous_name", "a-z 0-9 _ -", "none", "Under it capture confirms commits as a synchronous standby does; without it, never"},
        {"stores.postgres.slot_limit", "size", "16GiB", "A slot that holds more WAL than this on its node is dropped, and the hole told"},
        {"stores.postgres.engine", "native | pgbackrest | wal-g", "native", "Who takes and keeps base backups and archives the WAL: we, or a program that is there already"},
        {"stores.postgres.engine_user", "user", "ours; as root postgres", "Whom the engine's program runs as: the owner of its repository"},
        {"stores.postgres.pgbackrest.stanza", "text", "required", "pgBackRest's stanza"},
        {"stores.postgres.pgbackrest.config_file", "path", "pgBackRest's", "Its configuration"},
        {"stores.postgres.pgbackrest.program", "text", "pgbackrest", "Its program, a name or a path"},
        {"stores.postgres.wal_g.data_directory", "path", "required", "The server's data directory on this host"},
        {"stores.postgres.wal_g.config_file", "path", "WAL-G's", "Its configuration"},
        {"stores.postgres.wal_g.program", "text", "wal-g", "Its program, a name or a path"},
        {"stores.postgres.restore_test.queries[].name", "text", "required", "A question that a restore test asks"},
        {"stores.postgres.restore_test.queries[].sql", "text", "required", "SQL; the first value of its first row counts"},
        {"stores.postgres.restore_test.queries[].database", "text", "database", "Where it is asked"},
        {"stores.postgres.restore_test.queries[].expect", "text", "t", "What that value has to be, as text"},
        {"stores.postgres.patroni_user", "text", "none", "Patroni's REST Basic authentication"},
        {"stores.postgres.patroni_password_file", "path", "none", "File that holds its password"},
        {"stores.postgres.nodes[].name", "text", "required", "Node name"},
        {"stores.postgres.nodes[].agent", "text", "none", "Name of its Patroni process under hosts"},
        {"stores.postgres.nodes[].member", "text", "the name", "Its name in Patroni"},
        {"stores.postgres.nodes[].address", "HOST:PORT", "required", "Its PostgreSQL"},
        {"stores.postgres.nodes[].patroni", "URL", "required", "Its Patroni REST API"},
        {"stores.redis.master_name", "text", "required", "The name that Sentinel monitors"},
        {"stores.redis.user", "text", "the default user", "ACL user"},
        {"stores.redis.password_file", "path", "none", "File that holds its password"},
        {"stores.redis.sentinel_user", "text", "the default user", "ACL user at the Sentinels"},
        {"stores.redis.sentinel_password_file", "path", "none", "File that holds its password"},
        {"stores.redis.nodes[].name", "text", "required", "Node name"},
        {"stores.redis.nodes[].address", "HOST:PORT", "required", "Its Redis"},
        {"stores.redis.nodes[].config_file", "path", "none",
         "Its redis.conf on its host: an assisted failover keeps a returning master from starting as one"},
        {"stores.redis.sentinels[].name", "text", "required", "Node name"},
        {"stores.redis.sentinels[].address", "HOST:PORT", "required", "Its Sentinel"},
        {"stores.qdrant.api_key_file", "path", "none", "File that holds the API key"},
        {"stores.qdrant.ca_file", "path", "the system's", "Certificate authority for https addresses"},
        {"stores.qdrant.certificate_file", "path", "none", "Client certificate"},
        {"stores.qdrant.key_file", "path", "none", "Its key"},
        {"stores.qdrant.nodes[].name", "text", "required", "Node name"},
        {"stores.qdrant.nodes[].url", "URL", "required", "Its REST API"},
    };
    return options;
}

std::string_view stack_example() {
    return R"(# The stack: the stores that live and die together. Read strictly: an unknown key is an error.
# Every option: aeterna-dr config explain. Try it: aeterna-dr --stack FILE config check
# Secrets are never in this file: KEY_file names the file that holds one, KEY_environment a variable.
name: production
state_directory: /var/lib/aeterna-dr/production   # journal, ledgers, post-mortems
objectives: {rto: 15m, rpo: 5m}                   # of the whole stack

etcd:                                             # Patroni's; we keep our actor lock there too
  endpoints: ["http://10.0.0.1:2379", "http://10.0.0.2:2379", "http://10.0.0.3:2379"]

prometheus:
  url: http://10.0.0.10:9090

serve:
  listen: 127.0.0.1:9464                          # /metrics, /status, /healthz

repository:                                       # where backups are
  place: /srv/backups                             # or s3://BUCKET/PREFIX?…
  key_file: /etc/aeterna-dr/repository.key

hosts:                                            # an equal number in node names is one host
  - name: host-1
    site: a
    executor: local                               # local | none: how we may act on it
    processes:                                    # argv without a shell
      - {node: patroni-1, pid_file: /run/patroni.pid, start: [systemctl, start, patroni]}
      - node: postgres-1                          # Patroni starts it
        pid_file: /var/lib/postgresql/15/main/postmaster.pid
        start: [systemctl, start, patroni]
      - {node: redis-1, pid_file: /run/redis/redis-server.pid, start: [systemctl, start, redis-server]}

stores:
  postgres:
    objectives: {rto: 5m, rpo: 5m}
    approvals: []                                 # actions that need no question, such as [heartbeat, failover]
    assist: off                                   # off | propose | act: fence a dead primary, do not wait for its lease
    scope: main                                   # Patroni's scope
    user: aeterna_dr                              # its rights: aeterna-dr config check
    password_file: /etc/aeterna-dr/postgres.password
    database: postgres
    ssl_mode: verify-full
    client: 10.0.0.10:5000                        # what applications connect to
    exporter_job: postgres                        # the exporters' job label in Prometheus
    capture: off                                  # on: serve captures the WAL into the repository
    nodes:
      - {name: postgres-1, agent: patroni-1, address: "10.0.0.1:5432", patroni: "http://10.0.0.1:8008"}
      - {name: postgres-2, agent: patroni-2, address: "10.0.0.2:5432", patroni: "http://10.0.0.2:8008"}
      - {name: postgres-3, agent: patroni-3, address: "10.0.0.3:5432", patroni: "http://10.0.0.3:8008"}

  redis:
    objectives: {rto: 2m, rpo: 5m}
    approvals: []
    master_name: mymaster                         # the name that Sentinel monitors
    password_file: /etc/aeterna-dr/redis.password
    nodes:
      - {name: redis-1, address: "10.0.0.1:6379"}
      - {name: redis-2, address: "10.0.0.2:6379"}
      - {name: redis-3, address: "10.0.0.3:6379"}
    sentinels:
      - {name: sentinel-1, address: "10.0.0.1:26379"}
      - {name: sentinel-2, address: "10.0.0.2:26379"}
      - {name: sentinel-3, address: "10.0.0.3:26379"}

  qdrant:
    objectives: {rto: 10m, rpo: 5m}
    approvals: []
    api_key_file: /etc/aeterna-dr/qdrant.key
    nodes:
      - {name: qdrant-1, url: "http://10.0.0.1:6333"}
      - {name: qdrant-2, url: "http://10.0.0.2:6333"}
      - {name: qdrant-3, url: "http://10.0.0.3:6333"}
)";
}

}  // namespace aeterna::app
