// The restore test of PostgreSQL: a base backup into a sandbox, a stock server on it, and questions.
#pragma once

#include <memory>
#include <vector>

#include "engine/restore_test/restore_test.h"
#include "env/file_system.h"

namespace aeterna::postgres {

// Both must outlive it.
[[nodiscard]] std::unique_ptr<engine::RestoreTester> make_restore_tester(const env::Env& env, env::FileSystem& files);
[[nodiscard]] std::vector<engine::CommandOption> restore_test_options();

}  // namespace aeterna::postgres
