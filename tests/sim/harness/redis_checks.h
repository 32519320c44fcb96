// RedisChecks: looks on while a schedule with Redis runs, and says what must not have been, by the models' own state:
//   - a controller kills no master that it or a Sentinel majority hears, unless it came back empty, and none at all
//     without leave or while it is cut off
//   - nor does it act, where nothing has disturbed it, on what a refusal forbids: a second master, a Sentinel in
//     TILT mode or at a failover, a majority out of its sight, a silent master that nobody confirms and that cannot be fenced
//   - it has no replica promoted that had less than another fit one, no copy at all, another history than its master
//     where somebody has that one, or lost its link long before
//   - nobody holds the writes of a master that nobody has replaced for longer than kHeldInVain, makes it a replica, has
//     the Sentinels forget it, or changes anything without leave
//   - in the end there is one master that all Sentinels name, and everybody follows it, unless there is no leave or a person is asked
//   - no write is acknowledged by a fenced old master, nor more than kGuarded by one whose return is guarded, once a
//     controller has had another one promoted, and while one is at work that could hold them
//   - replicas do not copy the emptiness, or the older state, of a master that came back with it while nothing hinders us
//   - every fence is lifted at the end or told of, every execution ends or asks
#pragma once

#include <array>
#include <functional>
#include <map>
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

// What has held for so long must be known to whoever acts: the longest look, and the writes of the journal.
inline constexpr Duration kKnownToAll = std::chrono::milliseconds(3500);

class RedisChecks {
  public:
    RedisChecks(World& world, RedisCluster& cluster, Crew& crew, const RedisSchedule& schedule);
    // Told when a Sentinel promotes by a controller's order.
    std::function<void(const models::Sentinel&)> on_forced_promotion;
    // Told when a controller has sent an order to promote.
    std::function<void(int controller)> on_promotion_ordered;
    // Told when a controller is about to order something.
    std::function<void(int controller)> on_order_begun;
    // An application was told that its write is done.
    void acknowledged(int node);
    // A person has lifted fences that were reported: what is started then is theirs to answer for.
    void lifted_by_hand();
    void finish(bool settled, Outcome& outcome);

  private:
    // A controller has had another node promoted in its place.
    struct Replaced {
        bool is_open = false;
        bool was_fenced = false;
        int writes = 0;
    };
    void look();
    void look_at(int node, MonoTime now);
    void look_at_refusals(MonoTime now);
    [[nodiscard]] bool is_in_reach(int node) const;
    [[nodiscard]] Duration gone_for(int node) const;
    [[nodiscard]] int naming(int node) const;
    [[nodiscard]] bool is_open(int controller, int node) const;
    [[nodiscard]] bool is_near(int controller, int node) const;
    [[nodiscard]] bool is_watched(int node) const;
    [[nodiscard]] bool may_be_another_master(int node) const;
    void violated(const std::string& what) { violations_.add(what); }
    void signalled(const Process& from, const Process& to, int number);
    void ordered(const Process& client, const std::string& what, int promoted);
    void pinged(int controller) {
        if (controller >= 0 && on_order_begun) on_order_begun(controller);
    }
    void selected(const models::Sentinel& by, const models::Redis& chosen);
    void commanded(int node, int controller, const std::string& what);
    void judge_choice(const models::Redis& chosen, int controller);
    void forgotten(const models::Sentinel& told, int controller);
    void written(const models::Redis& server);
    [[nodiscard]] bool is_second_writer(int node) const;
    [[nodiscard]] bool is_known_second_writer(int node) const;
    [[nodiscard]] bool has_lost_rows(const models::Redis& server, std::size_t least) const;
    [[nodiscard]] bool is_emptied(const models::Redis& server) const;
    void copied(const models::Redis& from, const models::Redis& to, std::size_t had);
    [[nodiscard]] bool may_replace(int controller, int node) const;
    [[nodiscard]] bool may_command(int controller, int node) const;
    [[nodiscard]] bool is_against(const engine::ExecutionRecord& execution, int node) const;
    [[nodiscard]] bool has_leave(int controller, const std::function<bool(const engine::ExecutionRecord&)>& by) const;
    [[nodiscard]] std::vector<std::string> against_acting(int controller, int node) const;
    [[nodiscard]] std::vector<std::string> against_replacing(int node, int controller) const;
    [[nodiscard]] std::vector<std::string> refusals(int node);
    [[nodiscard]] std::vector<std::string> against_choice(int promoted, int controller) const;

    World& world_;
    RedisCluster& cluster_;
    Crew& crew_;
    const RedisSchedule& schedule_;
    std::array<std::array<Spans, 2>, RedisCluster::kNodes> heard_;  // by node and controller
    std::array<Spans, RedisCluster::kNodes> heard_by_sentinels_;
    std::array<Spans, 2> isolated_;
    std::array<std::array<Spans, 2>, RedisCluster::kNodes> watched_;  // by a controller that is at work and reaches it
    std::array<Spans, RedisCluster::kNodes> named_, held_in_vain_;
    Spans another_master_, tilted_, under_way_, unseen_majority_, no_majority_;  // as the first controller sees it
    std::array<std::array<MonoTime, RedisCluster::kNodes>, RedisCluster::kNodes> answered_at_{};  // by node and Sentinel in reach
    std::array<MonoTime, RedisCluster::kNodes> met_{};  // the start of the process that a controller has heard last
    std::array<std::string, RedisCluster::kNodes> histories_;  // that it wrote last as the master with its data
    std::map<const models::Sentinel*, int> ordered_by_;  // the controller
    MonoTime ordered_at_{}, gone_since_{};  // the last order to replace a master, and that master when it was given
    MonoTime acted_at_{};
    std::array<Replaced, RedisCluster::kNodes> replaced_;
    int last_master_ = 0;
    int promoted_ = -1;  // by the last order of a controller
    int kills_ = 0, promotions_ = 0;
    std::set<std::pair<int, const Process*>> killed_;  // by which controller
    Violations violations_{world_};
};

}  // namespace aeterna::sim
