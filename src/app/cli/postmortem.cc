// postmortem show|export: the report of a drill or an incident, written from the journal.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "app/cli/commands.h"
#include "app/cli/session.h"
#include "report/post_mortem.h"

namespace aeterna::app {
namespace {

struct PostMortemOptions {
    std::string id;
    std::string output;
};

Result<std::string> render(Session& session, const std::string& id) {
    AETERNA_ASSIGN(OpenStack * open, session.open());
    // What people have added to the written file counts more than what can be rendered again.
    const std::string written = fmt::format("{}/post-mortems/{}.md", open->stack.state_directory, id);
    if (id.find('/') == std::string::npos && session.env().files.exists(written)) {
        return session.env().files.read(written);
    }
    AETERNA_ASSIGN(const auto journal, session.open_journal(open->stack));
    AETERNA_ASSIGN(const auto material,
                   report::collect_material(id, open->stack.name, open->stack.state_directory, *journal));
    return report::post_mortem_markdown(material);
}

Result<int> show(Session& session, const PostMortemOptions& options) {
    AETERNA_ASSIGN(const std::string text, render(session, options.id));
    if (session.options.json) session.print_json({{"id", options.id}, {"markdown", text}});
    else session.print(text);
    return 0;
}

Result<int> export_to(Session& session, const PostMortemOptions& options) {
    AETERNA_ASSIGN(const std::string text, render(session, options.id));
    if (session.env().files.exists(options.output)) {
        return make_error(ErrorCode::kAlreadyExists, fmt::format("'{}' exists", options.output),
                          "Give a file name that does not exist yet.");
    }
    AETERNA_TRY(session.env().files.write_durable(options.output, text, 0600));
    session.progress(fmt::format("wrote {}", options.output));
    return 0;
}

}  // namespace

void add_postmortem_command(CLI::App& app, Session& session) {
    auto options = std::make_shared<PostMortemOptions>();
    CLI::App* command = app.add_subcommand("postmortem", "The report of a drill or an incident");
    command->require_subcommand(1);
    CLI::App* show_command = command->add_subcommand("show", "Print it (Markdown)");
    show_command->add_option("id", options->id, "A drill's or an incident's id")->required();
    show_command->callback(
        [&session, options] { session.run([&session, options] { return show(session, *options); }); });
    CLI::App* export_command = command->add_subcommand("export", "Write it into a file");
    export_command->add_option("id", options->id, "A drill's or an incident's id")->required();
    export_command->add_option("--output", options->output, "File to create")->required();
    export_command->callback(
        [&session, options] { session.run([&session, options] { return export_to(session, *options); }); });
}

}  // namespace aeterna::app
