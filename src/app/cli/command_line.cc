#include "app/cli/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "app/cli/commands.h"
#include "app/cli/session.h"

namespace aeterna::app {
namespace {

// An empty text is what "$UNSET" gives: to go on with the default would mean another stack than somebody thinks of.
const CLI::Validator& not_empty() {
    static const CLI::Validator validator(
        [](const std::string& text) { return text.empty() ? std::string("it is given, but empty") : std::string(); }, "");
    return validator;
}

void add_global_options(CLI::App& app, GlobalOptions& options) {
    app.add_option("--stack", options.stack,
                   "Stack name or file; else $AETERNA_DR_STACK, else /etc/aeterna-dr/stack.yaml")
        ->check(not_empty());
    app.add_option("--repo", options.repository, "Repository; else the stack file's");
    app.add_option("--key-file", options.key_file, "The repository's key; else the stack file's");
    app.add_option("--timeout", options.timeout, "Give up after this long (30s, 5m)")->check(not_empty());
    app.add_flag("--json", options.json, "One JSON document on stdout, nothing else");
    app.add_flag("--quiet", options.quiet, "No progress on stderr");
    app.add_flag("--no-color", options.no_color, "No colours; so does $NO_COLOR");
    app.add_option("--log-format", options.log_format, "Log on stderr as text or json")
        ->check(CLI::IsMember({"text", "json"}));
}

void add_commands(CLI::App& app, Session& session) {
    add_lab_command(app, session);
    add_config_command(app, session);
    add_status_command(app, session);
    add_incident_command(app, session);
    add_serve_command(app, session);
    add_failover_command(app, session);
    add_switchover_command(app, session);
    add_reconcile_command(app, session);
    add_fence_command(app, session);
    add_unfence_command(app, session);
    add_maintenance_command(app, session);
    add_execution_command(app, session);
    add_runbook_command(app, session);
    add_repo_command(app, session);
    add_backup_command(app, session);
    add_backups_command(app, session);
    add_recovery_points_command(app, session);
    add_restore_command(app, session);
    add_export_command(app, session);
    add_restore_test_command(app, session);
    add_archive_get_command(app, session);
    add_archive_push_command(app, session);
    add_drill_command(app, session);
    add_postmortem_command(app, session);
    for (const char* name : {"lab", "config"}) app.get_subcommand(name)->group("Set up");
    for (const char* name : {"status", "incident", "serve"}) app.get_subcommand(name)->group("Watch");
    for (const char* name : {"failover", "switchover", "reconcile", "fence", "unfence", "maintenance", "execution", "runbook"}) {
        app.get_subcommand(name)->group("Act");
    }
    for (const char* name : {"repo", "backup", "backups", "restore", "restore-test", "recovery-points", "export", "archive-get", "archive-push"}) app.get_subcommand(name)->group("Keep");
    for (const char* name : {"drill", "postmortem"}) app.get_subcommand(name)->group("Prove");
}

// "runbook show": the deepest command that was recognised, for the hint.
std::string recognised_command(const CLI::App& app) {
    std::string path;
    const CLI::App* at = &app;
    while (!at->get_subcommands().empty()) {
        at = at->get_subcommands().front();
        path += " " + at->get_name();
    }
    return path;
}

Error usage_error(const CLI::App& app, const CLI::ParseError& error) {
    std::string message = error.what();
    const std::string command = recognised_command(app);
    // With no command recognised, the first stray word is what was meant as one.
    if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr && command.empty()) {
        const std::vector<std::string> stray = app.remaining(true);
        message = stray.empty() ? "a command is missing" : fmt::format("unknown command '{}'", stray.front());
    } else if (message == "A subcommand is required") {
        message = fmt::format("'{}' needs to be told what to do", command.substr(1));
    }
    if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
        const std::vector<std::string> stray = app.remaining(true);
        const std::string word = stray.empty() ? "" : stray.front();
        message = command.empty() ? fmt::format("unknown command '{}'", word)
                                  : fmt::format("'{}' is not understood by '{}'", word, command.substr(1));
    }
    if (!message.empty() && message.back() == '.') message.pop_back();
    return make_error(ErrorCode::kUsage, message, fmt::format("See 'aeterna-dr{} --help'.", command));
}

}  // namespace

int run_command_line(const std::vector<std::string>& arguments) {
    Session session;
    CLI::App app{"Aeterna DR: watches a stack of stores, acts, and proves that recovery works", "aeterna-dr"};
    app.fallthrough();  // global options may follow the command
    app.require_subcommand(1);
    app.set_version_flag("--version", fmt::format("aeterna-dr {}", kVersion), "Print the version");
    app.get_formatter()->column_width(26);
    add_global_options(app, session.options);
    add_commands(app, session);
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());  // what CLI11 takes
    try {
        app.parse(reversed);
    } catch (const CLI::Success& success) {  // --help, --version
        return app.exit(success);
    } catch (const CLI::ParseError& error) {
        session.options.json = std::find(arguments.begin(), arguments.end(), "--json") != arguments.end();
        if (app.got_subcommand("archive-get")) session.fail_with(kArchiveFailed);
        return session.fail(usage_error(app, error));
    }
    return session.execute();
}

}  // namespace aeterna::app
