// failover: sees a store through the loss of its primary. Who runs it, wants the outage to end: it acts, unless told
// otherwise. What it would fence and release stands in the plan.
#include <CLI/CLI.hpp>

#include "app/cli/act.h"
#include "app/cli/commands.h"

namespace aeterna::app {

void add_failover_command(CLI::App& app, Session& session) {
    auto request = std::make_shared<ActRequest>();
    auto assist = std::make_shared<std::string>("act");
    auto candidate = std::make_shared<std::string>();
    request->runbook = "failover";
    CLI::App* command = app.add_subcommand("failover", "See a store through the loss of its primary");
    command->add_option("STORE", request->store, "postgres, redis")->required();
    command->add_option("--assist", *assist, "off: only wait for Patroni or Sentinel; propose: act when somebody says yes; act")
        ->check(CLI::IsMember({"off", "propose", "act"}))
        ->capture_default_str();
    command->add_option("--candidate", *candidate, "postgres: the node that shall lead, if nothing speaks against it");
    command->add_flag("--dry-run", request->dry_run, "Show the plan, change nothing");
    command->add_flag("--yes", request->yes, "Do not ask");
    command->add_flag("--during-maintenance", request->during_maintenance, "Act although a window holds");
    command->callback([&session, request, assist, candidate] {
        session.run([&session, request, assist, candidate] {
            request->parameters["assist"] = *assist;
            request->meets_proposal = *assist == "act" && candidate->empty();
            if (!candidate->empty()) request->parameters["candidate"] = *candidate;
            return act(session, *request);
        });
    });
}

}  // namespace aeterna::app
