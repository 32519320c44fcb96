// drill list|run|heal|report: break things on purpose, measure, heal, write it up.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "app/cli/act.h"
#include "app/cli/commands.h"
#include "app/cli/session.h"
#include "engine/drill/scorecard.h"
#include "report/post_mortem.h"
#include "report/scorecard_text.h"
#include "stack/healing.h"
#include "stack/primary_failover.h"

namespace aeterna::app {
namespace {

struct DrillOptions {
    std::string drill;
    std::string fault = "kill";
    std::string assist;  // empty: what the stack file says of each store
    bool during_maintenance = false;
    std::optional<std::uint64_t> seed;
    std::uint64_t repeat = 1;
    std::string id;
    bool yes = false;
};

bool is_q1(const std::string& drill) { return drill == "q1" || drill == "primary-failover"; }

stack::PrimaryFailoverDrill::StatusSource status_source(const Session& session, const config::Stack& stack) {
    const std::string url = serve_url(stack) + "/status";
    return [&session, url](const env::Context& context) -> Result<engine::StackStatus> {
        env::HttpRequest request;
        request.url = url;
        AETERNA_ASSIGN(const auto response, session.env().http.send(request, context));
        if (response.status != 200) {
            return make_error(ErrorCode::kUnavailable, fmt::format("serve answers {}", response.status));
        }
        AETERNA_ASSIGN(const auto document, parse_json(response.body, "serve"));
        return engine::stack_status_from_json(document);
    };
}

// Writes the post-mortem and records its path with the scorecard.
Status write_post_mortem(engine::Scorecard& card, const config::Stack& stack, engine::Journal& journal,
                         const env::Env& env) {
    const std::string directory = stack.state_directory + "/post-mortems";
    AETERNA_TRY(env.files.make_directories(directory));
    card.post_mortem = fmt::format("{}/{}.md", directory, card.drill_id);
    AETERNA_ASSIGN(const auto record, journal.drill(card.drill_id));
    if (record) {
        engine::DrillRecord updated = *record;
        updated.scorecard = to_json(card);
        AETERNA_TRY(journal.put_drill(updated));
    }
    AETERNA_ASSIGN(const auto material,
                   report::collect_material(card.drill_id, stack.name, stack.state_directory, journal));
    return env.files.write_durable(card.post_mortem, report::post_mortem_markdown(material));
}

std::vector<std::unique_ptr<engine::DrillStore>> drill_stores(const OpenStack& open) {
    std::vector<std::unique_ptr<engine::DrillStore>> stores;
    for (const auto& store : open.stores) {
        if (auto drill = store->make_drill_store()) stores.push_back(std::move(drill));
    }
    return stores;
}

// A drill that lets the assist act where the stack file does not, was not approved there.
bool has_standing_approval(const OpenStack& open, const DrillOptions& options) {
    for (const auto& store : open.stores) {
        const config::StoreSection* section = open.stack.find_store(store->name());
        if (section == nullptr || !section->is_approved("drill")) return false;
        const auto drill = store->make_drill_store();
        const bool is_hit = drill && drill->has_primary();
        if (is_hit && options.assist == "act" && section->assist != config::Assist::kAct) return false;
    }
    return !open.stores.empty();
}

std::vector<std::string> plan_of(const OpenStack& open, const DrillOptions& options) {
    std::vector<std::string> plan;
    for (const auto& store : drill_stores(open)) {
        plan.push_back(fmt::format("write into {} all the time and count what is acknowledged", store->name()));
    }
    for (const auto& store : drill_stores(open)) {
        if (!store->has_primary()) continue;
        plan.push_back(fmt::format("{} the primary of {} at a random instant",
                                   options.fault == "kill" ? "kill -9" : "SIGSTOP", store->name()));
    }
    if (options.assist == "act") {
        plan.emplace_back("let serve fence what is proven dead and end the wait, whatever the stack file says");
    } else if (!options.assist.empty()) {
        plan.push_back(fmt::format("have serve's failovers go by 'assist: {}' meanwhile", options.assist));
    }
    plan.emplace_back("wait until writes are steady again, then start or continue what was broken");
    plan.emplace_back("read everything back, compute RTO and RPO, write the post-mortem");
    return plan;
}

int exit_code_of(const std::vector<engine::Scorecard>& cards) {
    int code = 0;
    for (const engine::Scorecard& card : cards) {
        if (card.verdict() == engine::Verdict::kFail) return exit_code(ErrorCode::kObjectiveMissed);
        if (card.verdict() == engine::Verdict::kUnknown) code = exit_code(ErrorCode::kUnknownOutcome);
    }
    return code;
}

Result<engine::Scorecard> run_once(Session& session, const OpenStack& open, engine::Journal& journal,
                                   const DrillOptions& options, std::uint64_t seed) {
    stack::PrimaryFailoverDrill drill(open.stack, journal, status_source(session, open.stack),
                                      [&](const std::string& line) { session.progress(line); }, session.env());
    stack::PrimaryFailoverOptions run;
    run.fault = options.fault == "pause" ? engine::FaultKind::kPause : engine::FaultKind::kKill;
    run.seed = seed;
    if (!options.assist.empty()) run.assist = config::assist_from_name(options.assist);
    AETERNA_ASSIGN(auto card, drill.run(drill_stores(open), run, session.context(30min)));
    if (const Status written = write_post_mortem(card, open.stack, journal, session.env()); !written) {
        session.progress(fmt::format("the post-mortem could not be written: {}", written.error().to_string()));
    }
    return card;
}

void show(Session& session, const std::string& stack, const std::vector<engine::Scorecard>& cards) {
    const Json document = engine::to_json(cards);
    if (session.options.json) session.print_json(document);
    else session.print(report::scorecard_text(document, stack, session.color()));
}

Result<int> run_drill(Session& session, const DrillOptions& options) {
    if (!is_q1(options.drill)) {
        return make_error(ErrorCode::kUsage, fmt::format("there is no drill '{}'", options.drill),
                          "List them with `aeterna-dr drill list`.");
    }
    AETERNA_ASSIGN(OpenStack * open, session.open());
    if (serve_url(open->stack).empty()) {
        return make_error(ErrorCode::kConfiguration, "the stack file has no serve.listen",
                          "A drill reads its detections from `aeterna-dr serve`.");
    }
    AETERNA_TRY(session.approve(fmt::format("run drill q1 ({})", options.fault), plan_of(*open, options),
                                has_standing_approval(*open, options), options.yes));
    AETERNA_ASSIGN(const auto lock, stack::lock_drills(open->stack, session.env()));
    AETERNA_ASSIGN(const auto journal, session.open_journal(open->stack));
    AETERNA_TRY(check_maintenance(session, *journal, "", options.during_maintenance));
    const std::uint64_t first_seed = options.seed.value_or(session.env().random.next() % 1'000'000);
    std::vector<engine::Scorecard> cards;
    for (std::uint64_t i = 0; i < options.repeat; ++i) {
        if (options.repeat > 1) session.progress(fmt::format("run {} of {}", i + 1, options.repeat));
        auto card = run_once(session, *open, *journal, options, first_seed + i);
        if (!card) {
            // What was measured before is shown; the run that could not be measured decides the exit code.
            if (!cards.empty()) show(session, open->stack.name, cards);
            return wrap_error(card.error(), fmt::format("run {} of {} was not measured", i + 1, options.repeat));
        }
        cards.push_back(std::move(*card));
        if (options.repeat > 1 && !session.options.json) {
            const engine::Scorecard& last = cards.back();
            session.progress(fmt::format("{}: overall RTO {}", engine::verdict_name(last.verdict()),
                                         last.overall_rto_seconds()
                                             ? format_duration(from_seconds(*last.overall_rto_seconds()))
                                             : "unknown"));
        }
    }
    show(session, open->stack.name, cards);
    return exit_code_of(cards);
}

Result<int> heal_drill(Session& session) {
    AETERNA_ASSIGN(OpenStack * open, session.open());
    AETERNA_ASSIGN(const auto lock, stack::lock_drills(open->stack, session.env()));
    AETERNA_ASSIGN(const auto journal, session.open_journal(open->stack));
    AETERNA_ASSIGN(const std::size_t healed,
                   stack::heal_faults(open->stack, *journal,
                                      [&](const std::string& line) { session.progress(line); }, session.env(),
                                      session.context(3min)));
    if (session.options.json) session.print_json({{"healed", healed}});
    else session.print(healed == 0 ? "nothing to heal" : fmt::format("healed {} faults", healed));
    return 0;
}

Result<int> list_drills(Session& session) {
    AETERNA_ASSIGN(OpenStack * open, session.open());
    AETERNA_ASSIGN(const auto journal, session.open_journal(open->stack));
    AETERNA_ASSIGN(const auto drills, journal->drills(100));
    Json list = Json::array();
    std::string text = "q1  primary failover (--fault kill|pause): every primary at once, under load\n";
    if (!drills.empty()) text += "\nPast runs, newest first\n";
    for (const engine::DrillRecord& drill : drills) {
        const std::string verdict = find_string(drill.scorecard, "verdict").value_or(drill.state);
        list.push_back({{"id", drill.id},
                        {"drill", drill.drill},
                        {"state", drill.state},
                        {"verdict", verdict},
                        {"started_at", format_time(drill.started_at)},
                        {"parameters", drill.parameters}});
        text += fmt::format("{}  {:<8} {:<6} {}\n", format_time(drill.started_at), verdict,
                            find_string(drill.parameters, "fault").value_or(""), drill.id);
    }
    if (session.options.json) {
        session.print_json({{"drills", Json::array({{{"name", "q1"}, {"alias", "primary-failover"}}})}, {"runs", list}});
    } else {
        session.print(text);
    }
    return 0;
}

Result<int> report_drill(Session& session, const DrillOptions& options) {
    AETERNA_ASSIGN(OpenStack * open, session.open());
    AETERNA_ASSIGN(const auto journal, session.open_journal(open->stack));
    AETERNA_ASSIGN(const auto drills, journal->drills(10000));
    for (const engine::DrillRecord& drill : drills) {
        const bool wanted = options.id.empty() ? drill.state == "finished" : drill.id == options.id;
        if (!wanted) continue;
        if (!drill.scorecard.is_object()) {
            return make_error(ErrorCode::kNotFound, fmt::format("drill '{}' ended as '{}' without a scorecard",
                                                                drill.id, drill.state));
        }
        if (session.options.json) session.print_json(drill.scorecard);
        else session.print(report::scorecard_text(drill.scorecard, open->stack.name, session.color()));
        return 0;
    }
    return make_error(ErrorCode::kNotFound,
                      options.id.empty() ? "no drill has finished yet" : fmt::format("no drill '{}'", options.id),
                      "List them with `aeterna-dr drill list`.");
}

}  // namespace

void add_drill_command(CLI::App& app, Session& session) {
    auto options = std::make_shared<DrillOptions>();
    CLI::App* drill = app.add_subcommand("drill", "Break things on purpose, measure, heal, write it up");
    drill->require_subcommand(1);

    CLI::App* run = drill->add_subcommand("run", "Run a drill and show its scorecard");
    run->add_option("drill", options->drill, "q1 (primary-failover)")->required();
    run->add_option("--fault", options->fault, "kill | pause")
        ->check(CLI::IsMember({"kill", "pause"}))
        ->capture_default_str();
    run->add_option("--assist", options->assist, "off | propose | act: serve's failovers go by it (default: stack file)")
        ->check(CLI::IsMember({"off", "propose", "act"}));
    run->add_option("--seed", options->seed, "Fixes the injection instant (default: random, recorded)");
    run->add_option("--repeat", options->repeat, "Runs in a row, each with the next seed")
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{10000}));
    run->add_flag("--yes", options->yes, "Do not ask");
    run->add_flag("--during-maintenance", options->during_maintenance, "Although a window holds");
    run->callback([&session, options] { session.run([&session, options] { return run_drill(session, *options); }); });

    drill->add_subcommand("heal", "Undo what an interrupted drill left broken")->callback([&session] {
        session.run([&session] { return heal_drill(session); });
    });
    drill->add_subcommand("list", "The drills there are, and past runs")->callback([&session] {
        session.run([&session] { return list_drills(session); });
    });
    CLI::App* report = drill->add_subcommand("report", "The scorecard of a past run (default: the latest)");
    report->add_option("id", options->id, "A run's id");
    report->callback(
        [&session, options] { session.run([&session, options] { return report_drill(session, *options); }); });
}

}  // namespace aeterna::app
