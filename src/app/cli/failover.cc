// failover: guides a store through the loss of its primary.
#include <CLI/CLI.hpp>

#include "app/cli/act.h"
#include "app/cli/commands.h"

namespace aeterna::app {

void add_failover_command(CLI::App& app, Session& session) {
    auto request = std::make_shared<ActRequest>();
    request->runbook = "failover";
    CLI::App* command = app.add_subcommand("failover", "See a store through the loss of its primary");
    command->add_option("STORE", request->store, "postgres, redis")->required();
    command->add_flag("--dry-run", request->dry_run, "Show the plan, change nothing");
    command->add_flag("--yes", request->yes, "Do not ask");
    command->callback([&session, request] { session.run([&session, request] { return act(session, *request); }); });
}

}  // namespace aeterna::app
