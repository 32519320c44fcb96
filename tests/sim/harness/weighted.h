// draw_weighted: one of `choices` by its member `weight`. Pure.
#pragma once

#include <span>

#include "env/sim/rng.h"

namespace aeterna::sim {

// Precondition: weights that are positive.
template <class Choice>
[[nodiscard]] const Choice& draw_weighted(Rng& rng, std::span<const Choice> choices) {
    int total = 0;
    for (const Choice& choice : choices) total += choice.weight;
    int drawn = static_cast<int>(rng.below(static_cast<std::uint64_t>(total)));
    const Choice* chosen = choices.data();
    for (const Choice& choice : choices) {
        chosen = &choice;
        if ((drawn -= choice.weight) < 0) break;
    }
    return *chosen;
}

}  // namespace aeterna::sim
