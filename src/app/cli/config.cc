// config init|check|explain: writing a stack file, and trying one against the live servers.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "app/cli/check_assist.h"
#include "app/cli/commands.h"
#include "app/cli/config_text.h"
#include "app/cli/session.h"

namespace aeterna::app {
namespace {

using engine::ConfigFinding;
using Level = engine::ConfigFinding::Level;

constexpr Duration kCheckTime = std::chrono::seconds(15);

std::string_view level_word(Level level) {
    switch (level) {
        case Level::kOk: return "ok";
        case Level::kWarning: return "warning";
        case Level::kError: return "error";
    }
    return "error";
}

struct StoreFindings {
    std::string store;
    std::vector<ConfigFinding> findings;
    std::string least_privilege;
};

// What no store looks at.
StoreFindings check_common(const OpenStack& open, const env::Env& env) {
    StoreFindings common{"stack", {}, ""};
    common.findings.push_back({Level::kOk, open.stack.file, "read without complaint", ""});
    if (const Status made = env.files.make_directories(open.stack.state_directory); !made) {
        common.findings.push_back({Level::kError, "state_directory", made.error().to_string(),
                                   "Give this user a directory that it may write to."});
    } else {
        common.findings.push_back({Level::kOk, "state_directory", open.stack.state_directory, ""});
    }
    if (!open.stack.serve_listen) {
        common.findings.push_back({Level::kWarning, "serve.listen", "missing: serve cannot run for this stack",
                                   "Add 'serve: {listen: 127.0.0.1:9464}'."});
    }
    if (!open.stack.etcd) {
        common.findings.push_back({Level::kWarning, "etcd", "missing: the actor lock is a file on this machine only",
                                   "Name etcd when more than one machine may act on this stack."});
    }
    return common;
}

std::vector<StoreFindings> check_all(const OpenStack& open, const env::Env& env, const env::Context& context) {
    std::vector<StoreFindings> all(open.stores.size() + 1);
    all[0] = check_common(open, env);
    std::vector<std::unique_ptr<env::Thread>> threads;
    for (std::size_t i = 0; i < open.stores.size(); ++i) {
        engine::Store* store = open.stores[i].get();
        StoreFindings* mine = &all[i + 1];
        threads.push_back(env.threads.start("check", [store, mine, &open, &context](const std::stop_token&) {
            *mine = {store->name(), store->check_config(context), store->least_privilege()};
            for (ConfigFinding& finding : check_assist(open.stack, *store)) mine->findings.push_back(std::move(finding));
        }));
    }
    for (const auto& thread : threads) thread->join();
    return all;
}

void print_text(const Session& session, const std::vector<StoreFindings>& all) {
    for (const StoreFindings& part : all) {
        session.print(part.store);
        for (const ConfigFinding& finding : part.findings) {
            session.print(fmt::format("  {:<8} {}: {}", level_word(finding.level), finding.subject, finding.message));
            if (!finding.hint.empty()) session.print(fmt::format("  {:<8} {}", "", finding.hint));
        }
    }
    for (const StoreFindings& part : all) {
        if (part.least_privilege.empty()) continue;
        session.print(fmt::format("\nThe rights that we need in {}:\n\n{}", part.store, part.least_privilege));
    }
}

Json to_json(const std::vector<StoreFindings>& all) {
    Json document{{"findings", Json::array()}, {"least_privilege", Json::object()}};
    for (const StoreFindings& part : all) {
        for (const ConfigFinding& finding : part.findings) {
            document["findings"].push_back({{"store", part.store},
                                            {"level", level_word(finding.level)},
                                            {"subject", finding.subject},
                                            {"message", finding.message},
                                            {"hint", finding.hint}});
        }
        if (!part.least_privilege.empty()) document["least_privilege"][part.store] = part.least_privilege;
    }
    return document;
}

Result<int> run_check(Session& session) {
    AETERNA_ASSIGN(OpenStack * open, session.open());
    const auto all = check_all(*open, session.env(), session.context(kCheckTime));
    if (session.stop().stop_requested()) return make_error(ErrorCode::kCancelled, "cancelled");
    if (session.options.json) session.print_json(to_json(all));
    else print_text(session, all);
    const bool is_wrong = std::any_of(all.begin(), all.end(), [](const StoreFindings& part) {
        return std::any_of(part.findings.begin(), part.findings.end(),
                           [](const ConfigFinding& finding) { return finding.level == Level::kError; });
    });
    return is_wrong ? exit_code(ErrorCode::kConfiguration) : 0;
}

Result<int> run_explain(Session& session) {
    if (session.options.json) {
        Json document{{"options", Json::array()}};
        for (const StackOption& option : stack_options()) {
            document["options"].push_back(
                {{"key", option.key}, {"type", option.type}, {"default", option.fallback}, {"help", option.help}});
        }
        session.print_json(document);
        return 0;
    }
    for (const StackOption& option : stack_options()) {
        session.print(fmt::format("{}  ({}; {})\n    {}", option.key, option.type,
                                  option.fallback == "required" ? std::string(option.fallback)
                                                                : fmt::format("default: {}", option.fallback),
                                  option.help));
    }
    session.print(
        "\nDurations carry a unit: 500ms, 5s, 15m, 6h, 7d.\n"
        "KEY_file may be KEY_environment, which names an environment variable instead of a file.\n"
        "state_directory: $STATE_DIRECTORY, else $XDG_STATE_HOME/aeterna-dr, else ~/.local/state/aeterna-dr; the\n"
        "stack's name is added.\n"
        "The file: --stack NAME|FILE, else $AETERNA_DR_STACK, else /etc/aeterna-dr/stack.yaml; never the current "
        "folder.");
    return 0;
}

Result<int> run_init(Session& session) {
    if (session.options.json) session.print_json(Json{{"example", stack_example()}});
    else write_all(1, stack_example());
    return 0;
}

}  // namespace

void add_config_command(CLI::App& app, Session& session) {
    CLI::App* command = app.add_subcommand("config", "Write, try and explain the stack file");
    command->require_subcommand(1);
    command->add_subcommand("init", "Print a commented example")->callback([&session] {
        session.run([&session] { return run_init(session); });
    });
    command->add_subcommand("check", "Try a stack file against the live servers, print the rights we need")
        ->callback([&session] { session.run([&session] { return run_check(session); }); });
    command->add_subcommand("explain", "Every option of the stack file")->callback([&session] {
        session.run([&session] { return run_explain(session); });
    });
}

}  // namespace aeterna::app
