// Damage: entries that a check has found unreadable or gone, in notes "damaged/<random>" of the form of index segments.
// The index passes over them, so that the next backup that has such a chunk at hand stores it anew; a prune takes a
// damaged pack away when nothing in it is missed.
#pragma once

#include <set>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "repository/format/index_segment.h"

namespace aeterna::repository {

inline constexpr std::string_view kDamaged = "damaged/";

class DamageSet {
  public:
    // A pack without entries is one whose frame is damaged: it can be read by the index alone.
    void add(const std::vector<PackContents>& packs);
    [[nodiscard]] bool has(const PackId& pack, const Id& entry) const;
    [[nodiscard]] bool has_pack(const PackId& pack) const { return packs_.count(pack) > 0; }
    [[nodiscard]] bool is_empty() const { return packs_.empty(); }

  private:
    std::unordered_map<Id, std::vector<PackId>, IdHash> entries_;
    std::set<PackId> packs_;
};

}  // namespace aeterna::repository
