#include "harness/redis_checks.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "redis/steps/steps.h"

namespace aeterna::sim {
namespace {

constexpr Duration kLookAtRedis = std::chrono::milliseconds(100);
// For so long a look gives leave to act (look_at_death.cc).
constexpr Duration kLeave = std::chrono::seconds(3);
// A question takes two ways there, the connection's and its own, and a second at most: beyond this it may go
// unanswered.
constexpr Duration kTooSlow = std::chrono::milliseconds(400);
constexpr int kGuarded = 10;
// Twice the suspicion of a guard that sees nobody else, or a pause to its end when the guard dies.
constexpr Duration kHeldInVain = std::chrono::seconds(20);
// The suspicion of such a guard.
constexpr Duration kLetGo = std::chrono::seconds(3);
// A master that came back empty counts as such for so long (client/info.h).
constexpr Duration kYoung = std::chrono::seconds(120);
constexpr std::size_t kNextToNothing = 10;
// More than passes between the look that gives leave and the act, where nothing is disturbed.
constexpr Duration kHeardAtAll = std::chrono::milliseconds(100);

}  // namespace

RedisChecks::RedisChecks(World& world, RedisCluster& cluster, Crew& crew, const RedisSchedule& schedule)
    : world_(world), cluster_(cluster), crew_(crew), schedule_(schedule) {
    for (int i = 0; i < RedisCluster::kNodes; ++i) {
        models::Redis& server = cluster_.redis(i);
        server.on_write = [this](const models::Redis& from) { written(from); };
        server.on_copy = [this](const models::Redis& from, const models::Redis& to, std::size_t had) {
            copied(from, to, had);
        };
        server.on_order = [this, i](const models::Redis&, const Process& client, const std::string& what) {
            const int controller = crew_.owner(client);
            if (what == "ping") return pinged(controller);
            if (lower(what) == "no one") ordered(client, fmt::format("REPLICAOF NO ONE on redis-{}", i + 1), i);
            else if (controller >= 0) commanded(i, controller, what);
        };
        cluster_.sentinel(i).on_select = [this](const models::Sentinel& by, const models::Redis& chosen,
                                                bool is_forced) {
            if (is_forced) selected(by, chosen);
            else ordered_by_.erase(&by);
        };
        cluster_.sentinel(i).on_order = [this](const models::Sentinel& by, const Process& client,
                                               const std::string& what) {
            if (what == "ping") return pinged(crew_.owner(client));
            if (what == "remove") return forgotten(by, crew_.owner(client));
            if (what != "failover") return;
            if (!by.is_failing_over()) ordered_by_[&by] = crew_.owner(client);
            ordered_at_ = world_.now();
            if (last_master_ >= 0) gone_since_ = ordered_at_ - gone_for(last_master_);
            ordered(client, "SENTINEL FAILOVER on " + by.name(), -1);
        };
    }
    world_.processes.on_signal = [this](Process& from, const Process& to, int number) { signalled(from, to, number); };
    look();
}

bool RedisChecks::is_open(int controller, int node) const {
    const Host& own = cluster_.controller_host(controller);
    const Host& host = cluster_.host(node);
    return world_.network.is_open(&own, &host) && world_.network.is_open(&host, &own);
}

bool RedisChecks::is_near(int controller, int node) const {
    return cluster_.host(node).slow < kTooSlow && is_open(controller, node);
}

void RedisChecks::look() {
    const MonoTime now = world_.now();
    // Not whom Sentinels name that were away, and that follows another one by now.
    if (const int named = cluster_.named(); named >= 0) {
        const models::Redis& server = cluster_.redis(named);
        if (server.is_master() || !server.is_running()) last_master_ = named;
    }
    for (int i = 0; i < RedisCluster::kNodes; ++i) look_at(i, now);
    for (int c = 0; c < 2; ++c) {
        bool is_any = false;
        for (int i = 0; i < RedisCluster::kNodes; ++i) is_any = is_any || is_near(c, i);
        isolated_[static_cast<std::size_t>(c)].note(!is_any, now);
    }
    look_at_refusals(now);
    world_.scheduler.after(kLookAtRedis, [this] { look(); });
}

void RedisChecks::look_at(int node, MonoTime now) {
    const auto index = static_cast<std::size_t>(node);
    const models::Redis& server = cluster_.redis(node);
    const bool answers = server.is_responsive();
    const bool is_named = cluster_.master() == node;
    named_[index].note(is_named, now);
    const bool is_replaced = replaced_[index].is_open && may_be_another_master(node);
    const bool is_known_as_named = is_named && naming(node) >= 2 && is_in_reach(node);
    held_in_vain_[index].note(is_known_as_named && answers && server.is_paused() && !is_replaced, now);
    if (held_in_vain_[index].covers(now - kHeldInVain, now))
        violated(fmt::format("the writes of {} were held although nobody has replaced it", server.name()));
    for (int c = 0; c < 2; ++c) {
        Spans& heard = heard_[index][static_cast<std::size_t>(c)];
        heard.note(answers && is_near(c, node), now);
        Spans& watched = watched_[index][static_cast<std::size_t>(c)];
        watched.note(crew_.is_at_work(c) && is_near(c, node), now);
        const MonoTime from = std::max(now - kKnownToAll, server.started_at());
        if (heard.covers(from, now) && watched.covers(from, now)) met_[index] = server.started_at();
    }
    int sentinels = 0;
    for (int i = 0; i < RedisCluster::kNodes; ++i) {
        const models::Sentinel& sentinel = cluster_.sentinel(i);
        const bool hears = sentinel.is_responsive() && sentinel.hears(server) && is_near(0, i);
        sentinels += hears ? 1 : 0;
        // What an emptied one answers is no sign of the master that was lost.
        if (hears && !is_emptied(server)) answered_at_[index][static_cast<std::size_t>(i)] = now;
    }
    heard_by_sentinels_[index].note(sentinels >= 2, now);
    if (is_named && answers && !has_lost_rows(server, 0)) histories_[index] = server.replid();
    // It is a replica now, or the Sentinels made it the master again: what it writes is not ours to answer for.
    Replaced& replaced = replaced_[index];
    const bool is_theirs = cluster_.master() == node && server.takes_writes() && !replaced.was_fenced;
    if (!server.is_master() || is_theirs) replaced.is_open = false;
}

// The Sentinels that say so to whoever asks them.
int RedisChecks::naming(int node) const {
    int naming = 0;
    for (int i = 0; i < RedisCluster::kNodes; ++i) {
        const models::Sentinel& sentinel = cluster_.sentinel(i);
        naming += sentinel.is_responsive() && is_in_reach(i) && sentinel.master() == &cluster_.redis(node) ? 1 : 0;
    }
    return naming;
}

// By the stack file, or by a person's yes: to an execution that runs against that master.
bool RedisChecks::may_replace(int controller, int node) const {
    return has_leave(controller, [&](const engine::ExecutionRecord& execution) {
        return execution.state == engine::ExecutionState::kRunning && is_against(execution, node);
    });
}

// An execution that runs commands others, too; one that has ended leaves a guard to the master that it replaced.
bool RedisChecks::may_command(int controller, int node) const {
    return has_leave(controller, [&](const engine::ExecutionRecord& execution) {
        return execution.state == engine::ExecutionState::kRunning || is_against(execution, node);
    });
}

bool RedisChecks::is_against(const engine::ExecutionRecord& execution, int node) const {
    return find_string(execution.facts, redis::kOldMaster) == cluster_.redis(node).name();
}

bool RedisChecks::has_leave(int controller, const std::function<bool(const engine::ExecutionRecord&)>& by) const {
    if (schedule_.crew.assist == "act") return true;
    const auto& executions = crew_.controllers()[static_cast<std::size_t>(controller)]->pages().executions;
    return std::any_of(executions.begin(), executions.end(), [&](const auto& entry) {
        return crew_.has_approved(controller, entry.first) && by(entry.second);
    });
}

// Before it takes that one's place away.
std::vector<std::string> RedisChecks::against_acting(int controller, int node) const {
    std::vector<std::string> why;
    const MonoTime now = world_.now();
    if (!may_replace(controller, node)) why.push_back("the stack file says assist: " + schedule_.crew.assist);
    if (isolated_[static_cast<std::size_t>(controller)].covers(now - kKnownToAll, now))
        why.emplace_back("it was cut off");
    return why;
}

// Whoever cannot be asked may be one.
bool RedisChecks::may_be_another_master(int node) const {
    for (int i = 0; i < RedisCluster::kNodes; ++i) {
        const models::Redis& other = cluster_.redis(i);
        if (i == node || !other.is_running()) continue;
        if (other.is_master() || !other.is_responsive() || !is_in_reach(i)) return true;
    }
    return false;
}

// What speaks against taking the master's role from that node now.
std::vector<std::string> RedisChecks::against_replacing(int node, int controller) const {
    std::vector<std::string> why;
    const auto index = static_cast<std::size_t>(node);
    const models::Redis& server = cluster_.redis(node);
    const MonoTime now = world_.now();
    if (!server.is_running() || is_emptied(server)) return why;
    // What the process before this one answered, says nothing.
    const MonoTime from = std::max(now - kSilenceBeforeAct, server.started_at());
    // One that was stopped since its last look, or whose disk was, may do what it had leave for.
    const bool went_on = watched_[index][static_cast<std::size_t>(controller)].covers(now - kLeave, now);
    const Duration since = went_on && !crew_.has_disk_stood_still(now - kLeave) ? kLookAtRedis : kLeave;
    if (heard_[index][static_cast<std::size_t>(controller)].covers(now - kKnownToAll, now))
        why.emplace_back("it heard it");
    else if (heard_[index][static_cast<std::size_t>(controller)].touches(from, now - since, kOneQuestion))
        why.emplace_back("it had answered within 5 s");
    const bool is_whole =
        now - server.started_at() < kSilenceBeforeAct && server.loaded_rows() > 0 && server.rows_lost_at_start() == 0;
    if (is_whole && schedule_.is_crew_calm() &&
        heard_[index][static_cast<std::size_t>(controller)].touches(server.started_at(), now - since, kHeardAtAll))
        why.emplace_back("it had just come back with all that it had");
    if (controller == 0 && heard_by_sentinels_[index].covers(now - kKnownToAll, now))
        why.emplace_back("a majority of the Sentinels heard it");
    return why;
}

void RedisChecks::signalled(const Process& from, const Process& to, int number) {
    const int controller = crew_.owner(from);
    if (controller < 0 || number != SIGKILL) return;
    ++kills_;
    // A process that is stuck in the kernel is killed again and again by one fence; the first one decides.
    if (!killed_.insert({controller, &to}).second) return;
    for (int i = 0; i < RedisCluster::kNodes; ++i) {
        if (cluster_.redis(i).process() != &to) continue;
        std::vector<std::string> why = against_acting(controller, i);
        for (std::string& line : against_replacing(i, controller)) why.push_back(std::move(line));
        for (std::string& line : refusals(i)) why.push_back(std::move(line));
        acted_at_ = world_.now();
        if (!why.empty()) violated(fmt::format("{} killed redis-{}, but {}", from.command, i + 1, join(why, "; ")));
        return;
    }
    violated(fmt::format("{} killed {}", from.command, to.command));
}

void RedisChecks::ordered(const Process& client, const std::string& what, int promoted) {
    const int controller = crew_.owner(client);
    if (controller < 0 || promoted == last_master_) return;
    std::vector<std::string> why = against_acting(controller, last_master_);
    for (std::string& line : against_replacing(last_master_, controller)) why.push_back(std::move(line));
    const bool is_fenced = cluster_.is_marked(fmt::format("redis-{}", last_master_ + 1));
    for (std::string& line : refusals(last_master_)) why.push_back(std::move(line));
    if (!why.empty()) violated(fmt::format("{} sent {}, but {}", client.command, what, join(why, "; ")));
    if (promoted >= 0) judge_choice(cluster_.redis(promoted), controller);
    ++promotions_;
    acted_at_ = world_.now();
    replaced_[static_cast<std::size_t>(last_master_)] = {true, is_fenced, 0};
    if (on_promotion_ordered) on_promotion_ordered(controller);
}

// Started lately without any data or with an older state of it, and another one still has it, `least` rows or more; or
// with next to none of it.
bool RedisChecks::has_lost_rows(const models::Redis& server, std::size_t least) const {
    if (world_.now() - server.started_at() > kYoung) return false;
    for (int i = 0; i < RedisCluster::kNodes; ++i) {
        const models::Redis& other = cluster_.redis(i);
        const auto& rows = other.rows();
        const bool has_older = !rows.empty() && (server.rows().empty() || rows.front() < server.rows().front());
        if (server.has_begun_empty() && has_older && rows.size() >= least) return true;
        const bool has_more = server.rows_lost_at_start() > 0 && rows.size() > server.loaded_rows() &&
                              other.replid() != server.replid() && !other.is_master();
        if (has_more && rows.size() >= least) return true;
        const bool is_its_own = other.is_master() || other.replid() == server.replid() || !server.replid2().empty();
        if (!is_its_own && server.rows().size() * kNextToNothing < rows.size()) return true;
    }
    return false;
}

// And no more than that one has it taken since.
bool RedisChecks::is_emptied(const models::Redis& server) const {
    return server.is_running() && has_lost_rows(server, server.rows().size());
}

bool RedisChecks::is_second_writer(int node) const {
    if (!replaced_[static_cast<std::size_t>(node)].is_open) return false;
    for (int i = 0; i < RedisCluster::kNodes; ++i) {
        if (i != node && cluster_.redis(i).takes_writes()) return true;
    }
    return false;
}

void RedisChecks::written(const models::Redis& server) {
    const int node = RedisCluster::number_of(server.name());
    const bool was_fenced = replaced_[static_cast<std::size_t>(node)].was_fenced;
    if (was_fenced && is_second_writer(node)) violated(server.name() + " was fenced and replaced, and took a write");
}

// Where nobody else is heard of any more a guard lets go after a while (return_guard.h).
bool RedisChecks::is_known_second_writer(int node) const {
    if (!is_second_writer(node)) return false;
    const MonoTime now = world_.now();
    for (int i = 0; i < RedisCluster::kNodes; ++i) {
        if (i == node || !cluster_.redis(i).takes_writes()) continue;
        const auto& spans = heard_[static_cast<std::size_t>(i)];
        if (std::any_of(spans.begin(), spans.end(), [&](const Spans& one) { return one.touches(now - kLetGo, now); }))
            return true;
    }
    return false;
}

// Nobody can hold what nobody meets: for so long somebody must have been there.
bool RedisChecks::is_watched(int node) const {
    const MonoTime now = world_.now();
    const auto& spans = watched_[static_cast<std::size_t>(node)];
    return std::any_of(spans.begin(), spans.end(),
                       [&](const Spans& one) { return one.covers(now - kKnownToAll, now); });
}

// What a stopped server had in its sockets is carried out when it goes on, and answered to nobody.
void RedisChecks::acknowledged(int node) {
    if (!is_known_second_writer(node) || !is_watched(node)) return;
    const int writes = ++replaced_[static_cast<std::size_t>(node)].writes;
    if (writes == kGuarded + 1)
        violated(fmt::format("redis-{} was replaced, and acknowledged {} writes", node + 1, writes));
}

void RedisChecks::lifted_by_hand() {
    for (int i = 0; i < RedisCluster::kNodes; ++i) {
        Replaced& old = replaced_[static_cast<std::size_t>(i)];
        if (old.was_fenced && !cluster_.is_marked(fmt::format("redis-{}", i + 1))) old = Replaced();
    }
}

void RedisChecks::copied(const models::Redis& from, const models::Redis& to, std::size_t had) {
    const bool was_older = schedule_.plot == "older copy";
    const bool is_emptier = is_emptied(from) && from.rows().size() * (was_older ? 1 : 10) < had;
    const bool was_ours =
        schedule_.crew.assist == "act" && (was_older || schedule_.plot == "empty master") && schedule_.is_undisturbed();
    if (is_emptier && was_ours)
        violated(fmt::format("{} gave {} rows away for the {} of {}, which came back with less", to.name(), had,
                             from.rows().size(), from.name()));
}

void RedisChecks::finish(bool settled, Outcome& outcome) {
    // Without leave it is told, and a person ends it; so it is where nobody can keep what has to go.
    const bool has_leave = schedule_.crew.assist == "act" && !crew_.is_person_asked("reconcile");
    if (!settled && has_leave) violated("the servers did not find back to one master that all Sentinels name");
    for (const std::string& line : crew_.unfinished()) violated(line);
    for (const std::string& line : crew_.untold_fences()) violated(line);
    if (models::Redis::unknown_commands + models::Sentinel::unknown_commands > 0)
        violated("a model met a command that it does not know");
    outcome.executions = crew_.executions();
    outcome.fences = kills_;
    outcome.releases = promotions_;
    outcome.was_healthy = cluster_.is_healthy();
    outcome.final_state = cluster_.describe();
    outcome.violations = violations_.lines();
}

}  // namespace aeterna::sim
