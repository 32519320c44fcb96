#include "app/cli/sandbox_place.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

namespace aeterna::app {

void add_sandbox_options(CLI::App& command, SandboxOptions& options) {
    command
        .add_option("--work", options.work,
                    "Where the sandbox is made; else the state directory, as root /var/tmp/aeterna-dr-0")
        ->type_name("DIR");
    command.add_option("--server-bin", options.server_bin, "Where the server's programs are; else looked for")
        ->type_name("DIR");
    command.add_option("--run-as", options.run_as, "As root: whom the server runs as")->type_name("USER");
}

Result<std::optional<env::User>> find_run_as(const Session& session, const std::string& wanted,
                                             const std::string& usual) {
    env::Processes& processes = session.env().processes;
    if (processes.effective_uid() != 0) {
        if (wanted.empty()) return std::optional<env::User>();
        AETERNA_ASSIGN(const env::User user, processes.find_user(wanted));
        if (user.owner.uid == processes.effective_uid()) return std::optional<env::User>();
        return make_error(ErrorCode::kUsage, fmt::format("only root can run the server as '{}'", wanted),
                          "Leave --run-as out, or run this as that user.");
    }
    const std::string& name = wanted.empty() ? usual : wanted;
    auto user = processes.find_user(name);
    if (!user || user->owner.uid == 0) {
        return make_error(ErrorCode::kUsage,
                          user ? std::string("the server refuses to run as root")
                               : fmt::format("there is no user '{}' to run the server as", name),
                          "Name an ordinary account: --run-as USER.");
    }
    return std::optional(std::move(*user));
}

std::string find_work(const Session& session, const std::string& given, const std::string& state_directory,
                      bool is_for_other) {
    const env::Env& env = session.env();
    if (!given.empty()) return env.files.canonical(given);
    if (!is_for_other) return env.files.canonical(state_directory);
    return fmt::format("/var/tmp/aeterna-dr-{}", env.processes.effective_uid());
}

engine::SandboxOrder sandbox_order(const engine::RestoreTester& tester, const std::string& work,
                                   const std::optional<env::User>& user) {
    return {work, user, tester.programs()};
}

std::string server_bin_of(const Session& session, const SandboxOptions& options) {
    return options.server_bin.empty() ? "" : session.env().files.canonical(options.server_bin);
}

}  // namespace aeterna::app
