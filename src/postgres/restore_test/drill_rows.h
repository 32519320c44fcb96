// The rows that drills had written, where the backup has them (a drill removes its own at its end), against the drills'
// own ledgers. No clock decides: of what one node has acknowledged, everything that was acknowledged before a write was
// sent that is there, has to be there too. What a failover lost belongs to the history of another node, and is not
// missed here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/drill/ledger.h"
#include "engine/restore_test/restore_test.h"
#include "postgres/restore_test/scratch_server.h"

namespace aeterna::postgres {

// The ids that are missing, in order. Pure.
[[nodiscard]] std::vector<std::uint64_t> missing_writes(const engine::LedgerContent& ledger,
                                                        const std::vector<std::uint64_t>& present);

// `ledgers`: the state directory's drills/; empty: there is none to compare with.
[[nodiscard]] Result<engine::TestCheck> check_drill_rows(const ScratchServer& server,
                                                         const std::vector<std::string>& databases,
                                                         const std::string& ledgers, const env::Env& env,
                                                         const env::Context& context);

}  // namespace aeterna::postgres
