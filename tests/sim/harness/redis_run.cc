#include "harness/redis_run.h"

#include <fmt/format.h>

#include "harness/redis_checks.h"

namespace aeterna::sim {
namespace {

constexpr Duration kLongestRedisRun = std::chrono::minutes(16);
constexpr Duration kRowTimeout = std::chrono::seconds(1);
constexpr Duration kStubbornPeriod = std::chrono::milliseconds(50);

// Writes a row at a time to whichever node takes it; what was acknowledged is remembered.
class RedisWorkload {
  public:
    // Told of each acknowledgement.
    std::function<void(int node)> on_acknowledged;

    RedisWorkload(RedisCluster& cluster, Duration period) : cluster_(cluster), period_(period) {
        ProcessOptions options;
        options.command = "application";
        options.host = &cluster_.application_host();
        process_ = &cluster_.world().processes.start(std::move(options));
        cluster_.world().scheduler.spawn(process_, "writer", [this] { run(); });
    }

    void count_lost(const models::Redis& master, Outcome& outcome) const {
        std::vector<bool> there(next_row_ + 1);
        for (const std::uint64_t row : master.rows()) there[row] = true;
        outcome.rows_acknowledged = acknowledged_.size();
        for (const std::uint64_t row : acknowledged_) outcome.rows_lost += there[row] ? 0 : 1;
        outcome.longest_outage = longest_outage_;
    }

  private:
    void run() {
        World& world = cluster_.world();
        int node = 0;
        while (process_->is_alive()) {
            static_cast<void>(world.scheduler.park(world.now() + period_, {}, "its next row"));
            if (!process_->is_alive()) return;
            models::Redis& server = cluster_.redis(node);
            const auto answer = world.network.call<Status>(
                *process_, server.endpoint(), {world.now() + kRowTimeout, {}, ""}, {true, "row", "its row"},
                [&server, row = ++next_row_](Network::Listener&, const Promise<Status>& promise) {
                    server.write(row, [promise](Status done) { promise.send(std::move(done)); });
                });
            if (answer && *answer) {
                acknowledged_.push_back(next_row_);
                if (on_acknowledged) on_acknowledged(node);
                if (last_ != Duration()) longest_outage_ = std::max(longest_outage_, world.age() - last_);
                last_ = world.age();
            } else {
                node = (node + 1) % RedisCluster::kNodes;
            }
        }
    }

    RedisCluster& cluster_;
    Duration period_;
    Process* process_ = nullptr;
    std::uint64_t next_row_ = 0;
    std::vector<std::uint64_t> acknowledged_;
    Duration last_{}, longest_outage_{};
};

// Writes to one node for ever, as an application would that knows its address only.
class StubbornClient {
  public:
    std::function<void(int node)> on_acknowledged;

    explicit StubbornClient(RedisCluster& cluster) : cluster_(cluster) {
        ProcessOptions options;
        options.command = "stubborn application";
        options.host = &cluster_.application_host();
        process_ = &cluster_.world().processes.start(std::move(options));
        cluster_.world().scheduler.spawn(process_, "stubborn writer", [this] { run(); });
    }

  private:
    void run() {
        World& world = cluster_.world();
        models::Redis& server = cluster_.redis(0);
        while (process_->is_alive()) {
            static_cast<void>(world.scheduler.park(world.now() + kStubbornPeriod, {}, "its next write"));
            if (!process_->is_alive()) return;
            const auto answer = world.network.call<Status>(
                *process_, server.endpoint(), {world.now() + kRowTimeout, {}, ""}, {true, "write", "its write"},
                [&server](Network::Listener&, const Promise<Status>& promise) {
                    server.write(0, [promise](Status done) { promise.send(std::move(done)); });
                });
            if (answer && *answer && on_acknowledged) on_acknowledged(0);
        }
    }

    RedisCluster& cluster_;
    Process* process_ = nullptr;
};

class RedisRun {
  public:
    RedisRun(const RedisSchedule& schedule, const std::function<void(const std::string&)>& on_trace)
        : schedule_(schedule), world_(schedule.seed) {
        world_.on_trace = on_trace;
        cluster_ = std::make_unique<RedisCluster>(world_, schedule_.is_persistent);
        cluster_->unfenceable = schedule_.unfenceable;
        workload_ = std::make_unique<RedisWorkload>(*cluster_, schedule_.row_period);
        CrewPlan crew = schedule_.crew;
        crew.approves_after = approval_of(schedule_.seed, crew.assist);
        crew_ = std::make_unique<Crew>(world_, *cluster_, std::move(crew));
        checks_ = std::make_unique<RedisChecks>(world_, *cluster_, *crew_, schedule_);
        checks_->on_forced_promotion = [this](const models::Sentinel& by) { doom(by); };
        checks_->on_order_begun = [this](int controller) { stop_ordering(controller); };
        checks_->on_promotion_ordered = [this](int controller) { kill_promoting(controller); };
        workload_->on_acknowledged = [this](int node) { checks_->acknowledged(node); };
        if (schedule_.has_stubborn_client) {
            stubborn_client_ = std::make_unique<StubbornClient>(*cluster_);
            stubborn_client_->on_acknowledged = [this](int node) { checks_->acknowledged(node); };
        }
    }

