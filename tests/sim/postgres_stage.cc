// PostgreSQL under Patroni, of three nodes.
#include <fmt/format.h>

#include <algorithm>

#include "harness/cluster.h"
#include "scenario_stage.h"

namespace aeterna::sim {
namespace {

constexpr std::int64_t kRowBytes = 200;

class PostgresStage final : public Stage {
  public:
    PostgresStage(World& world, const models::PatroniSettings& settings)
        : world_(world),
          cluster_(world, settings),
          writers_(cluster_, [this](int node) { return cluster_.postgres(node).endpoint(); },
                   [this](int node, std::uint64_t row, Writers::Done done) {
                       cluster_.postgres(node).insert(row, kRowBytes, std::move(done));
                   }) {}

    std::optional<std::map<std::string, int>> name_nodes() override {
        if (cluster_.leader() < 0 || !cluster_.is_healthy()) return std::nullopt;
        auto nodes = named_around(cluster_.leader());
        const auto view = models::read_view(cluster_.etcd().store().keys, cluster_.settings().prefix);
        for (int node = 0; node < Cluster::kNodes; ++node) {
            const auto& names = view.sync_standbys;
            if (std::find(names.begin(), names.end(), cluster_.postgres(node).name()) != names.end())
                nodes["standby"] = node;
        }
        return nodes;
    }

    std::optional<bool> holds(const std::string& fact, const std::string& value,
                              const std::map<std::string, int>& nodes) override {
        if (fact == "key") return is_key(value, nodes);
        if (fact == "writer") return writers_.is(value, nodes);
        if (fact == "healthy") return cluster_.is_healthy();
        if (fact == "follows") return follows(nodes.at(value));
        return std::nullopt;
    }

    void act(const std::string& verb, const std::string& what, int node) override {
        if (what == "cluster") return cluster_.set_paused(verb == "pause");
        if (verb == "start") {
            static_cast<void>(cluster_.start_node(fmt::format("{}-{}", what == "agent" ? "patroni" : what, node + 1)));
            return;
        }
        signal_process(world_,
                       what == "agent"    ? cluster_.patroni(node).process()
                       : what == "server" ? cluster_.postgres(node).process()
                                          : &cluster_.etcd().process(static_cast<std::size_t>(node)),
                       verb);
    }

    std::string describe() override { return cluster_.describe(); }

  private:
    [[nodiscard]] bool is_key(const std::string& value, const std::map<std::string, int>& nodes) {
        const models::EtcdKey* key = cluster_.etcd().store().find(cluster_.settings().prefix + "leader");
        if (value == "nobody") return key == nullptr;
        if (value == "another") return key != nullptr && key->value != cluster_.postgres(nodes.at("leader")).name();
        return key != nullptr && key->value == cluster_.postgres(nodes.at(value)).name();
    }

    [[nodiscard]] bool follows(int node) {
        const int primary = cluster_.leader();
        const models::Postgres& server = cluster_.postgres(node);
        return primary >= 0 && primary != node && server.is_streaming() &&
               server.upstream() == &cluster_.postgres(primary) && writers_.recent() == std::vector{primary};
    }

    World& world_;
    Cluster cluster_;
    Writers writers_;
};

}  // namespace

std::unique_ptr<Stage> make_postgres_stage(World& world, const Json& scenario) {
    models::PatroniSettings settings;
    settings.failsafe_mode = find_string(scenario, "mode") == "failsafe";
    settings.synchronous_mode = find_string(scenario, "mode") == "synchronous";
    return std::make_unique<PostgresStage>(world, settings);
}

}  // namespace aeterna::sim
