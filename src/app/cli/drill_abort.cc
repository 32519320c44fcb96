#include "app/cli/drill_abort.h"

#include <fmt/format.h>

#include "app/daemon/orphans.h"
#include "app/daemon/request_desk.h"
#include "stack/healing.h"

namespace aeterna::app {
namespace {

constexpr Duration kPollEvery = std::chrono::milliseconds(500);
constexpr Duration kEndLookEvery = std::chrono::milliseconds(250);
// Healing, and removing what was written, from stores that may be in the middle of their failover.
constexpr Duration kEndWithin = std::chrono::minutes(6);

// Nothing while a drill (or somebody who ends one) holds the lock.
Result<std::unique_ptr<env::FileLock>> await_drill_lock(Session& session,
                                                        const config::Stack& stack,
                                                        const env::Context& context) {
    while (true) {
        auto lock = stack::lock_drills(stack, session.env());
        if (lock || lock.error().code != ErrorCode::kLocked) return lock;
        const bool goes_on = session.env().clock.sleep_for(kEndLookEvery, context.stop);
        if (!goes_on)
            return make_error(ErrorCode::kCancelled,
                              "no longer waiting for the drill; it goes on ending");
        if (session.env().clock.remaining(context) > Duration::zero()) continue;
        return make_error(ErrorCode::kDeadline, "the drill was asked to stop but has not ended yet",
                          "If its process hangs, kill it and run `aeterna-dr drill heal`.");
    }
}

Result<int> show_end(Session& session, engine::Journal& journal, const std::string& id) {
    AETERNA_ASSIGN(const auto faults, journal.unhealed_faults());
    AETERNA_ASSIGN(const auto record, journal.drill(id));
    const std::string state = record ? record->state : "unknown";
    if (session.options.json) {
        session.print_json({{"id", id}, {"state", state}, {"healed", faults.empty()}});
    } else {
        session.print(
            fmt::format("drill {} is {}; {}", id, state,
                        faults.empty() ? "nothing is left broken" : "something is still broken"));
    }
    if (faults.empty()) return 0;
    return make_error(ErrorCode::kPartial, fmt::format("{} faults are not healed", faults.size()),
                      "Run `aeterna-dr drill heal`.", Effect::kPartial);
}

}  // namespace

AbortWatch::AbortWatch(engine::Journal& journal, const env::Env& env, const std::stop_token& stop)
    : journal_(journal),
      env_(env),
      since_(env.clock.wall_now()),
      forward_(stop, [this] { stop_.request_stop(); }) {
    thread_ = env_.threads.start("abort-watch", [this](const std::stop_token& ended) {
        while (env_.clock.sleep_for(kPollEvery, ended)) poll();
    });
}

AbortWatch::~AbortWatch() = default;

std::string AbortWatch::requester() const {
    const std::lock_guard lock(mutex_);
    return requester_;
}

void AbortWatch::poll() {
    const auto requests = journal_.open_requests();
    if (!requests) return;  // a busy journal: the next look is soon
    for (const engine::RequestRecord& request : *requests) {
        if (request.kind != engine::kAbortDrill || request.at < since_) continue;
        {
            const std::lock_guard lock(mutex_);
            requester_ = request.requester;
        }
        stop_.request_stop();
        if (const Status kept = journal_.put_request(engine::answered(request, "stopping")); !kept) {
            env_.log.warning("journal.write_failed", {{"error", kept.error().to_string()}});
        }
    }
}

Result<int> abort_drill(Session& session) {
    AETERNA_ASSIGN(OpenStack * open, session.open());
    AETERNA_ASSIGN(const auto journal, session.open_journal(open->stack));
    const env::Context context = session.context(kEndWithin);
    auto lock = stack::lock_drills(open->stack, session.env());
    if (!lock && lock.error().code != ErrorCode::kLocked) return lock.error();
    AETERNA_ASSIGN(const auto unfinished, journal->unfinished_drills());
    const std::string id = unfinished.empty() ? "" : unfinished.back().id;
    if (lock && id.empty()) {
        return make_error(ErrorCode::kNotFound,
                          fmt::format("no drill runs on stack '{}'", open->stack.name),
                          "List past ones with `aeterna-dr drill list`.");
    }
    if (!lock) {
        AETERNA_TRY(journal->put_request(engine::make_request(engine::kAbortDrill, id, session.env())));
        session.progress("asked the drill to stop; waiting until it has healed");
        AETERNA_ASSIGN(lock, await_drill_lock(session, open->stack, context));
    }
    // One that died before or meanwhile has not closed itself.
    const auto progress = [&](const std::string& line) { session.progress(line); };
    AETERNA_ASSIGN(const auto aftermath,
                   end_orphans(*open, *journal, progress, session.env(), context));
    if (id.empty() && aftermath.closed.empty()) {
        session.progress("the drill ended before it had begun");
        if (session.options.json)
            session.print_json({{"id", nullptr}, {"state", "aborted"}, {"healed", true}});
        return 0;
    }
    return show_end(session, *journal, id.empty() ? aftermath.closed.back() : id);
}

}  // namespace aeterna::app
