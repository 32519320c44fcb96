// Events for the timeline: what changed between two Worlds. Unknown changes nothing: a node that
// was not seen lately is neither up nor down.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/detect/monitor.h"
#include "postgres/detect/world.h"

namespace aeterna::postgres {

class Changes {
  public:
    // primary.changed, timeline.changed, node.down, node.up, leader_key.expired,
    // leader_key.changed; primary.lost is made from the finding postgres.primary_down when it
    // begins to fire.
    [[nodiscard]] std::vector<engine::StoreEvent> compare(
        const World& world, const std::vector<engine::Finding>& findings);
    // The last node that was seen to take writes; empty: none yet.
    [[nodiscard]] const std::string& last_primary() const { return primary_; }

  private:
    void compare_nodes(const World& world, std::vector<engine::StoreEvent>& events);
    void compare_leader_key(const World& world, std::vector<engine::StoreEvent>& events);
    void compare_primary(const World& world, std::vector<engine::StoreEvent>& events);

    std::map<std::string, bool> node_up_;
    std::string primary_;
    std::optional<std::int64_t> timeline_;
    bool key_known_ = false;
    std::string key_holder_;
    std::string lost_;  // the primary whose loss was told already
};

}  // namespace aeterna::postgres
