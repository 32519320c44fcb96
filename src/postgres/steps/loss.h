// Loss: is the primary lost so surely, and is everything else so sound, that the lease's wait may be cut short?
// Pure; the order of design: suspect, then refuse. What is uncertain is waited for or refused, never assumed.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "hosts/executor.h"
#include "postgres/detect/world.h"

namespace aeterna::postgres {

// What the host's executor says, and what only time shows.
struct LossEvidence {
    bool host_answered = false;  // the vitals below were read from the process table just now
    hosts::Vitals agent;
    hosts::Vitals server;
    std::string cannot_fence;     // why the host can't; empty: it can
    bool watchdog_armed = false;
    Duration silent_for{};        // how long SQL of the old primary has been silent without a break
    Duration down_for{};          // how long it has not been a primary by SQL, whatever came instead
    int failed_starts = 0;        // by its agent, since it was lost
    Duration starting_for{};      // how long the present start has lasted
    double predicted_recovery_seconds = 0;
    std::map<std::string, Duration> cut_for;  // by replica: how long its WAL receiver has had no connection
};

enum class LossKind {
    kNotNeeded,  // somebody leads, or the lease ends by itself at once
    kWait,       // not proven yet, or its agent still has a chance
    kRefused,    // proven or not: acting could do harm; Patroni is left to it
    kLost,       // dead or silent, proven from two vantages, and nothing speaks against acting
};

struct LossVerdict {
    LossKind kind = LossKind::kWait;
    // Of a refusal: it may pass by itself while the old primary holds its key (a replica catches up, an agent answers again).
    bool may_pass = false;
    std::vector<std::string> reasons;  // each names its vantage
};

// A stalled node may come back within this time: it is never fenced before.
inline constexpr Duration kSilenceBeforeFence = std::chrono::seconds(5);
// With its agent alive, a crashed PostgreSQL is started in place; that long is worth waiting for.
inline constexpr Duration kLongestRecovery = std::chrono::seconds(60);
// A living PostgreSQL whose agent can't be brought back is stopped this long before the lease ends: then Patroni
// promotes another node, and there would be two writers.
inline constexpr std::int64_t kAgentLossMarginSeconds = 8;

// What one look refuses may be a late answer of etcd or of an agent: it stands only when it has lasted, and what may
// pass never stands.
inline constexpr Duration kRefusalStands = std::chrono::seconds(2);

// Somebody who was unfit a moment ago gets a moment to prove that he is fit now.
inline constexpr Duration kCalmAfterRefusal = std::chrono::seconds(1);

class RefusalWatch {
  public:
    // After each verdict; true when the looking may end with it.
    [[nodiscard]] bool settles(const LossVerdict& verdict, MonoTime now);

  private:
    std::optional<MonoTime> since_;  // of this refusal
    std::optional<MonoTime> last_;   // refusal of any kind
};

[[nodiscard]] LossVerdict judge_loss(const World& world, const NodeSettings& old, const LossEvidence& evidence);

// What the keys in etcd and the agents say against a failover from `old`, whoever begins it: a pause, failsafe mode, a standby
// cluster, another failover under way, a sync key of somebody else. Nothing of the keys where etcd cannot be read.
[[nodiscard]] std::vector<std::string> cluster_refusals(const World& world, const NodeSettings& old);

// Everything that forbids to act for `old`, whatever its state; empty when nothing does. First what somebody has to
// change, then what may pass.
[[nodiscard]] std::vector<std::string> assist_refusals(const World& world, const NodeSettings& old,
                                                       const LossEvidence& evidence);

}  // namespace aeterna::postgres
