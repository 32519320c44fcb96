#include "app/cli/incident_request.h"

#include <fmt/format.h>

#include "app/daemon/request_desk.h"
#include "app/daemon/serve.h"
#include "engine/detect/incident_book.h"
#include "engine/runbook/records.h"

namespace aeterna::app {
namespace {

constexpr Duration kAnswerWithin = std::chrono::seconds(15);
constexpr Duration kAnswerLookEvery = std::chrono::milliseconds(100);

Status change_here(engine::Journal& journal, const engine::IncidentSummary& incident,
                   std::string_view kind, const env::Env& env) {
    const WallTime now = env.clock.wall_now();
    engine::IncidentBook book(env.random);
    static_cast<void>(book.restore({incident}, now));
    AETERNA_ASSIGN(const auto change,
                   kind == engine::kCloseIncident
                       ? book.close(incident.id, {}, now)
                       : book.acknowledge(incident.id, engine::requester_name(env), now));
    return journal.put_incident(change.incident);
}

// A serve that ends between our look at its lock and its next look at the requests never answers: then its lock is
// free, and the change is ours to make.
Status ask_serve(const config::Stack& stack, engine::Journal& journal, const std::string& id,
                 std::string_view kind, const env::Env& env, const env::Context& context) {
    engine::RequestRecord request = engine::make_request(kind, id, env);
    AETERNA_TRY(journal.put_request(request));
    while (env.clock.remaining(context) > Duration::zero() &&
           env.clock.sleep_for(kAnswerLookEvery, context.stop)) {
        AETERNA_ASSIGN(const auto present, journal.request(request.id));
        if (!present || present->answer.is_null()) {
            const auto freed = take_instance_lock(stack, env);
            if (!freed) continue;
            request.answer = Json{{"summary", "serve had ended"}};
            AETERNA_TRY(journal.put_request(request));
            AETERNA_ASSIGN(const auto incident, journal.incident(id));
            return incident && !incident->closed_at ? change_here(journal, *incident, kind, env) : Status();
        }
        if (const auto error = engine::error_from_json(present->answer)) return *error;
        return {};
    }
    return make_error(
        ErrorCode::kUnknownOutcome, "serve holds the stack's lock but has not answered yet",
        fmt::format("Look at 'aeterna-dr incident show {}' and at the log of serve.", id),
        Effect::kUnknown);
}

}  // namespace

Result<int> request_on_incident(Session& session, std::string_view kind, const std::string& id) {
    AETERNA_ASSIGN(OpenStack * open, session.open());
    AETERNA_ASSIGN(const auto journal, session.open_journal(open->stack));
    AETERNA_ASSIGN(const auto incident, journal->incident(id));
    if (!incident) {
        return make_error(ErrorCode::kNotFound, fmt::format("there is no incident '{}'", id),
                          "List them with 'aeterna-dr incident list'.");
    }
    if (incident->closed_at) {
        return make_error(ErrorCode::kUsage, fmt::format("incident '{}' is closed already", id));
    }
    const auto lock = take_instance_lock(open->stack, session.env());
    if (!lock && lock.error().code != ErrorCode::kLocked) return lock.error();
    if (lock) {
        session.progress(
            "no serve watches this stack: if it still fires, the next one opens it anew");
        AETERNA_TRY(change_here(*journal, *incident, kind, session.env()));
    } else {
        AETERNA_TRY(ask_serve(open->stack, *journal, id, kind, session.env(), session.context(kAnswerWithin)));
    }
    AETERNA_ASSIGN(const auto changed, journal->incident(id));
    if (session.options.json && changed)
        session.print_json(Json{{"incident", engine::to_json(*changed)}});
    else
        session.print(fmt::format("{} {}", kind == engine::kCloseIncident ? "closed" : "acknowledged", id));
    return 0;
}

}  // namespace aeterna::app
