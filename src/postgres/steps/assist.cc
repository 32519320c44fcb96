#include "postgres/steps/assist.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/strings.h"
#include "postgres/detect/explain_stuck.h"

namespace aeterna::postgres {

namespace {

// Looks further apart than this leave a gap in which the node may have answered.
constexpr Duration kLargestGap = 3s;
// Crash recovery replays this much a second on ordinary disks; a deliberately low guess would only make us wait
// shorter for a recovery that loses nothing.
constexpr double kRecoveryBytesPerSecond = 64.0 * (1 << 20);

}  // namespace

Result<std::unique_ptr<hosts::Executor>> executor_of(const Settings& settings, const std::string& node,
                                                     const env::Env& env) {
    const config::Host* host = settings.host_of(node);
    if (!host) {
        return make_error(ErrorCode::kConfiguration,
                          fmt::format("the stack file names no host that runs '{}'", node));
    }
    return hosts::make_executor(*host, env);
}

std::vector<env::ProcessId> orphans_of(const Settings& settings, const std::string& node, const env::Env& env,
                                       const env::Context& context) {
    const auto executor = executor_of(settings, node, env);
    if (!executor) return {};
    auto left = (*executor)->remains(node, context);
    if (!left || !left->is_headless) return {};
    return std::move(left->processes);
}

std::string candidate_hindrance(const StepParts& parts, const World& world) {
    const NodeSettings* node = parts.settings.find(parts.candidate);
    if (!node) return "";
    if (node->name == world.reference) return "'" + node->name + "' is the primary that is to be replaced";
    std::string why = takeover_hindrance(world, *node);
    // Patroni compares them before it lets a node win by itself (check_timeline), and not for one that is named.
    const auto& own = world.of(node->name).rest.value;
    for (const auto& [name, of] : world.seen.nodes) {
        const bool is_ahead = own && own->timeline && of.rest.value && of.rest.value->timeline > own->timeline;
        if (why.empty() && is_ahead)
            why = fmt::format("it is on timeline {}, '{}' on {}", *own->timeline, name, *of.rest.value->timeline);
    }
    return why.empty() ? "" : "'" + node->name + "' may not take over: " + why;
}

LossEvidence LossWatch::gather(const World& world, const env::Context& context) {
    follow_silence(world);
    follow_starts(world);
    follow_listeners(world);
    last_gather_ = world.now;
    LossEvidence evidence;
    if (silent_since_) {
        evidence.silent_for = std::max(world.now - *silent_since_, watched_silence(world.now));
    }
    for (const auto& [node, since] : cut_since_) evidence.cut_for[node] = world.now - since;
    if (down_since_) evidence.down_for = world.now - *down_since_;
    evidence.failed_starts = failed_starts_;
    if (starting_since_) evidence.starting_for = world.now - *starting_since_;
    std::int64_t furthest = 0, redo = 0;
    for (const auto& [name, of] : world.seen.nodes) {
        if (!of.sql.value || !of.sql.value->in_recovery) continue;
        furthest = std::max(furthest, of.sql.value->received.value_or(0));
        redo = std::max(redo, of.sql.value->redo_lsn);
    }
    // Where no replica says from where it would begin, nothing is predicted.
    if (redo > 0) {
        evidence.predicted_recovery_seconds =
            static_cast<double>(std::max<std::int64_t>(0, furthest - redo)) / kRecoveryBytesPerSecond;
    }
    ask_host(evidence, context);
    return evidence;
}

void LossWatch::begin(const engine::StepContext& step) {
    LossEvidence unused;
    ask_host(unused, step.context);
    const Json* proof = own_proof(parts_, step);
    const Json* watched = proof ? find_member(*proof, "watched") : nullptr;
    if (!watched) return;
    const auto time = [&](const char* key) {
        const auto ns = find_integer(*watched, key);
        return ns ? std::optional(MonoTime{Duration(*ns)}) : std::nullopt;
    };
    const auto gathered = time("at_ns");
    if (!gathered || parts_.env.clock.now() - *gathered > kLargestGap) return;
    last_gather_ = gathered;
    down_since_ = time("down_since_ns");
    starting_since_ = time("starting_since_ns");
    failed_starts_ = static_cast<int>(find_integer(*watched, "failed_starts").value_or(0));
    last_state_ = find_string(*watched, "state").value_or("");
}

Json LossWatch::memory() const {
    const auto ns = [](const std::optional<MonoTime>& time) { return time ? Json(time->time_since_epoch().count()) : Json(nullptr); };
    return Json{{"at_ns", ns(last_gather_)},
                {"down_since_ns", ns(down_since_)},
                {"starting_since_ns", ns(starting_since_)},
                {"failed_starts", failed_starts_},
                {"state", last_state_}};
}

void LossWatch::ask_host(LossEvidence& evidence, const env::Context& context) {
    running_.clear();
    const auto executor = executor_of(parts_.settings, old_.name, parts_.env);
    if (!executor) {
        evidence.cannot_fence = executor.error().to_string();
        return;
    }
    const config::Host* host = parts_.settings.host_of(old_.name);
    for (const std::string& node : old_.fence_group()) {
        if (host->can_hold(node)) continue;
        evidence.cannot_fence = fmt::format("'{}' cannot be fenced on host '{}': its starter honours no markers",
                                            node, host->name);
    }
    const auto agent = (*executor)->vitals(old_.agent, context);
    const auto server = (*executor)->vitals(old_.name, context);
    evidence.host_answered = agent.has_value() && server.has_value();
    if (agent) evidence.agent = *agent;
    if (server) evidence.server = *server;
    for (const hosts::Vitals* vitals : {&evidence.agent, &evidence.server})
        if (vitals->main) running_.push_back(*vitals->main);
    evidence.watchdog_armed = (*executor)->is_watchdog_armed(context).value_or(false);
}

void LossWatch::follow_silence(const World& world) {
    const auto& sql = world.of(old_.name).sql;
    const bool has_gap = last_gather_ && world.now - *last_gather_ > kLargestGap;
    if (sql.answer != Answer::kSilent || has_gap) silent_since_.reset();
    if (sql.answer == Answer::kSilent && !silent_since_) silent_since_ = sql.started;
    // Up for a moment as a reader, and dead again before it takes a row: that is down all the while.
    const bool is_primary = sql.value && !sql.value->in_recovery;
    if (is_primary || has_gap) down_since_.reset();
    if (!is_primary && !down_since_) down_since_ = sql.started;
}

// Seen look by look: a replica says only that it has no connection, not since when.
void LossWatch::follow_listeners(const World& world) {
    for (const auto& [name, of] : world.seen.nodes) {
        const bool is_cut = of.sql.value && of.sql.value->in_recovery && !of.sql.value->receiver_silent_seconds;
        if (name == old_.name || !is_cut) cut_since_.erase(name);
        else cut_since_.try_emplace(name, world.now);
    }
}

// What serve has seen counts too, if it is fresh and serve itself did not sleep meanwhile.
Duration LossWatch::watched_silence(MonoTime now) const {
    if (!parts_.watched) return Duration::zero();
    const Snapshot seen = parts_.watched->snapshot();
    const auto found = seen.nodes.find(old_.name);
    if (found == seen.nodes.end()) return Duration::zero();
    const auto& sql = found->second.sql;
    const bool is_fresh = now - sql.at <= kSqlRhythm.stale_after();
    if (sql.answer != Answer::kSilent || !is_fresh) return Duration::zero();
    return now - std::max(sql.since, seen.trusted_since);
}

void LossWatch::follow_starts(const World& world) {
    const auto& rest = world.of(old_.name).rest;
    const std::string state = rest.value ? rest.value->state : "";
    const bool is_starting = state == "starting" || state == "restarting";
    if (is_starting && !starting_since_) starting_since_ = world.now;
    if (!is_starting) starting_since_.reset();
    const bool has_failed = !state.empty() && !is_starting && !rest.value->is_running();
    const bool was_starting = last_state_ == "starting" || last_state_ == "restarting";
    // A start that fails at once shows only as "start failed".
    if (has_failed && state != last_state_ && (was_starting || state == "start failed")) ++failed_starts_;
    if (!state.empty()) last_state_ = state;
}

bool is_assist(const Json& facts, const char* word) { return find_string(facts, "assist") == word; }

void settle_assist(engine::StepContext& step, const char* word, const std::vector<std::string>& reasons) {
    step.facts["assist"] = word;
    step.facts["assist_reasons"] = reasons;
}

void refuse_assist(engine::StepContext& step, const std::vector<std::string>& reasons) {
    settle_assist(step, "refused", reasons);
    step.progress("assist refused: " + join(reasons, "; "));
}

std::vector<std::string> fenced_nodes(const Json& facts) { return find_strings(facts, "fenced"); }

Status lift_fence(const StepParts& parts, engine::StepContext& step, bool starts) {
    const std::vector<std::string> nodes = fenced_nodes(step.facts);
    if (nodes.empty()) return {};
    AETERNA_ASSIGN(const auto executor, executor_of(parts.settings, nodes.front(), parts.env));
    AETERNA_TRY(executor->unfence(nodes, step.context.run_id, step.context));
    step.facts.erase("fenced");
    if (!starts) {
        step.progress("'" + nodes.front() + "' is unfenced");
        return {};
    }
    const Status started = executor->start(nodes.front(), step.context);
    step.progress(started ? fmt::format("'{}' is unfenced and was started", nodes.front())
                          : fmt::format("'{}' is unfenced, but not started: {}", nodes.front(),
                                        started.error().to_string()));
    return {};
}

const Json* own_proof(const StepParts& parts, const engine::StepContext& step) {
    const Json* proof = find_member(step.facts, "prove_loss");
    return proof && find_integer(*proof, "by") == parts.env.processes.own_pid() ? proof : nullptr;
}

}  // namespace aeterna::postgres
