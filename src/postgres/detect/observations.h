// What the probes of PostgreSQL saw, as values with time. A failed look is an observation too, and
// it matters how it failed: "refused" is a kernel that spoke (strong), "silent" is nothing at all
// (weak).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "env/room.h"
#include "postgres/client/dcs.h"
#include "postgres/client/patroni_json.h"
#include "postgres/client/sql.h"
#include "postgres/client/wal_upkeep.h"

namespace aeterna::postgres {

enum class Answer {
    kNever,        // not asked yet, or too long ago to count
    kAnswered,     // a valid answer
    kRefused,      // connection refused or reset: the host lives, the process does not
    kSilent,       // time-out, no route
    kUnavailable,  // the server answered that it cannot serve now (starting up, shutting down,
                   // full)
    kRejected,     // it answered with another error: authentication, read-only, wrong protocol
};
[[nodiscard]] std::string_view answer_name(Answer answer);
// How an error of a probe counts.
[[nodiscard]] Answer answer_of(const Error& error);

// Everything known without the value's type.
struct Look {
    Answer answer = Answer::kNever;
    MonoTime started{};  // of the newest run
    MonoTime at{};       // its end
    MonoTime since{};    // start of the first of the unbroken row of equal answers
    int repeats = 0;     // length of that row
    std::string error;   // one line, empty when answered
    std::string sqlstate;  // of that error; empty: it has none

    [[nodiscard]] bool answered() const { return answer == Answer::kAnswered; }
    // One failed look alone is no judgement.
    [[nodiscard]] bool failed_once() const { return !answered() && repeats == 1; }
    [[nodiscard]] bool refused_twice() const { return answer == Answer::kRefused && repeats >= 2; }
};

template <class T>
struct Observation : Look {
    std::shared_ptr<const T> value;  // only when answered; shared, as the board is copied for each judgement
};

struct ConnectView {
    bool tcp_accepted = false;
};

struct ClientView {
    std::string answerer;  // node name, or the address when it is not in the stack file
    bool in_recovery = false;
    bool wrote = false;  // a heartbeat row went through; else only read
};

struct ExporterSample {
    std::string instance;
    std::optional<double> up;     // Prometheus could scrape the exporter
    std::optional<double> pg_up;  // the exporter could ask PostgreSQL
};

struct ExporterView {
    std::vector<ExporterSample> samples;  // empty = unknown, never "down"
};

// A file system that a server writes to.
struct DiskView {
    std::string path;
    env::Room room;
};

struct NodeObservations {
    Observation<PatroniNode> rest;
    Observation<PatroniCluster> cluster;  // this agent's view of all members
    Observation<SqlView> sql;             // over a kept connection
    Observation<ConnectView> connect;     // TCP and a new session each time
    Observation<bool> heartbeat;          // true: a row was written; false: it is a replica
    Observation<WalUpkeep> wal;
    Observation<std::vector<DiskView>> disks;  // by the executor of its host, dead or alive
    // Start of the unbroken row of answers "not in recovery"; meaningful while that is the newest
    // answer.
    MonoTime primary_since{};
};

struct Snapshot {
    std::map<std::string, NodeObservations> nodes;  // by node name
    Observation<DcsView> dcs;
    Observation<std::vector<services::EtcdMemberHealth>> etcd_health;
    Observation<ExporterView> exporter;
    Observation<ClientView> client;
    MonoTime trusted_since{};  // the watching process had stalled, or was cut off, until then
    bool client_accepts = false;  // beside a failed `client`: something there accepted a connection
};

// How often each vantage is asked and how long it may take: also what "stale" means.
struct Rhythm {
    Duration period;
    Duration timeout;
    // A look older than this tells nothing about now.
    [[nodiscard]] constexpr Duration stale_after() const { return 3 * period + timeout; }
};
inline constexpr Rhythm kRestRhythm{500ms, 1s};
inline constexpr Rhythm kClusterRhythm{2s, 1s};
inline constexpr Rhythm kSqlRhythm{500ms, 1s};
inline constexpr Rhythm kConnectRhythm{2s, 1s};
inline constexpr Rhythm kHeartbeatRhythm{1s, 2s};
inline constexpr Rhythm kWalRhythm{5s, 2s};
inline constexpr Rhythm kDiskRhythm{2s, 1s};
inline constexpr Rhythm kDcsRhythm{500ms, 1s};
inline constexpr Rhythm kEtcdHealthRhythm{2s, 2s};
inline constexpr Rhythm kExporterRhythm{2s, 2s};
inline constexpr Rhythm kClientRhythm{1s, 2s};

// Folds a newer look into an observation.
template <class T>
void fold(Observation<T>& observation, Result<T> outcome, MonoTime started, MonoTime at) {
    const Answer answer = outcome ? Answer::kAnswered : answer_of(outcome.error());
    if (answer != observation.answer || observation.repeats == 0) {
        observation.since = started;
        observation.repeats = 0;
    }
    observation.answer = answer;
    observation.repeats++;
    observation.started = started;
    observation.at = at;
    if (outcome) {
        observation.value = std::make_shared<const T>(std::move(*outcome));
        observation.error.clear();
        observation.sqlstate.clear();
    } else {
        observation.value.reset();
        observation.error = outcome.error().to_string();
        observation.sqlstate = sqlstate_of(outcome.error());
    }
}

}  // namespace aeterna::postgres
