// postmortem show|edit|export: the report of a drill or an incident, written from the journal.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "app/cli/commands.h"
#include "app/cli/session.h"
#include "report/human_text.h"
#include "report/post_mortem_file.h"

namespace aeterna::app {
namespace {

struct PostMortemOptions {
    std::string id;
    std::string output;
};

Result<std::string> render(Session& session, const std::string& id) {
    AETERNA_ASSIGN(OpenStack * open, session.open());
    AETERNA_ASSIGN(const auto journal, session.open_journal(open->stack));
    return report::PostMortemFile(id, open->stack, *journal, session.env()).show();
}

// $VISUAL, $EDITOR, else vi where there is a terminal for it.
Result<std::string> editor_of(const env::Env& env) {
    for (const char* name : {"VISUAL", "EDITOR"}) {
        const std::string editor = env.files.environment_variable(name).value_or("");
        if (!editor.empty()) return editor;
    }
    if (is_terminal(STDIN_FILENO)) return std::string("vi");
    return make_error(ErrorCode::kUsage, "there is no editor", "Set $EDITOR.");
}

Result<int> edit(Session& session, const PostMortemOptions& options) {
    AETERNA_ASSIGN(OpenStack * open, session.open());
    AETERNA_ASSIGN(const auto journal, session.open_journal(open->stack));
    const env::Env& env = session.env();
    const report::PostMortemFile file(options.id, open->stack, *journal, env);
    AETERNA_TRY(file.render());  // an unknown id leaves no file behind
    AETERNA_ASSIGN(const std::string editor, editor_of(env));
    const std::string form = report::human_template(options.id);
    AETERNA_TRY(env.files.make_directories(open->stack.state_directory + "/post-mortems"));
    if (!env.files.exists(file.human_path())) AETERNA_TRY(env.files.write_durable(file.human_path(), form));
    if (const Status edited = run_on_terminal(editor, file.human_path()); !edited) {
        Error error = edited.error();
        error.hint = fmt::format("What was saved is in '{}'; edit again to have it in the post-mortem.",
                                 file.human_path());
        return error;
    }
    AETERNA_ASSIGN(const std::string text, env.files.read(file.human_path()));
    if (report::parse_human_text(text).empty()) session.progress("nothing is written by people");
    AETERNA_ASSIGN(const auto moved, file.write());
    if (moved) session.progress(fmt::format("'{}' had been edited by hand: kept as '{}'", file.path(), *moved));
    if (session.options.json) session.print_json({{"id", options.id}, {"path", file.path()}});
    else session.print(fmt::format("wrote {}", file.path()));
    return 0;
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
    CLI::App* edit_command = command->add_subcommand("edit", "Write what people know into it, with $EDITOR");
    edit_command->add_option("id", options->id, "A drill's or an incident's id")->required();
    edit_command->callback(
        [&session, options] { session.run([&session, options] { return edit(session, *options); }); });
    CLI::App* export_command = command->add_subcommand("export", "Write it into a file");
    export_command->add_option("id", options->id, "A drill's or an incident's id")->required();
    export_command->add_option("--output", options->output, "File to create")->required();
    export_command->callback(
        [&session, options] { session.run([&session, options] { return export_to(session, *options); }); });
}

}  // namespace aeterna::app
