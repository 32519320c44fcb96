#include "app/cli/approve_proposal.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/cli/act.h"
#include "engine/runbook/execution_run.h"
#include "engine/runbook/records.h"
#include "engine/runbook/requests.h"

namespace aeterna::app {
namespace {

constexpr Duration kLookEvery = std::chrono::milliseconds(100);
// Whoever proposes looks for a yes several times a second, between looks at servers that may be silent.
constexpr Duration kAnswerWithin = std::chrono::seconds(15);
constexpr std::size_t kLookBack = 20;

Error gone(const engine::ExecutionRecord& execution) {
    return make_error(ErrorCode::kUnknownOutcome,
                      fmt::format("the process that drives execution '{}' has ended", execution.id),
                      fmt::format("Another serve goes on with it and may ask again; else 'aeterna-dr execution resume {}'.", execution.id),
                      Effect::kUnknown);
}

// Its answer; nobody is left with a yes that he believes withdrawn.
Status await_answer(const Session& session, engine::Journal& journal, const engine::ExecutionRecord& execution,
                    engine::RequestRecord request) {
    const env::Context context = session.context(kAnswerWithin);
    AETERNA_TRY(journal.put_request(request));
    Error error = make_error(ErrorCode::kUnknownOutcome, "nobody has answered the yes to execution '" + execution.id + "'",
                             fmt::format("Look at 'aeterna-dr execution show {}' and at the log of serve.", execution.id),
                             Effect::kUnknown);
    while (session.env().clock.remaining(context) > Duration::zero() && session.env().clock.sleep_for(kLookEvery, context.stop)) {
        // In this order: whoever takes a proposal back has answered before.
        AETERNA_ASSIGN(const auto driven, journal.execution(execution.id));
        AETERNA_ASSIGN(const auto present, journal.request(request.id));
        if (present && !present->answer.is_null()) {
            if (const auto refused = engine::error_from_json(present->answer)) return *refused;
            return {};
        }
        const bool is_proposed = driven && engine::open_proposal(*driven);
        if (is_proposed && engine::is_driven(*driven, session.env())) continue;
        error = is_proposed ? gone(execution)
                            : make_error(ErrorCode::kUsage, "execution '" + execution.id + "' does not propose it any more",
                                         fmt::format("Look at 'aeterna-dr execution show {}'.", execution.id));
        break;
    }
    AETERNA_TRY(journal.put_request(engine::answered(std::move(request), error)));
    return error;
}

// Shows what it does from here on, until it has ended.
Result<engine::ExecutionRecord> follow(const Session& session, engine::Journal& journal, const std::string& id,
                                       std::size_t shown) {
    const env::Context context = session.context(engine::kUsualBudget + std::chrono::minutes(1));
    while (true) {
        AETERNA_ASSIGN(const auto execution, journal.execution(id));
        AETERNA_ASSIGN(const auto steps, journal.steps(id));
        for (; shown < steps.size(); ++shown) session.progress(step_line(steps[shown]));
        if (!execution) return make_error(ErrorCode::kNotFound, "execution '" + id + "' has left the journal");
        if (execution->state != engine::ExecutionState::kRunning) return *execution;
        if (!engine::is_driven(*execution, session.env())) return gone(*execution);
        const bool goes_on = session.env().clock.sleep_for(kLookEvery, context.stop);
        if (goes_on && session.env().clock.remaining(context) > Duration::zero()) continue;
        return make_error(goes_on ? ErrorCode::kDeadline : ErrorCode::kCancelled,
                          "execution '" + id + "' goes on; it is no longer followed",
                          fmt::format("Look at 'aeterna-dr execution show {}'.", id), Effect::kPartial);
    }
}

}  // namespace

Result<std::optional<engine::ExecutionRecord>> find_proposal(engine::Journal& journal, const env::Env& env,
                                                             const std::string& store) {
    AETERNA_ASSIGN(const auto executions, journal.executions(kLookBack));
    const auto found = std::find_if(executions.begin(), executions.end(), [&](const engine::ExecutionRecord& one) {
        return one.store == store && engine::open_proposal(one) && engine::is_driven(one, env);
    });
    if (found == executions.end()) return std::optional<engine::ExecutionRecord>();
    return std::optional(*found);
}

std::string describe_proposal(const engine::ExecutionRecord& execution) {
    return fmt::format("the proposal of {} {} (execution {})", execution.runbook, execution.store, execution.id);
}

Result<engine::ExecutionRecord> approve_proposal(const Session& session, engine::Journal& journal,
                                                 const engine::ExecutionRecord& execution, bool yes) {
    AETERNA_TRY(session.approve(describe_proposal(execution), {engine::open_proposal(execution).value_or("")}, /*standing=*/false, yes));
    AETERNA_ASSIGN(const auto before, journal.steps(execution.id));
    AETERNA_TRY(await_answer(session, journal, execution,
                             engine::make_request(engine::kApproveExecution, execution.id, session.env())));
    return follow(session, journal, execution.id, before.size());
}

}  // namespace aeterna::app
