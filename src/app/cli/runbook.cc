// runbook list|show: the human-readable runbook, rendered from the steps that would be run.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "app/cli/commands.h"
#include "app/cli/session.h"

namespace aeterna::app {
namespace {

struct RunbookOptions {
    std::string store;
    std::string name;
};

Json step_to_json(const engine::Step& step) {
    const engine::StepSpec& spec = step.spec();
    return Json{{"step", spec.name},
                {"help", spec.help},
                {"does", step.describe()},
                {"condition", step.condition()},
                {"risk", engine::risk_name(spec.risk)},
                {"timeout_seconds", to_seconds(spec.timeout)},
                {"undo", spec.has_undo}};
}

// As serve would run it on this stack: what it begins by itself goes by the store's assist.
Json parameters_of(const config::Stack& stack, const RunbookOptions& options) {
    const config::StoreSection* section = stack.find_store(options.store);
    const bool is_reaction = options.name == "failover" || options.name == "reconcile";
    if (!is_reaction || section == nullptr) return Json::object();
    return Json{{"assist", config::assist_name(section->assist)}};
}

Result<int> run_runbook_list(Session& session) {
    AETERNA_ASSIGN(OpenStack * open, session.open());
    Json document{{"runbooks", Json::array()}};
    for (const auto& store : open->stores) {
        for (const engine::RunbookInfo& info : store->runbooks()) {
            document["runbooks"].push_back({{"store", store->name()}, {"name", info.name}, {"help", info.help}});
            if (!session.options.json) {
                session.print(fmt::format("{:<10} {:<12} {}", store->name(), info.name, info.help));
            }
        }
    }
    if (session.options.json) session.print_json(document);
    return 0;
}

Result<int> run_show(Session& session, const RunbookOptions& options) {
    AETERNA_ASSIGN(OpenStack * open, session.open());
    AETERNA_ASSIGN(engine::Store * store, open->find(options.store));
    const Json parameters = parameters_of(open->stack, options);
    auto runbook = store->make_runbook(options.name, parameters);
    if (!runbook && runbook.error().code == ErrorCode::kNotFound) {
        return make_error(ErrorCode::kUsage,
                          fmt::format("store '{}' has no runbook '{}'", options.store, options.name),
                          "See 'aeterna-dr runbook list'.");
    }
    if (!runbook) return runbook.error();
    if (session.options.json) {
        Json document{{"store", runbook->store},
                      {"name", runbook->name},
                      {"purpose", runbook->purpose},
                      {"approval", runbook->approval},
                      {"parameters", parameters},
                      {"steps", Json::array()}};
        for (const auto& step : runbook->steps) document["steps"].push_back(step_to_json(*step));
        session.print_json(document);
        return 0;
    }
    session.print(fmt::format("{} {}\n\n{}\n", runbook->name, runbook->store, runbook->purpose));
    int number = 0;
    for (const auto& step : runbook->steps) {
        const engine::StepSpec& spec = step->spec();
        const std::string condition = step->condition();
        session.print(fmt::format("{}. {}\n{}   {}: {}\n   risk: {}, at most {}, {}", ++number, step->describe(),
                                  condition.empty() ? "" : "   " + condition + "\n", spec.name, spec.help,
                                  engine::risk_name(spec.risk), format_duration(spec.timeout),
                                  spec.has_undo ? "can be undone" : "no undo"));
    }
    if (find_string(parameters, "assist") == "act") {
        session.print(fmt::format("\nApproved by 'assist: act' of stores.{}.", runbook->store));
    } else if (!runbook->approval.empty()) {
        session.print(fmt::format("\nNeeds approval: --yes, a person, or '{}' under approvals of stores.{}.",
                                  runbook->approval, runbook->store));
    }
    return 0;
}

}  // namespace

void add_runbook_command(CLI::App& app, Session& session) {
    auto options = std::make_shared<RunbookOptions>();
    CLI::App* command = app.add_subcommand("runbook", "The procedures, rendered from their steps");
    command->require_subcommand(1);
    CLI::App* list = command->add_subcommand("list", "Every store's runbooks");
    list->callback([&session] { session.run([&session] { return run_runbook_list(session); }); });
    CLI::App* show = command->add_subcommand("show", "One runbook, step by step");
    show->add_option("STORE", options->store)->required();
    show->add_option("NAME", options->name)->required();
    show->callback([&session, options] {
        session.run([&session, options] { return run_show(session, *options); });
    });
}

}  // namespace aeterna::app
