// Reads a node's state, which is its server's own word, for people and metrics: is it up, is that worrying?
// Pure. An unknown word counts as impaired: neither praised nor declared dead.
#pragma once

#include "engine/status.h"

namespace aeterna::report {

enum class NodeTone {
    kUp,
    kImpaired,  // answers, but is not (yet) what it should be
    kDown,
    kUnknown,   // nobody has looked yet
};

[[nodiscard]] NodeTone node_tone(const engine::NodeStatus& node);

}  // namespace aeterna::report
