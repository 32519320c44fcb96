#include "scenario.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>

#include "harness/cluster.h"

namespace aeterna::sim {
namespace {

constexpr Duration kBegin = std::chrono::seconds(12);  // the cluster stands, and its agents have looped
constexpr Duration kScenarioLookEvery = std::chrono::milliseconds(100);
constexpr Duration kRowEvery = std::chrono::milliseconds(50);
constexpr Duration kRowTimeout = std::chrono::seconds(1);
constexpr Duration kWriterMemory = std::chrono::seconds(1);
constexpr std::int64_t kRowBytes = 200;

Duration seconds_of(const Json& step, const char* key) {
    const Json* value = find_member(step, key);
    return value && value->is_number() ? std::chrono::milliseconds(static_cast<int>(value->get<double>() * 1000))
                                       : Duration{};
}

// One writer per node, each with a kept connection of its own.
class Writers {
  public:
    explicit Writers(Cluster& cluster) : cluster_(cluster) {
        ProcessOptions options;
        options.command = "application";
        options.host = &cluster.application_host();
        process_ = &cluster.world().processes.start(std::move(options));
        for (int node = 0; node < Cluster::kNodes; ++node)
            cluster.world().scheduler.spawn(process_, "writer", [this, node] { write_to(node); });
    }

    [[nodiscard]] std::vector<int> recent() const {
        std::vector<int> nodes;
        for (int node = 0; node < Cluster::kNodes; ++node) {
            const auto& last = acknowledged_[static_cast<std::size_t>(node)];
            if (last && cluster_.world().now() - *last <= kWriterMemory) nodes.push_back(node);
        }
        return nodes;
    }

  private:
    void write_to(int node) {
        World& world = cluster_.world();
        while (process_->is_alive()) {
            static_cast<void>(world.scheduler.park(world.now() + kRowEvery, {}, "its next row"));
            if (!process_->is_alive()) return;
            models::Postgres& server = cluster_.postgres(node);
            const auto answer = world.network.call<Status>(
                *process_, server.endpoint(), {world.now() + kRowTimeout, {}, ""}, {true, "row", "its row"},
                [this, &server](Network::Listener&, const Promise<Status>& promise) {
                    server.insert(++rows_, kRowBytes, [promise](Status done) { promise.send(std::move(done)); });
                });
            if (answer && *answer) acknowledged_[static_cast<std::size_t>(node)] = world.now();
        }
    }

    Cluster& cluster_;
    Process* process_ = nullptr;
    std::uint64_t rows_ = 0;
    std::array<std::optional<MonoTime>, Cluster::kNodes> acknowledged_{};
};

class Play {
  public:
    Play(const Json& scenario, std::uint64_t seed) : scenario_(scenario), world_(seed) {
        models::PatroniSettings settings;
        settings.synchronous_mode = find_string(scenario, "mode") == "synchronous";
        cluster_ = std::make_unique<Cluster>(world_, settings);
        writers_ = std::make_unique<Writers>(*cluster_);
    }

    ScenarioResult go() {
        // At a random instant of the agents' loops.
        pass(kBegin + world_.rng().between(0s, 10s));
        name_nodes();
        done_at_ = world_.now();
        for (const Json& step : scenario_.at("steps")) {
            if (!take(step)) break;
        }
        world_.processes.end_all();
        world_.scheduler.drain();
        return std::move(result_);
    }

  private:
    void pass(Duration time) { static_cast<void>(world_.scheduler.run_until(world_.now() + time)); }

    void name_nodes() {
        const int leader = cluster_->leader();
        if (leader < 0 || !cluster_->is_healthy()) fail("the cluster did not stand: " + cluster_->describe());
        nodes_["leader"] = std::max(0, leader);
        for (int node = 0; node < Cluster::kNodes; ++node) {
            if (node != nodes_["leader"]) nodes_.try_emplace(nodes_.contains("first") ? "second" : "first", node);
        }
        const auto view = models::read_view(cluster_->etcd().store().keys, cluster_->settings().prefix);
        for (int node = 0; node < Cluster::kNodes; ++node) {
            const auto& names = view.sync_standbys;
            if (std::find(names.begin(), names.end(), cluster_->postgres(node).name()) != names.end())
                nodes_["standby"] = node;
        }
    }

