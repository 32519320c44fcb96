// execution list|show|resume|approve|abort: the journaled runs of runbooks.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "app/cli/act.h"
#include "app/cli/commands.h"

namespace aeterna::app {
namespace {

struct ExecutionOptions {
    std::string id;
    bool yes = false;
    bool during_maintenance = false;
    std::size_t limit = 50;
};

Result<int> run_list(Session& session, const ExecutionOptions& options) {
    AETERNA_ASSIGN(OpenStack * open, session.open());
    AETERNA_ASSIGN(const auto journal, session.open_journal(open->stack));
    AETERNA_ASSIGN(const auto executions, journal->executions(options.limit));
    if (session.options.json) {
        Json document{{"executions", Json::array()}};
        for (const auto& execution : executions) {
            Json item = execution_to_json(execution, {});
            item.erase("steps");
            item.erase("facts");
            document["executions"].push_back(std::move(item));
        }
        session.print_json(document);
        return 0;
    }
    if (executions.empty()) session.progress("no executions");
    for (const auto& execution : executions) {
        session.print(fmt::format("{}  {:<17}  {} {}  {}", execution.id,
                                  engine::execution_state_name(execution.state), execution.runbook,
                                  execution.store, execution.summary));
    }
    return 0;
}

Result<int> run_show(Session& session, const ExecutionOptions& options) {
    AETERNA_ASSIGN(OpenStack * open, session.open());
    AETERNA_ASSIGN(const auto journal, session.open_journal(open->stack));
    AETERNA_ASSIGN(const auto execution, journal->execution(options.id));
    if (!execution) {
        return make_error(ErrorCode::kNotFound, fmt::format("there is no execution '{}'", options.id),
                          "List them with 'aeterna-dr execution list'.");
    }
    AETERNA_ASSIGN(const auto steps, journal->steps(options.id));
    if (session.options.json) {
        session.print_json(Json{{"execution", execution_to_json(*execution, steps)}});
        return 0;
    }
    session.print(execution_text(*execution));
    session.print(fmt::format("  begun {} by {}", format_time(execution->started_at), execution->trigger));
    for (const auto& step : steps) session.print(step_line(step));
    return 0;
}

}  // namespace

void add_execution_command(CLI::App& app, Session& session) {
    auto options = std::make_shared<ExecutionOptions>();
    CLI::App* command = app.add_subcommand("execution", "The journaled runs of runbooks");
    command->require_subcommand(1);
    CLI::App* list = command->add_subcommand("list", "Executions, newest first");
    list->add_option("--limit", options->limit, "At most so many")->check(CLI::Range(1, 100000));
    list->callback([&session, options] {
        session.run([&session, options] { return run_list(session, *options); });
    });
    CLI::App* show = command->add_subcommand("show", "One execution with its steps");
    show->add_option("ID", options->id)->required();
    show->callback([&session, options] {
        session.run([&session, options] { return run_show(session, *options); });
    });
    CLI::App* resume = command->add_subcommand("resume", "Go on with one that was interrupted");
    resume->add_option("ID", options->id)->required();
    resume->add_flag("--yes", options->yes, "Do not ask");
    resume->add_flag("--during-maintenance", options->during_maintenance, "Act although a window holds");
    resume->callback([&session, options] {
        session.run([&session, options] { return resume_execution(session, options->id, options->yes, options->during_maintenance); });
    });
    CLI::App* approve = command->add_subcommand("approve", "Say yes to one that awaits approval, and go on with it");
    approve->add_option("ID", options->id)->required();
    approve->callback([&session, options] {
        session.run([&session, options] { return approve_execution(session, options->id); });
    });
    CLI::App* abort = command->add_subcommand("abort", "End one that waits or was interrupted; take back what has an undo");
    abort->add_option("ID", options->id)->required();
    abort->add_flag("--yes", options->yes, "Do not ask");
    abort->callback([&session, options] {
        session.run([&session, options] { return abort_execution(session, options->id, options->yes); });
    });
}

}  // namespace aeterna::app