    Outcome go() {
        crew_->start();
        if (schedule_.save_period > Duration()) save_all();
        for (const RedisFault& fault : schedule_.faults) {
            ++open_;
            world_.scheduler.after(fault.at, [this, fault] { inject(fault); });
        }
        const bool settled =
            crew_->wait_for_rest({[this] { return open_ == 0; }, [this] { return cluster_->is_healthy(); },
                                  [this] { help(); }, kLongestRedisRun});
        Outcome outcome;
        checks_->finish(settled, outcome);
        if (const int master = cluster_->master(); master >= 0) workload_->count_lost(cluster_->redis(master), outcome);
        if (!settled) outcome.final_state += "\nwaiting:\n" + world_.scheduler.describe_waiting();
        outcome.virtual_time = world_.age();
        outcome.fingerprint = world_.scheduler.fingerprint();
        outcome.turns = world_.scheduler.turns();
        world_.on_trace = {};
        crew_->end();
        world_.processes.end_all();
        world_.scheduler.drain();
        return outcome;
    }

  private:
    void help() {
        crew_->lift_reported_fences();
        checks_->lifted_by_hand();
        cluster_->start_missing();
    }

    void inject(const RedisFault& fault) {
        if (const int master = cluster_->master(); master >= 0) last_master_ = master;
        const int node = fault.target >= 0 ? fault.target : last_master_;
        world_.trace(
            fmt::format("FAULT {} ({}) for {:.3f} s", fault_name(fault.kind), node + 1, to_seconds(fault.lasts)));
        act(fault.kind, node, true);
        world_.scheduler.after(fault.lasts, [this, fault, node] {
            world_.trace(fmt::format("HEAL {} ({})", fault_name(fault.kind), node + 1));
            act(fault.kind, node, false);
            --open_;
        });
    }

    void act(RedisFaultKind kind, int node, bool begins) {
        models::Redis& server = cluster_->redis(node);
        models::Sentinel& sentinel = cluster_->sentinel(node);
        Host& host = cluster_->host(node);
        switch (kind) {
            case RedisFaultKind::kKill: begins ? kill_server(node) : start(server.name()); return;
            case RedisFaultKind::kPause: pause(server.process(), begins); return;
            case RedisFaultKind::kFreeze:
                if (server.is_running())
                    begins ? world_.processes.freeze(*server.process()) : world_.processes.thaw(*server.process());
                return;
            case RedisFaultKind::kCut: cluster_->cut(host, true, true, begins); return;
            case RedisFaultKind::kCutOut: cluster_->cut(host, true, false, begins); return;
            case RedisFaultKind::kCutIn: cluster_->cut(host, false, true, begins); return;
            case RedisFaultKind::kCutPath: cluster_->cut_from_controllers(host, begins); return;
            case RedisFaultKind::kCutFromServers: cluster_->cut_from_servers(host, begins); return;
            case RedisFaultKind::kPromoteByHand:
                if (begins && server.is_responsive()) server.follow(std::nullopt);
                return;
            case RedisFaultKind::kHalfFailover:
                if (begins) sentinel.fail_over_by_hand(), kill_promoted(sentinel);
                else if (!killed_.empty()) start(killed_);
                return;
            case RedisFaultKind::kMisleadSentinel:
                if (begins) sentinel.tell_by_hand(cluster_->redis((node + 1) % RedisCluster::kNodes));
                return;
            case RedisFaultKind::kForgetSecond:
            case RedisFaultKind::kForgetMaster:
                if (begins) forget_one(node, kind == RedisFaultKind::kForgetMaster);
                return;
            case RedisFaultKind::kKillActingSentinel:
                is_acting_doomed_ = begins;
                if (!begins && !killed_.empty()) start(killed_);
                return;
            case RedisFaultKind::kPauseOrdering:
                is_order_stopped_ = begins;
                if (!begins) pause(crew_->controllers().front()->process(), false);
                return;
            case RedisFaultKind::kKillPromoting: is_promoter_doomed_ = begins; return;
            case RedisFaultKind::kSlow: host.slow = begins ? world_.rng().between(50ms, 900ms) : Duration(); return;
            case RedisFaultKind::kKillSentinel: begins ? kill(sentinel.process()) : start(sentinel.name()); return;
            case RedisFaultKind::kPauseSentinel: pause(sentinel.process(), begins); return;
            case RedisFaultKind::kKillSentinels:
                for (int i = 0; i < RedisCluster::kNodes; ++i) {
                    models::Sentinel& other = cluster_->sentinel(i);
                    if (i != node) begins ? kill(other.process()) : start(other.name());
                }
                return;
            case RedisFaultKind::kPauseSentinels:
                for (int i = 0; i < RedisCluster::kNodes; ++i) {
                    if (i != node) pause(cluster_->sentinel(i).process(), begins);
                }
                return;
            case RedisFaultKind::kKillEtcd:
                begins ? kill(&cluster_->etcd().process(static_cast<std::size_t>(node)))
                       : cluster_->etcd().restart(static_cast<std::size_t>(node));
                return;
            case RedisFaultKind::kJumpClock:
                if (begins) cluster_->controller_host(0).wall_offset += world_.rng().between(-1h, 1h);
                return;
            case RedisFaultKind::kCutController:
                cluster_->cut(cluster_->controller_host(0), true, true, begins);
                return;
            case RedisFaultKind::kPauseController: pause(crew_->controllers().front()->process(), begins); return;
            case RedisFaultKind::kKillController:
                if (begins) kill(crew_->controllers().front()->process());
                return;
            case RedisFaultKind::kStopController:
                if (begins) crew_->controllers().front()->stop();
                return;
        }
    }

