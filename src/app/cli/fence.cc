// fence NODE, unfence NODE: hold a server down by hand, and let it run again. The nodes of one server belong together;
// the store says which. Both are journaled like every other execution.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "app/cli/act.h"
#include "app/cli/commands.h"
#include "app/cli/look.h"
#include "app/daemon/fences.h"
#include "base/strings.h"
#include "stack/fencing.h"

namespace aeterna::app {
namespace {

struct FenceOptions {
    std::string node;
    std::string reason = "by hand";
    std::string holder;
    bool no_start = false;
    bool dry_run = false;
    bool yes = false;
};

ActRequest request_for(const char* runbook, const FenceGroup& group, const FenceOptions& options) {
    ActRequest request;
    request.runbook = runbook;
    request.store = group.store;
    request.parameters = {{"nodes", group.nodes}};
    request.dry_run = options.dry_run;
    request.yes = options.yes;
    // Fencing is what people do in a window; it is said, not refused.
    request.during_maintenance = true;
    return request;
}

// Whoever fences the primary should know that he does.
void warn_of_the_primary(Session& session, const OpenStack& open, const FenceGroup& group) {
    Look look(open, session.env());
    const auto view = look.now(session.context(std::chrono::seconds(3)));
    if (!view) return;
    for (const engine::StoreStatus& store : view->status.stores) {
        const bool is_primary = store.store == group.store && store.primary &&
                                std::find(group.nodes.begin(), group.nodes.end(), *store.primary) != group.nodes.end();
        if (is_primary) {
            session.progress(fmt::format("{} is the primary of {}: no writes until another node takes over",
                                         *store.primary, store.store));
        }
    }
}

Result<int> run_fence(Session& session, const FenceOptions& options) {
    AETERNA_ASSIGN(OpenStack * open, session.open());
    AETERNA_ASSIGN(const FenceGroup group, fence_group(*open, options.node));
    AETERNA_TRY(stack::can_fence(open->stack, group.nodes));
    warn_of_the_primary(session, *open, group);
    ActRequest request = request_for("fence", group, options);
    request.parameters["reason"] = one_line(options.reason);
    return act(session, request);
}

// A holder that still acts is left alone unless it is named.
Result<std::vector<std::string>> holders_to_lift(const OpenStack& open, engine::Journal& journal, const FenceGroup& group,
                                                 const FenceOptions& options, const env::Env& env) {
    if (!options.holder.empty()) return std::vector<std::string>{options.holder};
    const Fences fences = read_fences(open.stack, journal, env);
    if (!fences.problem.empty()) {
        return make_error(ErrorCode::kIo, "the fences cannot be read: " + fences.problem,
                          "Name the holder with --holder, or look into the host's fence directory.");
    }
    return liftable_holders(fences, group.nodes);
}

Result<int> run_unfence(Session& session, const FenceOptions& options) {
    AETERNA_ASSIGN(OpenStack * open, session.open());
    AETERNA_ASSIGN(const FenceGroup group, fence_group(*open, options.node));
    AETERNA_ASSIGN(const auto journal, session.open_journal(open->stack));
    AETERNA_ASSIGN(const auto holders, holders_to_lift(*open, *journal, group, options, session.env()));
    ActRequest request = request_for("unfence", group, options);
    request.parameters["holders"] = holders;
    request.parameters["start"] = !options.no_start;
    return act(session, request);
}

}  // namespace

void add_fence_command(CLI::App& app, Session& session) {
    auto options = std::make_shared<FenceOptions>();
    CLI::App* command = app.add_subcommand("fence", "Kill a server and keep it down until it is unfenced");
    command->add_option("NODE", options->node, "postgres-1, redis-2 …")->required();
    command->add_option("--reason", options->reason, "Shown wherever the fence is")->capture_default_str();
    command->add_flag("--dry-run", options->dry_run, "Show the plan, change nothing");
    command->add_flag("--yes", options->yes, "Do not ask");
    command->callback([&session, options] { session.run([&session, options] { return run_fence(session, *options); }); });
}

void add_unfence_command(CLI::App& app, Session& session) {
    auto options = std::make_shared<FenceOptions>();
    CLI::App* command = app.add_subcommand("unfence", "Lift a fence and start the server again");
    command->add_option("NODE", options->node, "postgres-1, redis-2 …")->required();
    command->add_option("--holder", options->holder, "Lift this holder's fence, though it may act still");
    command->add_flag("--no-start", options->no_start, "Only lift it");
    command->add_flag("--dry-run", options->dry_run, "Show the plan, change nothing");
    command->add_flag("--yes", options->yes, "Do not ask");
    command->callback(
        [&session, options] { session.run([&session, options] { return run_unfence(session, *options); }); });
}

}  // namespace aeterna::app
