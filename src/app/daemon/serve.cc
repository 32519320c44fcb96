#include "app/daemon/serve.h"

#include <fmt/format.h>

#include <mutex>
#include <utility>

#include "app/daemon/api.h"
#include "app/daemon/capture_worker.h"
#include "app/daemon/forecast.h"
#include "app/daemon/journal_queue.h"
#include "app/daemon/orders.h"
#include "app/daemon/orphans.h"
#include "app/daemon/policy.h"
#include "app/daemon/request_desk.h"
#include "app/daemon/retention.h"
#include "app/daemon/watcher.h"
#include "base/strings.h"
#include "engine/detect/incident_book.h"
#include "engine/runbook/shared_actor_lock.h"

namespace aeterna::app {
namespace {

constexpr Duration kJudgeEvery = std::chrono::milliseconds(150);
constexpr std::size_t kRecentIncidents = 200;

// The judge: its state between rounds, and the publication of what it found.
class Judge {
  public:
    Judge(const OpenStack& open, engine::Journal& journal, const env::Env& env)
        : open_(open), journal_(journal), env_(env), lock_(engine::make_actor_lock(open.stack, env)),
          watcher_(open, env), queue_(journal, env), orders_(open.stack, journal, env), desk_(journal, env),
          policy_(open, journal, lock_, env),
          book_(env.random),
          stores_of_nodes_(stores_of_nodes(open)) {
        for (const auto& store : open.stores) {
            if (auto sentry = store->make_sentry()) sentries_.emplace(store->name(), std::move(sentry));
        }
        if (!open.stack.repository.empty()) forecasts_.emplace(open, env);
    }

    // An error when it is not known what is open: serve would open everything anew, and act on it anew.
    Status begin(const RepositoryOpener& opener) {
        AETERNA_ASSIGN(const auto incidents, journal_.open_incidents());
        for (const auto& change : book_.restore(incidents, env_.clock.wall_now())) record(change);
        for (const engine::ExecutionRecord& unfinished : policy_.take_over()) {
            const auto sentry = sentries_.find(unfinished.store);
            if (sentry != sentries_.end()) sentry->second->take_over(unfinished);
        }
        watcher_.start();
        for (const auto& store : open_.stores) {
            if (!store->wants_capture() || !opener) continue;
            captures_.push_back(std::make_unique<CaptureWorker>(*store, open_.stack, opener, env_));
        }
        return {};
    }

    void request_stop() {
        watcher_.request_stop();
        for (const auto& capture : captures_) capture->request_stop();
    }
    void end() {
        watcher_.stop();
        captures_.clear();
    }

    void judge_once() {
        Watcher::Round round = watcher_.judge();
        if (round.stalled) env_.log.warning("judge.stalled");
        if (round.status.isolated != was_isolated_) {
            was_isolated_ = round.status.isolated;
            env_.log.warning(was_isolated_ ? "judge.isolated" : "judge.reconnected");
        }
        for (const engine::StoreEvent& event : round.events) record(event);
        // Before everything was looked at once, nothing is over and nothing has begun; /status answers 503.
        if (!watcher_.has_looked_everywhere()) return;
        const auto orders = orders_.latest();
        for (engine::Finding& finding : judge_fences(stores_of_nodes_, orders->fences, round.status.at)) {
            round.findings.push_back(std::move(finding));
        }
        judge_captures(round);
        for (const auto& change : book_.update(round.findings, round.status.at)) record(change);
        for (const engine::RequestRecord& request : desk_.take()) serve_request(request, round);
        // Cut off or just woken up, we know too little to act.
        if (!round.status.isolated && !round.stalled) policy_.react(book_.open(), round.status.stores, *orders);
        annotate(round.status, open_.stack, *orders);
        if (forecasts_) annotate(round.status, forecasts_->latest());
        if (!round.status.isolated && !round.stalled) post_sentries(round.status);
        publish(std::move(round));
    }

    [[nodiscard]] env::ServerResponse handle(const env::ServerRequest& request) {
        ApiInput input;
        input.stack = open_.stack.name;
        input.now = env_.clock.now();
        input.wall_now = env_.clock.wall_now();
        {
            const std::lock_guard guard(mutex_);
            input.snapshot = snapshot_;
        }
        if (request.path == "/metrics") input.probes = watcher_.timings();
        if (request.path == "/incidents") {
            auto incidents = journal_.incidents(WallTime{}, kRecentIncidents);
            if (!incidents) env_.log.error("journal.read_failed", {{"error", incidents.error().to_string()}});
            input.incidents.reset();
            if (incidents) input.incidents = std::move(*incidents);
        }
        return answer(request, input);
    }

  private:
    void record(const engine::IncidentChange& change) {
        const engine::IncidentSummary& incident = change.incident;
        const LogFields fields = {{"incident", incident.id},
                                  {"detector", incident.detector},
                                  {"subject", incident.subject},
                                  {"severity", incident.severity},
                                  {"summary", incident.summary},
                                  {"reasons", join(incident.reasons, "; ")}};
        if (change.kind == engine::IncidentChange::Kind::kOpened) env_.log.warning("incident.opened", fields);
        if (change.kind == engine::IncidentChange::Kind::kClosed) env_.log.info("incident.closed", fields);
        queue_.put(annotated(incident));
    }

    void judge_captures(Watcher::Round& round) {
        for (const auto& capture : captures_) {
            engine::CaptureFacts facts = capture->facts();
            facts.is_blind = round.status.isolated || round.stalled;
            facts.at = round.status.at;
            engine::CaptureJudgement judgement = engine::judge_capture(facts);
            for (engine::StoreStatus& store : round.status.stores) {
                if (store.store == facts.store) engine::apply(facts, judgement, store);
            }
            round.findings.push_back(std::move(judgement.finding));
            const auto events = capture->take_events();
            round.findings.push_back(engine::judge_holes(facts, events));
            round.findings.push_back(engine::judge_refusal(facts));
            for (const engine::CaptureEvent& event : events) {
                record(engine::StoreEvent{round.status.at, facts.store, event.kind, event.subject, event.detail});
            }
        }
    }

