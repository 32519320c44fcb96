// Redis under Sentinel, of three nodes.
#include <fmt/format.h>

#include <algorithm>

#include "harness/redis_cluster.h"
#include "scenario_stage.h"

namespace aeterna::sim {
namespace {

class RedisStage final : public Stage {
  public:
    RedisStage(World& world, bool is_persistent)
        : world_(world),
          cluster_(world, is_persistent),
          writers_(cluster_, [this](int node) { return cluster_.redis(node).endpoint(); },
                   [this](int node, std::uint64_t row, Writers::Done done) {
                       cluster_.redis(node).write(row, std::move(done));
                   }) {}

    std::optional<std::map<std::string, int>> name_nodes() override {
        if (cluster_.master() < 0 || !cluster_.is_healthy()) return std::nullopt;
        mark_ = cluster_.redis(cluster_.master()).rows().front();
        return named_around(cluster_.master());
    }

    std::optional<bool> holds(const std::string& fact, const std::string& value,
                              const std::map<std::string, int>& nodes) override {
        if (fact == "named") return value == "another" ? is_another_named(nodes) : all_name(nodes.at(value));
        if (fact == "writer") return writers_.is(value, nodes);
        if (fact == "healthy") return cluster_.is_healthy();
        if (fact == "follows") return follows(nodes.at(value));
        if (fact == "kept") return value == "nobody" ? !is_kept(0) && !is_kept(1) && !is_kept(2) : is_kept(nodes.at(value));
        return std::nullopt;
    }

    void act(const std::string& verb, const std::string& what, int node) override {
        if (verb == "hold") return cluster_.redis(node).hold_writes(60s);
        if (verb == "order") return cluster_.sentinel(node).fail_over_by_hand();
        if (verb == "start") {
            static_cast<void>(cluster_.start_node(fmt::format("{}-{}", what == "server" ? "redis" : what, node + 1)));
            return;
        }
        signal_process(world_, what == "server" ? cluster_.redis(node).process() : cluster_.sentinel(node).process(),
                       verb);
    }

    std::string describe() override { return cluster_.describe(); }

  private:
    [[nodiscard]] bool all_name(int node) {
        bool is_any = false;
        for (int i = 0; i < RedisCluster::kNodes; ++i) {
            const models::Sentinel& sentinel = cluster_.sentinel(i);
            if (!sentinel.is_responsive()) continue;
            if (sentinel.master() != &cluster_.redis(node)) return false;
            is_any = true;
        }
        return is_any;
    }

    [[nodiscard]] bool is_another_named(const std::map<std::string, int>& nodes) {
        return all_name(nodes.at("first")) || all_name(nodes.at("second"));
    }

    [[nodiscard]] bool is_kept(int node) {
        const auto& rows = cluster_.redis(node).rows();
        return std::find(rows.begin(), rows.end(), mark_) != rows.end();
    }

    [[nodiscard]] bool follows(int node) {
        const models::Redis& server = cluster_.redis(node);
        const std::vector<int> writers = writers_.recent();
        return writers.size() == 1 && writers.front() != node && server.is_link_up() &&
               server.follows() == cluster_.redis(writers.front()).endpoint();
    }

    World& world_;
    RedisCluster cluster_;
    Writers writers_;
    std::uint64_t mark_ = 0;  // a row from before the scenario
};

}  // namespace

std::unique_ptr<Stage> make_redis_stage(World& world, const Json& scenario) {
    return std::make_unique<RedisStage>(world, find_string(scenario, "mode") != "without persistence");
}

}  // namespace aeterna::sim
