// What is asked of a restored server, and how the answers of PostgreSQL's own programs are read. An error of these
// calls ends the test (a deadline, a stop); what merely could not be made is a check that is "not checked".
#pragma once

#include <string>
#include <vector>

#include "engine/restore_test/restore_test.h"
#include "postgres/restore_test/scratch_server.h"

namespace aeterna::postgres {

// Every database that may be connected to: a session, and a look into its catalog. `databases` gets their names.
[[nodiscard]] Result<engine::TestCheck> check_databases(const ScratchServer& server,
                                                        std::vector<std::string>& databases,
                                                        const env::Context& context);
// pg_amcheck over all of them, heaps against their indexes; installs the extension where it is missing.
[[nodiscard]] Result<engine::TestCheck> check_structure(const ScratchServer& server, unsigned workers,
                                                        const env::Context& context);
[[nodiscard]] Result<engine::TestCheck> check_query(const ScratchServer& server, const engine::TestQuery& query,
                                                    const env::Context& context);
// Every page of the cleanly ended server.
[[nodiscard]] Result<engine::TestCheck> check_pages(const ScratchServer& server, const env::Context& context);

// A deadline or a stop, whatever was asked.
[[nodiscard]] bool ends_test(const Error& error);

// Pure.
[[nodiscard]] engine::TestCheck read_amcheck(const env::RunResult& result);
[[nodiscard]] engine::TestCheck read_checksums(const env::RunResult& result);

}  // namespace aeterna::postgres
