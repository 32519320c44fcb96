// drill list|run|heal|abort|report: break things on purpose, measure, heal, write it up.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "app/cli/act.h"
#include "app/cli/commands.h"
#include "app/cli/drill_abort.h"
#include "app/cli/look.h"
#include "app/cli/open_repository.h"
#include "app/cli/option_checks.h"
#include "app/cli/partial_result.h"
#include "app/cli/session.h"
#include "app/daemon/orphans.h"
#include "engine/drill/scorecard.h"
#include "report/post_mortem_file.h"
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
    std::string seed;  // as given; empty: random
    std::uint64_t repeat = 1;
    std::string id;
    bool yes = false;
};

bool is_q1(const std::string& drill) { return drill == "q1" || drill == "primary-failover"; }

stack::StatusSource status_source(const Session& session, const config::Stack& stack) {
    return [&session, &stack](const env::Context& context) { return ask_serve(stack, session.env(), context); };
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
                                   const DrillOptions& options, std::uint64_t seed,
                                   const std::stop_token& stop) {
    stack::PrimaryFailoverDrill drill(open.stack, journal, status_source(session, open.stack),
                                      [&](const std::string& line) { session.progress(line); }, session.env());
    stack::PrimaryFailoverOptions run;
    run.fault = options.fault == "pause" ? engine::FaultKind::kPause : engine::FaultKind::kKill;
    run.seed = seed;
    std::unique_ptr<RepositoryPlace> place;
    if (!open.stack.repository.empty()) {
        run.repository = [&](const env::Context& context) -> Result<repository::Repository*> {
            AETERNA_ASSIGN(place, RepositoryPlace::find(session));
            return place->open(session, std::nullopt, context);
        };
    }
    if (!options.assist.empty()) run.assist = config::assist_from_name(options.assist);
    env::Context context = session.context(30min);
    context.stop = stop;
    AETERNA_ASSIGN(auto card, drill.run(drill_stores(open), run, context));
    const report::PostMortemFile file(card.drill_id, open.stack, journal, session.env());
    const auto written = file.write();
    if (written) card.post_mortem = file.path();
    else session.progress(fmt::format("the post-mortem could not be written: {}", written.error().to_string()));
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
    AETERNA_ASSIGN(const auto given_seed, parse_seed(options.seed, options.repeat));
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
    const std::uint64_t first_seed = given_seed.value_or(session.env().random.next() % 1'000'000);
    const AbortWatch watch(*journal, session.env(), session.stop());
    std::vector<engine::Scorecard> cards;
    for (std::uint64_t i = 0; i < options.repeat; ++i) {
        if (options.repeat > 1) session.progress(fmt::format("run {} of {}", i + 1, options.repeat));
        auto card = run_once(session, *open, *journal, options, first_seed + i, watch.token());
        if (!card) {
            // What was measured before is shown; the run that could not be measured decides the exit code.
            if (!cards.empty() && !session.options.json) show(session, open->stack.name, cards);
            if (!watch.requester().empty()) session.progress(fmt::format("{} has aborted it", watch.requester()));
            Error error = wrap_error(card.error(), fmt::format("run {} of {} was not measured", i + 1, options.repeat));
            if (cards.empty()) return error;
            return fail_with(session, engine::to_json(cards), std::move(error));
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
    AETERNA_ASSIGN(const auto aftermath,
                   end_orphans(*open, *journal, [&](const std::string& line) { session.progress(line); },
                               session.env(), session.context(6min)));
    if (session.options.json) {
        session.print_json({{"healed", aftermath.healed}, {"closed", aftermath.closed}});
        return 0;
    }
    if (aftermath.healed == 0 && aftermath.closed.empty()) session.print("nothing to heal");
    if (aftermath.healed > 0) session.print(fmt::format("healed {} faults", aftermath.healed));
    for (const std::string& drill : aftermath.closed) {
        session.print(fmt::format("closed drill {}: see `aeterna-dr drill report {}`", drill, drill));
    }
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

Error no_scorecard(const OpenStack& open, const engine::DrillRecord& drill, const env::Env& env) {
    if (drill.state != "running") {
        return make_error(ErrorCode::kNotFound,
                          fmt::format("drill '{}' ended as '{}' without a scorecard", drill.id, drill.state));
    }
    const auto lock = stack::lock_drills(open.stack, env);
    if (!lock && lock.error().code == ErrorCode::kLocked) {
        return make_error(ErrorCode::kNotFound, fmt::format("drill '{}' still runs", drill.id), "Wait for its end.");
    }
    return make_error(ErrorCode::kNotFound, fmt::format("drill '{}' died before its end", drill.id),
                      "Run `aeterna-dr drill heal`: it heals, and measures what the ledgers hold.");
}

Result<int> report_drill(Session& session, const DrillOptions& options) {
    AETERNA_ASSIGN(OpenStack * open, session.open());
    AETERNA_ASSIGN(const auto journal, session.open_journal(open->stack));
    AETERNA_ASSIGN(const auto drills, journal->drills(10000));
    for (const engine::DrillRecord& drill : drills) {
        const bool has_card = drill.scorecard.is_object();
        const bool wanted = options.id.empty() ? has_card && drill.state != "aborted" : drill.id == options.id;
        if (!wanted) continue;
        if (!has_card) return no_scorecard(*open, drill, session.env());
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
    drill->add_subcommand("abort", "Ask the drill that runs to stop; returns when it has healed")->callback([&session] {
        session.run([&session] { return abort_drill(session); });
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
