// death_proof: is the master dead, may we act, and which replicas are fit? Pure: everything that
// was seen comes in.
//
// Two vantages prove a death: our own connection (refused at once, silent only after 5 s), and a
// Sentinel's or a replica's. A master that came back empty, or with an older state of its data, is proven by what it and
// its replicas say of themselves (client/info.h lost_data): it would empty them, or take what they have more.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "redis/client/cluster.h"

namespace aeterna::redis {

struct ReplicaAnswer {
    const RedisNode* node = nullptr;
    std::optional<NodeInfo> info;
    std::optional<Error> error;
};

struct DeathInput {
    const RedisSettings& settings;
    const RedisNode& master;
    std::vector<SentinelAnswer> sentinels;
    std::optional<NodeInfo> master_info;  // nothing: it did not answer, `master_error` says how
    std::optional<Error> master_error;
    Duration silent_for{};                // since our first try in vain
    std::vector<ReplicaAnswer> replicas;  // all other nodes
    bool is_fenceable = false;
    // The history that the master came back without, once that is proven. It may be killed since, and what the Sentinels
    // heard of it last was the empty one.
    std::string lost_history{};
    // The one that it wrote when our probes heard it last; empty: they never did.
    std::string known_history{};
};

struct DeathVerdict {
    enum class Kind { kProven, kNotYet, kRefused };
    Kind kind = Kind::kNotYet;
    std::string form;                   // refused | silent | empty (it came back with less than its replicas)
    std::vector<std::string> evidence;  // what proves it, or what is missing
    std::vector<const RedisNode*> fit;  // replicas that may be promoted, the fullest first
};

[[nodiscard]] DeathVerdict judge_death(const DeathInput& input);

// Why a failover of theirs could begin where we do not see it: too few Sentinels answer, and the others may live. Empty
// when none could.
[[nodiscard]] std::string unseen_majority(const DeathInput& input);

// Who else has lost it at this moment: Sentinels and replicas, each with what it sees.
[[nodiscard]] std::vector<std::string> other_vantages(const DeathInput& input);

// Why the replica must not be promoted; empty when it may be.
[[nodiscard]] std::string why_unfit(const ReplicaAnswer& replica, const DeathInput& input);
// Promotable replicas, the fullest first.
[[nodiscard]] std::vector<const RedisNode*> fit_replicas(const DeathInput& input);
// That the master restarted without its data or with an older state of it, and the replicas have not followed it yet. Empty when
// it is not so.
[[nodiscard]] std::vector<std::string> proof_of_emptiness(const DeathInput& input);

}  // namespace aeterna::redis
