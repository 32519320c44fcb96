#include "app/cli/act.h"

#include <fmt/format.h>

#include <set>
#include <utility>

#include "app/cli/approve_proposal.h"
#include "app/cli/open_repository.h"
#include "app/daemon/orders.h"
#include "engine/runbook/execution_run.h"
#include "stack/fencing.h"

namespace aeterna::app {
namespace {

Json step_to_json(const engine::StepRecord& record) {
    return Json{{"index", record.index},     {"step", record.step},
                {"phase", record.phase},     {"outcome", record.outcome},
                {"at", format_time(record.at)}, {"effect", effect_name(record.effect)},
                {"detail", record.detail}};
}

// `execution` as the result of a command.
Result<int> report(Session& session, engine::Journal& journal, const engine::ExecutionRecord& execution) {
    if (session.options.json) {
        const auto steps = journal.steps(execution.id);
        session.print_json(Json{{"execution", execution_to_json(execution, steps ? *steps : std::vector<engine::StepRecord>{})}});
    } else {
        session.print(execution_text(execution));
    }
    return engine::exit_code_of(execution);
}

engine::RunRequest run_request(const Session& session, const Json& parameters, Duration budget) {
    engine::RunRequest request;
    request.parameters = parameters;
    request.budget = session.timeout(budget);
    request.on_record = [&session](const engine::StepRecord& record) { session.progress(step_line(record)); };
    return request;
}

// An assist that acts is approved by the stack file's `assist: act` alone, not by an approval of the waiting.
bool has_standing_approval(const OpenStack& open, const engine::Runbook& runbook, const Json& parameters) {
    if (runbook.approval.empty()) return true;
    const config::StoreSection* section = open.stack.find_store(runbook.store);
    if (section == nullptr) return false;
    const bool is_assisted = find_string(parameters, "assist") == "act";
    const bool is_reaction = runbook.approval == "failover" || runbook.approval == "reconcile";
    if (is_reaction && section->assist == config::Assist::kAct) return true;
    return !is_assisted && section->is_approved(runbook.approval);
}

Status ask(const Session& session, const OpenStack& open, const engine::Runbook& runbook, const Json& parameters,
           const std::vector<std::string>& plan, bool yes) {
    const bool standing = has_standing_approval(open, runbook, parameters);
    return session.approve(fmt::format("{} {}", runbook.name, runbook.store), plan, standing, yes);
}

// The store's runbook; a store without such a runbook is a wrong command line.
Result<engine::Runbook> build(Session& session, const OpenStack& open, const std::string& store_name,
                              const std::string& name, const Json& parameters) {
    if (name == "fence" || name == "unfence") {
        return stack::make_fencing_runbook(name, store_name, parameters, open.stack, session.env());
    }
    AETERNA_ASSIGN(engine::Store * store, open.find(store_name));
    if (name == engine::kRestoreRunbook) store->lend(lend_repository(session));
    auto runbook = store->make_runbook(name, parameters);
    if (runbook || runbook.error().code != ErrorCode::kNotFound) return runbook;
    return make_error(ErrorCode::kUsage, fmt::format("store '{}' has no runbook '{}'", store_name, name),
                      "See 'aeterna-dr runbook list'.");
}

Result<engine::ExecutionRecord> find_resumable(engine::Journal& journal, const std::string& id) {
    AETERNA_ASSIGN(auto found, journal.execution(id));
    if (!found) {
        return make_error(ErrorCode::kNotFound, fmt::format("there is no execution '{}'", id),
                          "List them with 'aeterna-dr execution list'.");
    }
    if (engine::is_resumable(*found)) return std::move(*found);
    return make_error(ErrorCode::kUsage,
                      fmt::format("execution '{}' has ended: {}", id, engine::execution_state_name(found->state)),
                      "Start a new one.");
}

Result<int> show_proposal(Session& session, const engine::ExecutionRecord& execution) {
    const std::string text = engine::open_proposal(execution).value_or("");
    if (session.options.json) {
        session.print_json(Json{{"runbook", execution.runbook},
                                {"store", execution.store},
                                {"execution", execution.id},
                                {"plan", Json::array({text})}});
    } else {
        session.print(describe_proposal(execution) + ", to which this would be the yes:\n  " + text);
    }
    return 0;
}

Result<int> settle_proposal(Session& session, engine::Journal& journal, const engine::ExecutionRecord& execution, bool yes) {
    AETERNA_ASSIGN(const auto ended, approve_proposal(session, journal, execution, yes));
    return report(session, journal, ended);
}

// What an abort would do with each step that was begun, the last one first.
std::vector<std::string> abort_plan(const engine::Runbook* runbook, const std::vector<engine::StepRecord>& history) {
    std::set<std::size_t, std::greater<>> begun;
    for (const engine::StepRecord& record : history) {
        if (record.phase == "apply" && record.outcome == "started") begun.insert(record.index);
    }
    if (begun.empty()) return {"nothing was applied: only the record is closed"};
    if (runbook == nullptr) return {"take nothing back: this stack file or version does not know the runbook"};
    std::vector<std::string> plan;
    for (const std::size_t index : begun) {
        if (index >= runbook->steps.size()) return {"take nothing back: this version's runbook has other steps"};
        const engine::Step& step = *runbook->steps[index];
        plan.push_back(fmt::format("{}: {}", step.spec().has_undo ? "take back" : "leave as it is", step.describe()));
    }
    return plan;
}

}  // namespace

env::Context run_context(const Session& session, Duration planned, Duration budget) {
    env::Context context = session.context(budget + std::chrono::minutes(1));
    if (!session.options.timeout.empty()) context.deadline -= planned;
    return context;
}

Json execution_to_json(const engine::ExecutionRecord& execution, const std::vector<engine::StepRecord>& steps) {
    Json document{{"id", execution.id},
                  {"runbook", execution.runbook},
                  {"store", execution.store},
                  {"parameters", execution.parameters},
                  {"trigger", execution.trigger},
                  {"state", engine::execution_state_name(execution.state)},
                  {"started_at", format_time(execution.started_at)},
                  {"ended_at", execution.ended_at ? Json(format_time(*execution.ended_at)) : Json(nullptr)},
                  {"next_step", execution.next_step},
                  {"summary", execution.summary},
                  {"facts", execution.facts}};
    document["error"] = execution.error ? error_document(*execution.error)["error"] : Json(nullptr);
    document["steps"] = Json::array();
    for (const auto& step : steps) document["steps"].push_back(step_to_json(step));
    return document;
}

std::string step_line(const engine::StepRecord& record) {
    return fmt::format("  {}  {:<28} {:<8} {:<8} {}", format_clock(record.at), record.step, record.phase,
                       record.outcome, record.detail);
}

std::string execution_text(const engine::ExecutionRecord& execution) {
    std::string text = fmt::format("{} {}: {}", execution.runbook, execution.store,
                                   engine::execution_state_name(execution.state));
    if (execution.ended_at) {
        text += fmt::format(" after {}", format_duration(*execution.ended_at - execution.started_at));
    }
    if (!execution.summary.empty()) text += "\n  " + execution.summary;
    if (execution.error) {
        const std::string what = execution.error->to_string();
        if (what != execution.summary) text += fmt::format("\n  {}: {}", code_name(execution.error->code), what);
        if (!execution.error->hint.empty()) text += "\n  hint: " + execution.error->hint;
    }
    return text + "\n  execution " + execution.id;
}

Status check_maintenance(const Session& session, engine::Journal& journal, const std::string& store, bool despite) {
    const WallTime now = session.env().clock.wall_now();
    AETERNA_ASSIGN(const auto windows, journal.maintenance(now));
    for (const engine::MaintenanceRecord& window : windows) {
        if (!window.holds(now) || (!store.empty() && !window.is_about(store))) continue;
        if (despite) {
            session.progress("note: " + describe(window));
            continue;
        }
        return make_error(ErrorCode::kGuardRefused, describe(window),
                          "Add --during-maintenance to act all the same, or end it with 'aeterna-dr maintenance off'.");
    }
    return {};
}

Result<int> act(Session& session, const ActRequest& request) {
    AETERNA_ASSIGN(OpenStack * open, session.open());
    AETERNA_ASSIGN(engine::Runbook runbook, build(session, *open, request.store, request.runbook, request.parameters));
    AETERNA_ASSIGN(const auto journal, session.open_journal(open->stack));
    std::optional<engine::ExecutionRecord> proposing;
    if (request.meets_proposal) {
        AETERNA_ASSIGN(proposing, find_proposal(*journal, session.env(), request.store));
    }
    if (proposing && request.dry_run) return show_proposal(session, *proposing);
    if (proposing) {
        AETERNA_TRY(check_maintenance(session, *journal, request.store, request.during_maintenance));
        return settle_proposal(session, *journal, *proposing, request.yes);
    }
    const auto lock = engine::make_actor_lock(open->stack, session.env());
    engine::Runner runner(*journal, *lock, session.env());
    const MonoTime begun = session.env().clock.now();
    const std::vector<std::string> plan = runner.plan(runbook, session.context());
    const Duration planned = session.env().clock.now() - begun;
    if (request.dry_run) {
        if (session.options.json) {
            Json document{{"runbook", runbook.name}, {"store", runbook.store}, {"plan", plan}};
            if (!request.source.is_null()) document["restore"] = request.source;
            session.print_json(document);
        } else {
            session.print(fmt::format("{} {} on stack '{}' would:", runbook.name, runbook.store, open->stack.name));
            for (const std::string& line : request.notes) session.print("  " + line);
            for (const std::string& line : plan) session.print("  " + line);
        }
        return 0;
    }
    AETERNA_TRY(check_maintenance(session, *journal, request.store, request.during_maintenance));
    std::vector<std::string> shown = request.notes;
    shown.insert(shown.end(), plan.begin(), plan.end());
    AETERNA_TRY(ask(session, *open, runbook, request.parameters, shown, request.yes));
    AETERNA_ASSIGN(const auto execution, runner.run(runbook, run_request(session, request.parameters, runbook.budget),
                                                    run_context(session, planned, runbook.budget)));
    return report(session, *journal, execution);
}

Result<int> resume_execution(Session& session, const std::string& id, bool yes, bool during_maintenance) {
    AETERNA_ASSIGN(OpenStack * open, session.open());
    AETERNA_ASSIGN(const auto journal, session.open_journal(open->stack));
    AETERNA_ASSIGN(const auto found, find_resumable(*journal, id));
    AETERNA_ASSIGN(engine::Runbook runbook, build(session, *open, found.store, found.runbook, found.parameters));
    std::vector<std::string> plan;
    for (std::size_t i = found.next_step; i < runbook.steps.size(); ++i) {
        const engine::Step& step = *runbook.steps[i];
        plan.push_back(step.describe() + (step.condition().empty() ? "" : " – " + step.condition()));
    }
    AETERNA_TRY(check_maintenance(session, *journal, found.store, during_maintenance));
    AETERNA_TRY(ask(session, *open, runbook, found.parameters, plan, yes));
    const auto lock = engine::make_actor_lock(open->stack, session.env());
    engine::Runner runner(*journal, *lock, session.env());
    engine::RunRequest request = run_request(session, found.parameters, runbook.budget);
    request.trigger = found.trigger;
    AETERNA_ASSIGN(const auto execution,
                   runner.resume(found, runbook, request, run_context(session, {}, runbook.budget)));
    return report(session, *journal, execution);
}

Result<int> approve_execution(Session& session, const std::string& id) {
    AETERNA_ASSIGN(OpenStack * open, session.open());
    AETERNA_ASSIGN(const auto journal, session.open_journal(open->stack));
    AETERNA_ASSIGN(const auto found, find_resumable(*journal, id));
    if (engine::open_proposal(found) && engine::is_driven(found, session.env())) {
        AETERNA_TRY(check_maintenance(session, *journal, found.store, /*despite=*/false));
        return settle_proposal(session, *journal, found, /*yes=*/true);
    }
    if (found.state != engine::ExecutionState::kAwaitingApproval) {
        return make_error(ErrorCode::kUsage,
                          fmt::format("execution '{}' does not await approval: {}", id,
                                      engine::execution_state_name(found.state)),
                          "'aeterna-dr execution resume' goes on with one that was interrupted.");
    }
    return resume_execution(session, id, /*yes=*/true, /*during_maintenance=*/false);
}

Result<int> abort_execution(Session& session, const std::string& id, bool yes) {
    AETERNA_ASSIGN(OpenStack * open, session.open());
    AETERNA_ASSIGN(const auto journal, session.open_journal(open->stack));
    AETERNA_ASSIGN(const auto found, find_resumable(*journal, id));
    AETERNA_ASSIGN(const auto history, journal->steps(id));
    // Its store may have left the stack file, its runbook this version: then only the record can be closed.
    auto runbook = build(session, *open, found.store, found.runbook, found.parameters);
    AETERNA_TRY(session.approve(fmt::format("abort the {} of {}", found.runbook, found.store),
                                abort_plan(runbook ? &*runbook : nullptr, history), /*standing=*/false, yes));
    const auto lock = engine::make_actor_lock(open->stack, session.env());
    engine::Runner runner(*journal, *lock, session.env());
    AETERNA_ASSIGN(const auto execution, runner.abort(found, runbook ? &*runbook : nullptr,
                                                      run_request(session, found.parameters, engine::kUsualBudget),
                                                      run_context(session, {}, engine::kUsualBudget)));
    AETERNA_ASSIGN(const int code, report(session, *journal, execution));
    const bool is_done = execution.state == engine::ExecutionState::kAborted && !execution.error;
    return is_done ? 0 : code;
}

}  // namespace aeterna::app
