// cluster_status: Green, Yellow or Red with its reasons, from what was seen. Pure.
//
// Green: every node answers, consensus works, every replica is readable. Yellow: redundancy is lost
// or something is not as it should be, but every shard has a readable replica on a node that
// serves, and a majority of the peers is there. Red: a shard without such a replica, no majority,
// or no node that serves (all silent, or 503). Nothing: it cannot be told (isolated, not all asked,
// our key is refused everywhere).
//
// A replica that nobody has written to since its peer died still says Active (facts §3: there is no
// heartbeat); therefore a replica counts only where its node answers us.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/detect/monitor.h"
#include "qdrant/detect/board.h"

namespace aeterna::qdrant {

enum class Color { kGreen, kYellow, kRed };
[[nodiscard]] std::string_view color_name(Color color);  // Green Yellow Red

// Older observations count as silence.
inline constexpr Duration kApiFresh = 4s;
inline constexpr Duration kCollectionsFresh = 8s;
inline constexpr Duration kMetricFresh = 20s;

// One replica, as the majority of the answering nodes sees it.
struct ReplicaSeen {
    std::string collection;
    std::uint64_t shard = 0;
    std::uint64_t peer_id = 0;
    std::string node;         // "qdrant-1", or "peer 123" when the stack file does not know it
    std::string state;        // Active Dead …
    bool is_serving = false;  // readable, and its node serves
};

struct Verdict {
    std::optional<Color> color;
    std::vector<std::string> reasons;
    // Red only as long as silence counts as death: with the silent nodes it would not be.
    bool is_red_by_silence = false;
    // What each configured node is now, age considered.
    std::map<std::string, Answer> answers;
    std::vector<ReplicaSeen> replicas;
};

// `node_urls`: by node name, to know a peer that never answered by the host of its URI.
[[nodiscard]] Verdict cluster_status(const Seen& seen,
                                     const std::map<std::string, std::string>& node_urls,
                                     const engine::JudgeContext& context);

// The node's answer, silence when it is old; kNever when it is old because this process itself
// stood still.
[[nodiscard]] Answer present_answer(const NodeSeen& node, const engine::JudgeContext& context);

// Turns looks begun before `trusted_since` into none: this process stood still during them, so that
// they tell nothing about the servers.
void forget_before(MonoTime trusted_since, Seen& seen);

}  // namespace aeterna::qdrant
