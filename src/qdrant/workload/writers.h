// The drill's writers: one upsert per id, its vector derived from the id, so that a reader can tell
// right from wrong. `client`: any node, round robin, the next one on failure (upserts are
// idempotent, so a second try is safe). `direct`: one node only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/drill/drill_store.h"
#include "qdrant/client/qdrant.h"

namespace aeterna::qdrant {

inline constexpr std::size_t kVectorSize = 8;

struct NamedClient {
    std::string name;
    Client client;
};

// Eight numbers in [-1, 1), the same for the same id, different directions for different ids.
[[nodiscard]] std::vector<float> vector_of(std::uint64_t id);

// kFail: certainly not done (nobody listened, or rejected before execution). kUnknown: 5xx (a
// failed write may have been applied on some replicas), time-out, connection lost.
[[nodiscard]] engine::WriteOutcome classify_write(const Status& outcome);

// The worse knowledge of two tries of one write: once unknown, only an acknowledgement settles it.
[[nodiscard]] engine::WriteOutcome combine_tries(engine::WriteOutcome first,
                                                 engine::WriteOutcome second);

// One node: direct; several: client.
[[nodiscard]] std::unique_ptr<engine::Writer> make_writer(std::vector<NamedClient> nodes,
                                                          std::string collection,
                                                          const env::Env& env);

}  // namespace aeterna::qdrant
