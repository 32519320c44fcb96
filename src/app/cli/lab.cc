// lab: a real stack of all stores on this host, started, looked at and ended.
// Hidden: `up --only NODE` is what the lab's own stack file starts single nodes with; `stand-in` is
// the process of one Qdrant stand-in.
#include "lab/lab.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "app/cli/commands.h"
#include "app/cli/session.h"
#include "lab/stand_in/stand_in.h"

namespace aeterna::app {
namespace {

constexpr Duration kDownTime = std::chrono::seconds(90);
constexpr Duration kStatusTime = std::chrono::seconds(10);
constexpr Duration kOnlyTime = std::chrono::seconds(20);

struct LabOptions {
    lab::UpOptions up;
    bool purge = false;
    std::string stand_in_config;
};

std::string without_line_end(std::string text) {
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
}

Result<int> run_up(Session& session, const LabOptions& options) {
    const bool is_only = !options.up.only.empty();
    const auto result =
        lab::up(options.up, session.env(), session.context(is_only ? kOnlyTime : lab::kUpTime));
    if (!result) return result.error();
    if (session.options.json)
        session.print_json({{"dir", result->layout.directory},
                            {"started", result->started},
                            {"stack_file", result->layout.path("stack.yaml")},
                            {"notes", result->notes}});
    else if (!is_only) session.print(without_line_end(lab::render(*result)));
    return 0;
}

// What is true of the directory once everything is down.
std::string down_text(const std::string& directory, bool was_there, bool is_purged) {
    if (!was_there) return fmt::format("There is no lab in {}; nothing of one runs.", directory);
    if (is_purged) return fmt::format("Nothing of the lab runs; {} is removed.", directory);
    return fmt::format("Nothing of the lab runs; its data is kept in {} ('lab up' starts it again).", directory);
}

Result<int> run_down(Session& session, const LabOptions& options) {
    const env::Env& env = session.env();
    const std::string directory =
        options.up.directory.empty() ? lab::default_directory(env) : options.up.directory;
    const bool was_there = env.files.exists(directory);
    if (was_there && !env.files.list(directory)) {
        return make_error(ErrorCode::kUsage, fmt::format("'{}' is no directory that can be read", directory),
                          "Name the lab's directory with --dir.");
    }
    AETERNA_TRY(lab::down(directory, options.purge, options.up.progress, env,
                          session.context(kDownTime)));
    if (session.options.json)
        session.print_json({{"dir", directory}, {"purged", options.purge}});
    else
        session.print(down_text(directory, was_there, options.purge));
    return 0;
}

Result<int> run_status(Session& session, const LabOptions& options) {
    AETERNA_ASSIGN(const lab::LabStatus status,
                   lab::status(options.up.directory, session.env(), session.context(kStatusTime)));
    if (session.options.json) session.print_json(status.document);
    else session.print(without_line_end(lab::render(status)));
    return status.is_up ? 0 : 1;
}

Result<int> run_stand_in_process(Session& session, const LabOptions& options) {
    AETERNA_TRY(lab::run_stand_in(options.stand_in_config, session.env(), session.stop()));
    return 0;
}

}  // namespace

void add_lab_command(CLI::App& app, Session& session) {
    const auto options = std::make_shared<LabOptions>();
    options->up.progress = [&session](const std::string& line) { session.progress(line); };
    CLI::App* lab =
        app.add_subcommand("lab", "A real stack of all stores on this host, to watch and to break");
    lab->require_subcommand(1);
    const auto add = [&](const char* name, const char* help,
                         Result<int> (*work)(Session&, const LabOptions&)) {
        CLI::App* command = lab->add_subcommand(name, help);
        command->callback([&session, options, work] {
            session.run([&session, options, work] { return work(session, *options); });
        });
        return command;
    };
    const auto add_directory = [&](CLI::App* command) {
        command->add_option("--dir", options->up.directory,
                            "Where the lab is (default: /var/tmp/aeterna-dr-UID/lab)");
    };

    CLI::App* up = add("up", "Start it (again); returns when it is healthy", run_up);
    add_directory(up);
    up->add_flag("--sync", options->up.synchronous, "PostgreSQL in Patroni's synchronous mode");
    up->add_option("--qdrant", options->up.qdrant,
                   "A Qdrant server (default: $QDRANT_BIN, then 'qdrant' in PATH), or 'stand-in'");
    up->add_option("--patroni", options->up.patroni, "A Patroni program to use instead of Debian's");
    up->add_option("--only", options->up.only, "Start just this node")->group("");

    CLI::App* down = add("down", "End every process of it; the data stays", run_down);
    add_directory(down);
    down->add_flag("--purge", options->purge, "Remove the data too");

    add_directory(add("status", "Its nodes, addresses, processes and credentials", run_status));

    CLI::App* stand_in = add("stand-in", "One Qdrant stand-in", run_stand_in_process);
    stand_in->group("");
    stand_in->add_option("--config", options->stand_in_config, "Its JSON file")->required();
}

}  // namespace aeterna::app
