// RedisCluster: three hosts with Redis, Sentinel and etcd each, begun with redis-1 as the master, beside a host for
// applications and two for controllers. Named as the lab's; "start-node" refuses while a fence marker is there.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "harness/site.h"
#include "models/etcd.h"
#include "models/redis.h"
#include "models/sentinel.h"

namespace aeterna::sim {

class RedisCluster final : public Site {
  public:
    RedisCluster(World& world, bool is_persistent);

    [[nodiscard]] std::string stack_file(const std::string& state_directory, const std::string& assist) const override;

    [[nodiscard]] models::Redis& redis(int node) { return *redis_[static_cast<std::size_t>(node)]; }
    [[nodiscard]] models::Sentinel& sentinel(int node) { return *sentinels_[static_cast<std::size_t>(node)]; }
    [[nodiscard]] models::Etcd& etcd() { return *etcd_; }
    // "redis-1" is 0; -1 for others.
    [[nodiscard]] static int number_of(const std::string& name);

    // Whom most of the running Sentinels name; -1 when there is none.
    [[nodiscard]] int named();
    // That one, if it is a master.
    [[nodiscard]] int master();
    // One master, which all Sentinels name, two replicas that have all of it.
    [[nodiscard]] bool is_healthy();
    [[nodiscard]] std::string describe();
    bool start_node(const std::string& node);
    // Starts what does not run and no marker inhibits; lets stopped processes go on.
    void start_missing();

    int unfenceable = -1;  // a node whose starter heeds no markers, as the stack file says

  private:
    std::unique_ptr<models::Etcd> etcd_;
    std::vector<std::unique_ptr<models::Redis>> redis_;
    std::vector<std::unique_ptr<models::Sentinel>> sentinels_;
};

}  // namespace aeterna::sim