    void post_sentries(const engine::StackStatus& status) {
        for (const engine::StoreStatus& store : status.stores) {
            const auto sentry = sentries_.find(store.store);
            if (sentry == sentries_.end()) continue;
            sentry->second->look(store, store.assist == config::assist_name(config::Assist::kAct) && !store.paused);
            for (const engine::StoreEvent& event : sentry->second->take_events()) record(event);
        }
    }

    void record(const engine::StoreEvent& event) {
        env_.log.info(event.kind, {{"store", event.store}, {"subject", event.subject}, {"detail", event.detail}});
        queue_.put(event);
    }

    void serve_request(const engine::RequestRecord& request, const Watcher::Round& round) {
        const bool closes = request.kind == engine::kCloseIncident;
        const auto change = closes ? book_.close(request.subject, round.findings, round.status.at)
                                   : book_.acknowledge(request.subject, request.requester, round.status.at);
        env_.log.info("request.answered", {{"request", request.kind},
                                           {"subject", request.subject},
                                           {"by", request.requester},
                                           {"error", change ? "" : change.error().to_string()}});
        // First what was done, then that it was done.
        if (change) record(*change);
        queue_.put(change ? engine::answered(request, closes ? "closed" : "acknowledged") : engine::answered(request, change.error()));
    }

    [[nodiscard]] engine::IncidentSummary annotated(engine::IncidentSummary incident) const {
        for (std::string& line : policy_.notes(incident.id)) incident.reasons.push_back(std::move(line));
        return incident;
    }

    void publish(Watcher::Round round) {
        engine::StackStatus status = std::move(round.status);
        status.watcher = "serve";
        for (const engine::IncidentSummary& incident : book_.open()) {
            status.incidents.push_back(annotated(incident));
            // A new note of the policy belongs into the journal as well.
            std::size_t& noted = noted_[incident.id];
            const std::size_t notes = status.incidents.back().reasons.size() - incident.reasons.size();
            if (notes != std::exchange(noted, notes)) queue_.put(status.incidents.back());
        }
        status.healthy = is_healthy(status);
        auto snapshot = std::make_shared<Snapshot>();
        snapshot->status = std::move(status);
        snapshot->detectors.reserve(round.findings.size());
        for (engine::Finding& finding : round.findings) {
            snapshot->detectors.emplace_back(std::move(finding.store), std::move(finding.detector));
        }
        snapshot->judged_at = env_.clock.now();
        const std::lock_guard guard(mutex_);
        snapshot_ = std::move(snapshot);
    }

    const OpenStack& open_;
    engine::Journal& journal_;
    const env::Env& env_;
    engine::SharedActorLock lock_;
    Watcher watcher_;
    JournalQueue queue_;
    OrdersWatch orders_;
    RequestDesk desk_;
    Policy policy_;
    std::map<std::string, std::unique_ptr<engine::Sentry>> sentries_;  // by store
    engine::IncidentBook book_;
    const StoreOfNode stores_of_nodes_;
    std::map<std::string, std::size_t> noted_;  // incident id → notes in the journal
    std::optional<ForecastWatch> forecasts_;  // nothing without a repository to restore from
    bool was_isolated_ = false;
    std::mutex mutex_;
    std::shared_ptr<const Snapshot> snapshot_;
    std::vector<std::unique_ptr<CaptureWorker>> captures_;
};

}  // namespace

Result<std::unique_ptr<env::FileLock>> take_instance_lock(const config::Stack& stack, const env::Env& env) {
    AETERNA_TRY(env.files.make_directories(stack.state_directory));
    auto lock = env.files.lock(stack.state_directory + "/serve.lock");
    if (lock || lock.error().code != ErrorCode::kLocked) return lock;
    return make_error(ErrorCode::kLocked, fmt::format("serve runs already for stack '{}'", stack.name),
                      fmt::format("It holds '{}/serve.lock'; stop it first.", stack.state_directory));
}

Status serve(const OpenStack& open, engine::Journal& journal, const env::Env& env, const RepositoryOpener& opener,
             const env::Context& context) {
    if (!open.stack.serve_listen) {
        return make_error(ErrorCode::kConfiguration, fmt::format("'{}' has no serve.listen", open.stack.file),
                          "Add 'serve: {listen: 127.0.0.1:9464}' to the stack file.");
    }
    AETERNA_ASSIGN(const auto instance, take_instance_lock(open.stack, env));
    Judge judge(open, journal, env);
    auto server = env.http_listener.serve(*open.stack.serve_listen,
                                          [&judge](const auto& request) { return judge.handle(request); });
    if (!server) {
        return wrap_error(std::move(server).error(),
                          fmt::format("cannot listen on '{}'", open.stack.serve_listen->to_string()));
    }
    env.log.info("serve.started", {{"stack", open.stack.name}, {"listen", open.stack.serve_listen->to_string()}});
    AETERNA_TRY(judge.begin(opener));
    const auto orphans = watch_orphans(open, journal, env);
    const auto retention = forget_daily(open.stack, journal, env);
    MonoTime next = env.clock.now();
    while (!context.stop.stop_requested()) {
        judge.judge_once();
        next = std::max(next + kJudgeEvery, env.clock.now());
        if (!env.clock.sleep_until(next, context.stop)) break;
    }
    judge.request_stop();
    server->reset();
    judge.end();
    env.log.info("serve.stopped", {{"stack", open.stack.name}});
    return {};
}

}  // namespace aeterna::app
