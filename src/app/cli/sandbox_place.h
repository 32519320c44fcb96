// Where and as whom a command runs a server of its own: options of restore and restore-test.
#pragma once

#include <optional>
#include <string>

#include "app/cli/session.h"
#include "engine/restore_test/restore_test.h"
#include "engine/restore_test/sandbox.h"

namespace CLI {
class App;
}

namespace aeterna::app {

struct SandboxOptions {
    std::string work, server_bin, run_as;
    [[nodiscard]] bool is_given() const { return !work.empty() || !server_bin.empty() || !run_as.empty(); }
};
void add_sandbox_options(CLI::App& command, SandboxOptions& options);

// Nothing: ourselves. Servers refuse root; `usual` is whom they run as then. kUsage.
[[nodiscard]] Result<std::optional<env::User>> find_run_as(const Session& session, const std::string& wanted,
                                                           const std::string& usual);
// Another user's server has to reach it, which the state directory does not let it.
[[nodiscard]] std::string find_work(const Session& session, const std::string& given,
                                    const std::string& state_directory, bool is_for_other);
[[nodiscard]] engine::SandboxOrder sandbox_order(const engine::RestoreTester& tester, const std::string& work,
                                                 const std::optional<env::User>& user);
// An absolute path, or nothing.
[[nodiscard]] std::string server_bin_of(const Session& session, const SandboxOptions& options);

}  // namespace aeterna::app