    bool take(const Json& step) {
        if (step.contains("do")) {
            for (const Json& what : step.at("what")) act(step.at("do"), what, nodes_.at(step.at("of")));
            done_at_ = world_.now();
            return true;
        }
        if (step.contains("pass")) return pass(seconds_of(step, "pass")), true;
        return step.contains("expect") ? expect(step) : keep(step);
    }

    bool expect(const Json& step) {
        const std::string fact = step.at("expect"), value = step.at("is");
        while (!holds(fact, value)) {
            if (world_.now() - done_at_ > seconds_of(step, "within")) {
                fail(fmt::format("{} is not {} within {:.0f} s: {}", fact, value,
                                 to_seconds(seconds_of(step, "within")), cluster_->describe()));
                return false;
            }
            pass(kScenarioLookEvery);
        }
        const Duration took = world_.now() - done_at_;
        result_.told.push_back(fmt::format("{} is {} after {:.1f} s", fact, value, to_seconds(took)));
        if (took >= seconds_of(step, "after")) return true;
        fail(fmt::format("{} is {} after {:.1f} s already", fact, value, to_seconds(took)));
        return false;
    }

    bool keep(const Json& step) {
        const std::string fact = step.at("keep"), value = step.at("is");
        // What was begun is let arrive: a row under way, a connection that breaks.
        pass(kWriterMemory + kScenarioLookEvery);
        for (const MonoTime end = world_.now() + seconds_of(step, "seconds"); world_.now() < end; pass(kScenarioLookEvery)) {
            if (holds(fact, value)) continue;
            fail(fmt::format("{} is not {} {:.1f} s after the last act: {}", fact, value,
                             to_seconds(world_.now() - done_at_), cluster_->describe()));
            return false;
        }
        return true;
    }

    [[nodiscard]] bool holds(const std::string& fact, const std::string& value) {
        if (fact == "key") return is_key(value);
        if (fact == "writer") return is_writer(value);
        if (fact == "healthy") return cluster_->is_healthy();
        if (fact == "follows") return follows(nodes_.at(value));
        fail("unknown fact '" + fact + "'");
        return true;
    }

    [[nodiscard]] bool is_key(const std::string& value) {
        const models::EtcdKey* key = cluster_->etcd().store().find(cluster_->settings().prefix + "leader");
        if (value == "nobody") return key == nullptr;
        if (value == "another") return key != nullptr && key->value != cluster_->postgres(nodes_["leader"]).name();
        return key != nullptr && key->value == cluster_->postgres(nodes_.at(value)).name();
    }

    [[nodiscard]] bool is_writer(const std::string& value) {
        const std::vector<int> writers = writers_->recent();
        if (value == "nobody") return writers.empty();
        if (value == "two") return writers.size() == 2;
        if (writers.size() != 1) return false;
        if (value == "one") return true;
        return value == "another" ? writers.front() != nodes_["leader"] : writers.front() == nodes_.at(value);
    }

    [[nodiscard]] bool follows(int node) {
        const int primary = cluster_->leader();
        const models::Postgres& server = cluster_->postgres(node);
        return primary >= 0 && primary != node && server.is_streaming() &&
               server.upstream() == &cluster_->postgres(primary) && writers_->recent() == std::vector{primary};
    }

    void act(const std::string& verb, const std::string& what, int node) {
        if (what == "cluster") return cluster_->set_paused(verb == "pause");
        Process* process = what == "agent"    ? cluster_->patroni(node).process()
                           : what == "server" ? cluster_->postgres(node).process()
                                              : &cluster_->etcd().process(static_cast<std::size_t>(node));
        if (verb == "start") {
            static_cast<void>(cluster_->start_node(fmt::format("{}-{}", what == "agent" ? "patroni" : what, node + 1)));
        } else if (process != nullptr) {
            world_.processes.signal(*process, verb == "kill" ? SIGKILL : verb == "stop" ? SIGSTOP : SIGCONT);
        }
    }

    void fail(std::string what) { result_.failures.push_back(std::move(what)); }

    const Json& scenario_;
    World world_;
    std::unique_ptr<Cluster> cluster_;
    std::unique_ptr<Writers> writers_;
    std::map<std::string, int> nodes_;
    MonoTime done_at_{};
    ScenarioResult result_;
};

}  // namespace

ScenarioResult run_scenario(const Json& scenario, std::uint64_t seed) { return Play(scenario, seed).go(); }

}  // namespace aeterna::sim
