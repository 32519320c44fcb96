#include "repository/index/damage.h"

#include <algorithm>

namespace aeterna::repository {

void DamageSet::add(const std::vector<PackContents>& packs) {
    for (const PackContents& pack : packs) {
        packs_.insert(pack.id);
        for (const SealedEntry& entry : pack.entries) {
            auto& places = entries_[entry.id];
            if (std::find(places.begin(), places.end(), pack.id) == places.end()) places.push_back(pack.id);
        }
    }
}

bool DamageSet::has(const PackId& pack, const Id& entry) const {
    const auto found = entries_.find(entry);
    return found != entries_.end() && std::find(found->second.begin(), found->second.end(), pack) != found->second.end();
}

}  // namespace aeterna::repository
