// switchover: a planned change of the primary that loses nothing.
#include <CLI/CLI.hpp>

#include "app/cli/act.h"
#include "app/cli/commands.h"

namespace aeterna::app {

void add_switchover_command(CLI::App& app, Session& session) {
    auto request = std::make_shared<ActRequest>();
    auto candidate = std::make_shared<std::string>();
    request->runbook = "switchover";
    CLI::App* command = app.add_subcommand("switchover", "Move a store's primary, planned, losing nothing");
    command->add_option("STORE", request->store, "postgres, redis")->required();
    command->add_option("--candidate", *candidate, "The node that becomes primary");
    command->add_flag("--dry-run", request->dry_run, "Show the plan, change nothing");
    command->add_flag("--yes", request->yes, "Do not ask");
    command->add_flag("--during-maintenance", request->during_maintenance, "Act although a window holds");
    command->callback([&session, request, candidate] {
        session.run([&session, request, candidate] {
            if (!candidate->empty()) request->parameters["candidate"] = *candidate;
            return act(session, *request);
        });
    });
}

}  // namespace aeterna::app
