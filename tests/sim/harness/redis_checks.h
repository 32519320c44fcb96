// RedisChecks: looks on while a schedule with Redis runs, and says what must not have been, by the models' own state:
//   - a controller kills no master that it or a Sentinel majority hears, unless it came back empty, and none at all
//     without leave or while it is cut off
//   - no write is acknowledged by a fenced old master, nor more than kGuarded by one whose return is guarded, once a
//     controller has had another one promoted, and while one is at work that could hold them
//   - replicas do not copy the emptiness of a master that came back without its data while nothing hinders us
//   - every fence is lifted at the end or told of, every execution ends or asks
#pragma once

#include <array>
#include <set>
#include <string>
#include <vector>

#include "harness/crew.h"
#include "harness/redis_cluster.h"
#include "harness/redis_schedule.h"
#include "harness/run.h"
#include "harness/spans.h"
#include "harness/violations.h"

namespace aeterna::sim {

class RedisChecks {
  public:
    RedisChecks(World& world, RedisCluster& cluster, Crew& crew, const RedisSchedule& schedule);
    // An application was told that its write is done.
    void acknowledged(int node);
    // A person has lifted fences that were reported: what is started then is theirs to answer for.
    void lifted_by_hand();
    void finish(Outcome& outcome);

  private:
    // A controller has had another node promoted in its place.
    struct Replaced {
        bool is_open = false;
        bool was_fenced = false;
        int writes = 0;
    };
    void look();
    void look_at(int node, MonoTime now);
    [[nodiscard]] bool is_near(int controller, int node) const;
    [[nodiscard]] bool is_watched(int node) const;
    void violated(const std::string& what) { violations_.add(what); }
    void signalled(const Process& from, const Process& to, int number);
    void ordered(const Process& client, const std::string& what, int promoted);
    void written(const models::Redis& server);
    [[nodiscard]] bool is_second_writer(int node) const;
    [[nodiscard]] bool is_emptied(const models::Redis& server) const;
    void copied(const models::Redis& from, const models::Redis& to, std::size_t had);
    [[nodiscard]] std::vector<std::string> against_acting(int controller) const;
    [[nodiscard]] std::vector<std::string> against_replacing(int node, int controller) const;

    World& world_;
    RedisCluster& cluster_;
    Crew& crew_;
    const RedisSchedule& schedule_;
    std::array<std::array<Spans, 2>, RedisCluster::kNodes> heard_;  // by node and controller
    std::array<Spans, RedisCluster::kNodes> heard_by_sentinels_;
    std::array<Spans, 2> isolated_;
    std::array<std::array<Spans, 2>, RedisCluster::kNodes> watched_;  // by a controller that is at work and reaches it
    std::array<Replaced, RedisCluster::kNodes> replaced_;
    int last_master_ = 0;
    int kills_ = 0, promotions_ = 0;
    std::set<std::pair<int, const Process*>> killed_;  // by which controller
    Violations violations_{world_};
};

}  // namespace aeterna::sim