    // There are two masters then, and the Sentinels know one of them.
    void forget_one(int promoted, bool is_the_old_one) {
        const int master = cluster_->master();
        models::Redis& server = cluster_->redis(promoted);
        if (master < 0 || master == promoted || !server.is_responsive()) return;
        server.follow(std::nullopt);
        models::Redis& known = is_the_old_one ? server : cluster_->redis(master);
        models::Redis& third = cluster_->redis(RedisCluster::kNodes - master - promoted);
        if (is_the_old_one && third.is_responsive()) third.follow(server.endpoint());
        for (int i = 0; i < RedisCluster::kNodes; ++i) cluster_->sentinel(i).tell_by_hand(known);
    }

    // As soon as it is told to be master.
    void kill_promoted(const models::Sentinel& by) {
        if (!by.is_failing_over()) return;
        if (by.promoted() != nullptr) {
            killed_ = by.promoted()->name();
            return kill(by.promoted()->process());
        }
        world_.scheduler.after(20ms, [this, &by] { kill_promoted(by); });
    }
    // Between the promotion, which its next INFO tells it of, and its next hello.
    void doom(const models::Sentinel& by) {
        if (!std::exchange(is_acting_doomed_, false)) return;
        killed_ = by.name();
        world_.scheduler.after(world_.rng().between(500ms, 1300ms), [this, &by] { kill(by.process()); });
    }

    // Right before its order, once.
    void stop_ordering(int controller) {
        if (controller != 0 || !std::exchange(is_order_stopped_, false)) return;
        Process* process = crew_->controllers().front()->process();
        world_.trace("the controller is stopped before an order");
        world_.scheduler.after(0ms, [this, process] { pause(process, true); });
    }

    // Once, before it can write down what came of it.
    void kill_promoting(int controller) {
        if (controller != 0 || !std::exchange(is_promoter_doomed_, false)) return;
        Process* process = crew_->controllers().front()->process();
        world_.scheduler.after(world_.rng().between(5ms, 200ms), [this, process] { kill(process); });
    }

    void save_all() {
        for (int i = 0; i < RedisCluster::kNodes; ++i) {
            if (cluster_->redis(i).is_responsive()) cluster_->redis(i).save();
        }
        world_.scheduler.after(schedule_.save_period, [this] { save_all(); });
    }

    void kill_server(int node) {
        models::Redis& server = cluster_->redis(node);
        if (schedule_.is_saved_at_kill) server.save();
        kill(server.process());
        if (schedule_.supervisor_delay == Duration()) return;
        world_.scheduler.after(schedule_.supervisor_delay, [this, &server] { start(server.name()); });
    }
    void start(const std::string& name) { static_cast<void>(cluster_->start_node(name)); }
    void kill(Process* process) {
        if (process != nullptr && process->is_alive()) world_.processes.kill(*process);
    }
    void pause(Process* process, bool begins) {
        if (process != nullptr && process->is_alive()) world_.processes.signal(*process, begins ? SIGSTOP : SIGCONT);
    }

    RedisSchedule schedule_;
    World world_;
    std::unique_ptr<RedisCluster> cluster_;
    std::unique_ptr<RedisWorkload> workload_;
    std::unique_ptr<StubbornClient> stubborn_client_;
    std::unique_ptr<Crew> crew_;
    std::unique_ptr<RedisChecks> checks_;
    int open_ = 0, last_master_ = 0;
    bool is_acting_doomed_ = false, is_order_stopped_ = false, is_promoter_doomed_ = false;
    std::string killed_;  // by a fault that did not know its target
};

}  // namespace

Outcome run_redis_schedule(const RedisSchedule& schedule, const std::function<void(const std::string&)>& on_trace) {
    RedisRun run(schedule, on_trace);
    return run.go();
}

}  // namespace aeterna::sim
