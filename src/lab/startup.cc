// See startup.h.
#include "lab/startup.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "lab/bootstrap.h"
#include "lab/server_config.h"

namespace aeterna::lab {
namespace {

constexpr Duration kStartPoll = 100ms;
constexpr Duration kOneCheck = 2s;
constexpr Duration kLastLeaderTime = 20s;
constexpr Duration kServeTime = 5s;

}  // namespace

Startup::Startup(const Layout& layout, const Secrets& secrets, const Programs& programs,
                 const env::Env& env, const Progress& progress)
    : layout_(layout),
      secrets_(secrets),
      programs_(programs),
      env_(env),
      progress_(progress),
      supervisor_(layout, env),
      begin_(env.clock.now()) {}

int Startup::started() const { return started_; }

double Startup::seconds() const { return to_seconds(env_.clock.now() - begin_); }

Status Startup::start(const std::string& node, const env::Context& context) {
    const auto found = layout_.find(node);
    if (!found)
        return make_error(ErrorCode::kNotFound, fmt::format("no node '{}' in this lab", node));
    AETERNA_ASSIGN(const bool is_new, supervisor_.start(*found, secrets_, programs_, context));
    if (is_new) ++started_;
    const std::lock_guard guard(mutex_);
    seen_running_.insert(node);
    return {};
}

Status Startup::start_all(const std::string& kind, const env::Context& context) {
    for (const Node& node : layout_.nodes())
        if (node.kind == kind) AETERNA_TRY(start(node.name, context));
    return {};
}

std::optional<Error> Startup::find_dead(const std::vector<std::string>& kinds) const {
    for (const Node& node : layout_.nodes()) {
        const bool is_meant = std::find(kinds.begin(), kinds.end(), node.kind) != kinds.end();
        if (!is_meant || supervisor_.running(node)) continue;
        // Not started yet is not dead. Its pid file says nothing: it outlives a reboot.
        const std::lock_guard guard(mutex_);
        if (!seen_running_.contains(node.name)) continue;
        return make_error(ErrorCode::kUnavailable,
                          fmt::format("{} died after its start; its last lines:\n{}", node.name,
                                      supervisor_.last_words(node)),
                          fmt::format("The whole log is '{}'.", layout_.log_file(node.name)),
                          Effect::kPartial);
    }
    return std::nullopt;
}

Error Startup::not_ready(const std::string& phase, const std::vector<std::string>& kinds,
                         const std::string& reason) const {
    std::string text = fmt::format("{} not ready in time: {}", phase, reason);
    std::string log = layout_.path("log");
    for (const Node& node : layout_.nodes()) {
        const bool is_meant = std::find(kinds.begin(), kinds.end(), node.kind) != kinds.end();
        if (!is_meant || reason.find(node.name) == std::string::npos) continue;
        text += fmt::format("; last lines of {}:\n{}", node.name, supervisor_.last_words(node));
        log = layout_.log_file(node.name);
    }
    return make_error(ErrorCode::kUnavailable, text, fmt::format("The logs are in '{}'.", log),
                      Effect::kPartial);
}

Status Startup::wait(const std::string& phase, const std::vector<std::string>& kinds,
                     const Check& check, const env::Context& context) {
    const MonoTime begin = env_.clock.now();
    while (true) {
        const Reason reason = check(env_.clock.within(kOneCheck, context));
        if (!reason) break;
        if (auto dead = find_dead(kinds)) return std::move(*dead);
        if (context.stop.stop_requested())
            return make_error(ErrorCode::kCancelled, "interrupted while waiting for " + phase,
                              "What was started stays; 'aeterna-dr lab down' ends it.",
                              Effect::kPartial);
        if (env_.clock.remaining(context) < kStartPoll) return not_ready(phase, kinds, *reason);
        env_.clock.sleep_for(kStartPoll, context.stop);
    }
    progress_(fmt::format("{:5.1f} s  {} ({:.1f} s)", seconds(), phase,
                          to_seconds(env_.clock.now() - begin)));
    return {};
}

Status Startup::postgres(const env::Context& context) {
    AETERNA_TRY(start_all("etcd", context));
    AETERNA_TRY(wait(
        "etcd: 3 members, a leader", {"etcd"},
        [&](const env::Context& c) { return check_etcd(checks(), c); }, context));
    AETERNA_TRY(patroni(context));
    std::optional<int> leader;
    AETERNA_TRY(wait(
        "postgres: a leader", {"etcd", "patroni"},
        [&](const env::Context& c) -> Reason {
            leader = find_leader(checks(), c);
            return leader ? std::nullopt : check_patroni(checks(), c);
        },
        context));
    wake(*leader, context);
    AETERNA_TRY(start_all("exporter", context));
    AETERNA_TRY(start_all("haproxy", context));
    if (layout_.synchronous) AETERNA_TRY(set_synchronous_mode(*leader, context));
    AETERNA_TRY(wait(
        "postgres: database and roles", {"patroni"},
        [&](const env::Context& c) -> Reason {
            const auto done = prepare_database(checks(), *leader, c);
            if (!done) leader = find_leader(checks(), c).value_or(*leader);
            return done ? std::nullopt : Reason(done.error().to_string());
        },
        context));
    AETERNA_TRY(wait(
        "postgres: 2 replicas stream", {"etcd", "patroni"},
        [&](const env::Context& c) { return check_patroni(checks(), c); }, context));
    return wait(
        "haproxy: a client can write", {"haproxy", "exporter"},
        [&](const env::Context& c) { return check_client_write(checks(), c); }, context);
}

// The node that led when the lab was stopped starts first: it alone has the last WAL record, and a
// replica that won the race would make it rewind. At the very first start patroni-1 gets a head
// start for the same names each time.
Status Startup::patroni(const env::Context& context) {
    std::string first = "patroni-1";
    const auto last = env_.files.read(layout_.path("run/last-leader"), 64);
    const bool is_restart = last && layout_.find(std::string(trim(*last))).has_value();
    if (is_restart) first = std::string(trim(*last));
    const bool is_running =
        find_leader(checks(), env_.clock.within(kOneCheck, context)).has_value();
    AETERNA_TRY(start(first, context));
    const env::Context bounded = env_.clock.within(kLastLeaderTime, context);
    const int host = first.back() - '0';
    while (!is_running && env_.clock.remaining(bounded) > kStartPoll) {
        const env::Context check = env_.clock.within(kOneCheck, bounded);
        env::HttpRequest request;
        request.url =
            fmt::format("http://{}/patroni", layout_.endpoint("patroni", host).to_string());
        const bool has_begun = env_.http.send(request, check).has_value();
        if (is_restart ? find_leader(checks(), check).has_value() : has_begun) break;
        if (auto dead = find_dead({"patroni"})) return std::move(*dead);
        if (!env_.clock.sleep_for(kStartPoll, context.stop)) break;
    }
    return start_all("patroni", context);
}

// PATCH /config makes Patroni's loop run at once (api.py: do_PATCH_config ends with ha.wakeup()).
// The value is the one that is set already, so that nothing changes.
void Startup::wake(int leader, const env::Context& context) {
    env::HttpRequest request;
    request.method = "PATCH";
    request.url = fmt::format("http://{}/config", layout_.endpoint("patroni", leader).to_string());
    request.headers.emplace_back("Content-Type", "application/json");
    request.body = R"({"loop_wait": 10})";
    // Only a matter of seconds: without it the loop comes by itself.
    (void)env_.http.send(request, env_.clock.within(kOneCheck, context));
}

Status Startup::set_synchronous_mode(int leader, const env::Context& context) {
    env::HttpRequest request;
    request.method = "PATCH";
    request.url = fmt::format("http://{}/config", layout_.endpoint("patroni", leader).to_string());
    request.headers.emplace_back("Content-Type", "application/json");
    request.body = R"({"synchronous_mode": true})";
    return wait(
        "postgres: synchronous mode is on", {"patroni"},
        [&](const env::Context& c) -> Reason {
            const auto response = env_.http.send(request, c);
            if (!response) return response.error().to_string();
            if (response->status != 200)
                return fmt::format("PATCH /config answers {}", response->status);
            return std::nullopt;
        },
        context);
}

Status Startup::redis(const env::Context& context) {
    AETERNA_TRY(start_all("redis", context));
    AETERNA_TRY(wait(
        "redis: a master, 2 replicas online", {"redis"},
        [&](const env::Context& c) -> Reason {
            // After a failover each may have been stopped with another opinion; Sentinel settles
            // it.
            const Reason reason = check_redis(checks(), c);
            return reason && reason->find("masters") != std::string::npos ? std::nullopt : reason;
        },
        context));
    // Only now: a Sentinel asks for the replicas when it starts and then every 10 s.
    AETERNA_TRY(start_all("sentinel", context));
    AETERNA_TRY(wait(
        "sentinel: quorum", {"sentinel", "redis"},
        [&](const env::Context& c) { return check_sentinel(checks(), c); }, context));
    return wait(
        "redis: one master", {"sentinel", "redis"},
        [&](const env::Context& c) { return check_redis(checks(), c); }, context);
}

Status Startup::qdrant(const env::Context& context) {
    AETERNA_TRY(start("qdrant-1", context));
    AETERNA_TRY(wait(
        "qdrant-1 answers", {"qdrant"},
        [&](const env::Context& c) { return check_qdrant_node(checks(), 1, c); }, context));
    AETERNA_TRY(start_all("qdrant", context));
    const std::string what = layout_.has_real_qdrant()
                                 ? "qdrant: 3 peers agree"
                                 : "qdrant (STAND-IN, not a real Qdrant): 3 peers agree";
    return wait(
        what, {"qdrant"}, [&](const env::Context& c) { return check_qdrant(checks(), c); },
        context);
}

Status Startup::front(const env::Context& context) {
    AETERNA_TRY(start_all("prometheus", context));
    return wait(
        "prometheus answers", {"prometheus"},
        [&](const env::Context& c) { return check_prometheus(checks(), c); }, context);
}

Status Startup::run(const env::Context& context) {
    const std::vector<Track> tracks = {&Startup::postgres, &Startup::redis, &Startup::qdrant,
                                       &Startup::front};
    std::vector<Status> results(tracks.size());
    {
        std::vector<std::unique_ptr<env::Thread>> threads;
        for (std::size_t i = 0; i < tracks.size(); ++i)
            threads.push_back(
                env_.threads.start("lab", [this, i, &tracks, &results, &context](std::stop_token) {
                    results[i] = (this->*tracks[i])(context);
                }));
        for (auto& thread : threads) thread->join();
    }
    for (Status& result : results)
        if (!result) return std::move(result).error();
    return {};
}

bool Startup::start_serve(const env::Context& context) {
    const int before = started_;
    if (const auto started = start("serve", context); !started) return false;
    const env::Context bounded = env_.clock.within(kServeTime, context);
    while (env_.clock.remaining(bounded) > kStartPoll) {
        if (!check_serve(checks(), bounded)) return true;
        if (!supervisor_.running(*layout_.find("serve"))) {
            started_ = before;
            return false;
        }
        if (!env_.clock.sleep_for(kStartPoll, context.stop)) break;
    }
    return false;
}

}  // namespace aeterna::lab
