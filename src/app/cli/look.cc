#include "app/cli/look.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace aeterna::app {
namespace {

constexpr Duration kServeTimeout = std::chrono::milliseconds(400);
constexpr Duration kProbeLimit = std::chrono::milliseconds(1500);
constexpr Duration kForecastKept = std::chrono::minutes(1);

// The order of the stack file: JSON objects have none.
void sort_like(const config::Stack& stack, std::vector<engine::StoreStatus>& stores) {
    const auto rank = [&](const engine::StoreStatus& store) {
        const auto found = std::find_if(stack.stores.begin(), stack.stores.end(),
                                        [&](const auto& section) { return section.name == store.store; });
        return found - stack.stores.begin();
    };
    std::stable_sort(stores.begin(), stores.end(),
                     [&](const auto& left, const auto& right) { return rank(left) < rank(right); });
}

}  // namespace

Result<engine::StackStatus> ask_serve(const config::Stack& stack, const env::Env& env, const env::Context& context) {
    const std::string url = serve_url(stack);
    if (url.empty()) return make_error(ErrorCode::kConfiguration, "the stack file has no serve.listen");
    env::HttpRequest request;
    request.url = url + "/status";
    AETERNA_ASSIGN(const auto response, env.http.send(request, context));
    if (response.status != 200) {
        return make_error(ErrorCode::kUnavailable, fmt::format("serve at '{}' answers {}", url, response.status));
    }
    AETERNA_ASSIGN(const Json document, parse_json(response.body, url));
    AETERNA_ASSIGN(auto status, engine::stack_status_from_json(document));
    if (status.stack != stack.name) {
        return make_error(ErrorCode::kConfiguration,
                          fmt::format("'{}' serves the stack '{}', not this one", url, status.stack));
    }
    return status;
}

Journaled read_journaled(const config::Stack& stack, const env::Env& env) {
    Journaled found;
    const std::string file = journal_path(stack);
    if (!env.files.exists(file)) return found;  // a look creates nothing
    const auto read = [&]() -> Status {
        AETERNA_ASSIGN(const auto journal, engine::open_sqlite_journal(file));
        AETERNA_ASSIGN(found.orders, read_orders(*journal, env));
        AETERNA_ASSIGN(found.open_incidents, journal->open_incidents());
        found.orders.fences = read_fences(stack, *journal, env);
        return {};
    };
    if (const Status done = read(); !done) found.unreadable = done.error().to_string();
    return found;
}

engine::StackStatus Look::probe(const env::Context& context, std::vector<std::string>& notices) {
    if (!watcher_) watcher_ = std::make_unique<Watcher>(open_, env_, engine::IsolationSettings{.rounds = 1});
    watcher_->observe_once(kProbeLimit, context);
    engine::StackStatus status = watcher_->judge().status;
    status.watcher = "direct";
    for (engine::StoreStatus& store : status.stores) {
        const auto found = open_.find(store.store);
        if (found && (*found)->wants_capture()) store.capture = "unknown";  // serve would know
    }
    Journaled journaled = read_journaled(open_.stack, env_);
    annotate(status, open_.stack, journaled.orders);
    if (!forecast_at_ || env_.clock.now() - *forecast_at_ > kForecastKept) {
        forecasts_ = forecast_restores(open_, env_, env_.clock.within(kProbeLimit, context));
        forecast_at_ = env_.clock.now();
    }
    annotate(status, forecasts_);
    status.healthy = is_healthy(status);
    if (!journaled.unreadable.empty()) {
        // Calm is nothing that anybody knows of it.
        status.healthy = false;
        notices.push_back("the journal cannot be read, so incidents, maintenance and fences are unknown: " +
                          journaled.unreadable);
    }
    // Whoever opened them may be dead and what they tell of over: they are told, and do not change this look's verdict.
    status.incidents = std::move(journaled.open_incidents);
    return status;
}

Result<StatusView> Look::now(const env::Context& context) {
    StatusView view;
    auto served = ask_serve(open_.stack, env_, env_.clock.within(kServeTimeout, context));
    if (served) {
        view.status = std::move(*served);
    } else {
        const Error& error = served.error();
        const bool is_absent = error.code == ErrorCode::kConnectionRefused;
        view.notices.push_back(fmt::format("serve is not running: {}",
                                           is_absent ? "nobody watches this stack, this is one look" : error.to_string()));
        view.status = probe(context, view.notices);
        if (context.stop.stop_requested()) return make_error(ErrorCode::kCancelled, "cancelled");
        if (env_.clock.remaining(context) <= Duration::zero()) {
            return make_error(ErrorCode::kDeadline, "the deadline passed before every server had answered",
                              "Give more time with --timeout.");
        }
    }
    sort_like(open_.stack, view.status.stores);
    view.overall = open_.stack.objectives;
    for (const auto& section : open_.stack.stores) view.objectives[section.name] = section.objectives;
    return view;
}

}  // namespace aeterna::app
