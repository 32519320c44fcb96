// A scenario: what is done to a cluster and what it answers with, in a file that the models run here and the real
// servers run in tests/live. Where the two differ, the model is wrong.
//
// "store" is "postgres" when it is absent, or "redis"; "mode" is "asynchronous", "synchronous" or "failsafe", for Redis
// "with AOF" or "without persistence". Steps, in order; nodes are named by their part when the scenario begins: "leader" (the
// primary, the master), "first" and "second" (the replicas by name), "standby" (the synchronous one):
//   {"do": "kill|stop|continue|start", "what": ["agent", "server", "etcd", "sentinel"], "of": NODE}
//   {"do": "pause|resume", "what": ["cluster"], "of": "leader"}
//   {"do": "order", "what": ["failover"], "of": NODE}        SENTINEL FAILOVER, to NODE's Sentinel
//   {"do": "hold", "what": ["server"], "of": NODE}           CLIENT PAUSE for 60 s, of writes
//   {"expect": FACT, "is": VALUE, "after": A, "within": B}   true for the first time A to B seconds after the last "do"
//   {"pass": SECONDS}
//   {"keep": FACT, "is": VALUE, "seconds": S}                true at every look for S seconds
// Facts: "key" (who holds the leader key: NODE, "nobody", "another" than the leader), "named" (the master by every
// Sentinel that answers: NODE, "another"), "writer" (who acknowledged a row in the last second: NODE, "nobody",
// "another", "one", "two"), "follows" (that NODE replicates from the only writer), "kept" (who has a row from before the
// scenario: NODE, "nobody"), "healthy" ("yes").
#pragma once

#include <string>
#include <vector>

#include "base/json.h"

namespace aeterna::sim {

struct ScenarioResult {
    std::vector<std::string> failures;
    std::vector<std::string> told;  // what came true when
};

[[nodiscard]] ScenarioResult run_scenario(const Json& scenario, std::uint64_t seed);

}  // namespace aeterna::sim
