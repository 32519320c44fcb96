// Stage: what a scenario is played on: a cluster of models with one writer per node.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "env/sim/world.h"
#include "harness/site.h"

namespace aeterna::sim {

// One writer per node, each with a kept connection of its own.
class Writers {
  public:
    // Writes a row to a node; `done` is called when it is acknowledged or refused.
    using Done = std::function<void(Status)>;
    using Write = std::function<void(int node, std::uint64_t row, Done done)>;
    using EndpointOf = std::function<env::Endpoint(int node)>;
    Writers(Site& site, EndpointOf endpoint_of, Write write);

    // The nodes that acknowledged a row in the last second.
    [[nodiscard]] std::vector<int> recent() const;
    // "nobody", "one", "two", "another" than `leader`, or the node itself.
    [[nodiscard]] bool is(const std::string& value, const std::map<std::string, int>& nodes) const;

  private:
    void write_to(int node);

    Site& site_;
    EndpointOf endpoint_of_;
    Write write_;
    Process* process_ = nullptr;
    std::uint64_t rows_ = 0;
    std::array<std::optional<MonoTime>, Site::kNodes> acknowledged_{};
};

class Stage {
  public:
    virtual ~Stage() = default;
    // Who is "leader", "first" and "second" now; nothing when the cluster does not stand.
    [[nodiscard]] virtual std::optional<std::map<std::string, int>> name_nodes() = 0;
    // Nothing for a fact that it does not know.
    [[nodiscard]] virtual std::optional<bool> holds(const std::string& fact, const std::string& value,
                                                    const std::map<std::string, int>& nodes) = 0;
    virtual void act(const std::string& verb, const std::string& what, int node) = 0;
    [[nodiscard]] virtual std::string describe() = 0;
};

// "first" and "second" are the others by number.
[[nodiscard]] std::map<std::string, int> named_around(int leader);
// "kill", "stop" or "continue"; nothing happens to a process that is not there.
void signal_process(World& world, Process* process, const std::string& verb);

[[nodiscard]] std::unique_ptr<Stage> make_postgres_stage(World& world, const Json& scenario);
[[nodiscard]] std::unique_ptr<Stage> make_redis_stage(World& world, const Json& scenario);

}  // namespace aeterna::sim
