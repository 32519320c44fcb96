// The table. How long each condition must hold says why it may: a planned switchover leaves the
// cluster without leader key or writer for up to 3 s, Prometheus' last sample may be from before a
// start and is renewed within two scrapes, proven things do not wait.
#include "postgres/detect/detectors/detectors.h"

namespace aeterna::postgres {

namespace {

using engine::Severity;

bool has_client(const Settings& settings) { return settings.client.has_value(); }
bool has_etcd(const Settings& settings) { return settings.etcd.has_value(); }
bool has_exporter(const Settings& settings) {
    return !settings.prometheus_url.empty() && !settings.exporter_job.empty();
}

bool has_captured_patroni(const Settings& settings) { return settings.captures && settings.etcd.has_value(); }

constexpr DetectorSpec kDetectorSpecs[] = {
    {"postgres.agent_down", "the primary's agent is dead, nobody renews its lease",
     Severity::kCritical, 2s, 1s, judge_agent, nullptr, nullptr},
    {"postgres.archiver_failing", "a server cannot archive its WAL", Severity::kDegraded, 30s, 5s,
     judge_archiver, nullptr, nullptr},
    {"postgres.client_path_down", "applications' own address accepts no writes",
     Severity::kCritical, 2s, 2s, nullptr, judge_client_path, has_client},
    {"postgres.disk_full", "a server has no room to write, or next to none", Severity::kCritical, 4s, 10s, judge_disk, nullptr,
     nullptr},
    {"postgres.etcd_quorum", "etcd has no quorum", Severity::kCritical, 3s, 2s, nullptr,
     judge_etcd_quorum, has_etcd},
    {"postgres.exporter_down", "the exporter is not scraped, or it cannot ask PostgreSQL",
     Severity::kDegraded, 6s, 2s, judge_exporter, nullptr, has_exporter},
    {"postgres.heartbeat_failed", "the primary answers but accepts no heartbeat row",
     Severity::kCritical, 3s, 2s, nullptr, judge_heartbeat, nullptr},
    {"postgres.hung_postmaster", "the postmaster accepts connections but never answers",
     Severity::kCritical, 5s, 2s, judge_hung_postmaster, nullptr, nullptr},
    {"postgres.no_leader", "nobody holds Patroni's leader key", Severity::kCritical, 3s, 1s,
     nullptr, judge_leader_key, nullptr},
    {"postgres.primary_down", "the primary is gone and no other node accepts writes",
     Severity::kCritical, kSilence, 1s, judge_primary, nullptr, nullptr},
    {"postgres.replica_down", "a replica does not serve", Severity::kDegraded, kSilence, 2s,
     judge_replica, nullptr, nullptr},
    {"postgres.replication_lag", "a replica lags too far to be a candidate", Severity::kDegraded,
     10s, 5s, judge_replication_lag, nullptr, nullptr},
    {"postgres.slot_held", "a slot holds most of what slot_limit allows", Severity::kDegraded, 10s,
     5s, judge_slot_held, nullptr, nullptr},
    {"postgres.slot_lost", "a server has removed WAL that a slot held", Severity::kDegraded, 0s, 2s,
     judge_slot_lost, nullptr, nullptr},
    {"postgres.slot_unprotected", "Patroni will drop the slot that capture needs",
     Severity::kDegraded, 10s, 2s, nullptr, judge_slot_protection, has_captured_patroni},
    {"postgres.sync_key_mismatch", "the sync key does not belong to the leader",
     Severity::kDegraded, 20s, 0s, nullptr, judge_sync_key, has_etcd},
    {"postgres.timeline_mismatch", "a replica follows another timeline than the primary's",
     Severity::kDegraded, 30s, 2s, judge_timeline, nullptr, nullptr},
    {"postgres.two_primaries", "two nodes accept writes", Severity::kCritical, 0s, 1s, nullptr,
     judge_two_primaries, nullptr},
    {"postgres.unreachable", "no node answers this watcher, but its leader lives by etcd",
     Severity::kDegraded, kSilence, 2s, nullptr, judge_unreachable, has_etcd},
    {"postgres.wal_growth", "a server keeps more WAL than its settings explain",
     Severity::kDegraded, 60s, 10s, judge_wal_growth, nullptr, nullptr},
};

}  // namespace

std::span<const DetectorSpec> detector_specs() { return kDetectorSpecs; }

}  // namespace aeterna::postgres
