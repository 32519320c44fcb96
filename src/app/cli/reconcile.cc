// reconcile: ends a lasting division of a store's servers about who is primary.
#include <CLI/CLI.hpp>

#include "app/cli/act.h"
#include "app/cli/commands.h"

namespace aeterna::app {

void add_reconcile_command(CLI::App& app, Session& session) {
    auto request = std::make_shared<ActRequest>();
    request->runbook = "reconcile";
    CLI::App* command = app.add_subcommand("reconcile", "End a lasting division about who is primary");
    command->add_option("STORE", request->store, "redis")->required();
    command->add_flag("--dry-run", request->dry_run, "Show the plan, change nothing");
    command->add_flag("--yes", request->yes, "Do not ask");
    command->add_flag("--during-maintenance", request->during_maintenance, "Act although a window holds");
    command->callback([&session, request] { session.run([&session, request] { return act(session, *request); }); });
}

}  // namespace aeterna::app
