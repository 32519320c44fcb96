// Fences: what the hosts hold down now, and whether somebody is going to lift it. Every fence is lifted or reported: one
// whose holder is gone is an incident, hosts.fence_left.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "app/registry.h"
#include "engine/detect/monitor.h"
#include "engine/runbook/journal.h"
#include "hosts/executor.h"

namespace aeterna::app {

struct Fence {
    hosts::FenceMarker marker;
    std::string left;  // why nobody is going to lift it; empty while somebody is
};

struct Fences {
    std::vector<Fence> all;
    std::string problem;  // why they are not known; else empty
};

// Of every host that we can act on. Reads the holders' fate in the journal.
[[nodiscard]] Fences read_fences(const config::Stack& stack, engine::Journal& journal, const env::Env& env);

// Why nobody is going to lift what `holder` holds; empty while somebody is, or where a person did it on purpose.
[[nodiscard]] Result<std::string> holder_gone(const std::string& holder, engine::Journal& journal, const env::Env& env);

// Every node that the stack file knows, with its store; "hosts" for a process that belongs to none.
using StoreOfNode = std::map<std::string, std::string>;
[[nodiscard]] StoreOfNode stores_of_nodes(const OpenStack& open);

// One finding per node. Pure.
[[nodiscard]] std::vector<engine::Finding> judge_fences(const StoreOfNode& stores, const Fences& fences, WallTime now);

// Marks the nodes that are held. Pure.
void annotate(engine::StackStatus& status, const Fences& fences);

// Whose fences of these nodes a person may lift: his own, and those that nobody is going to. kGuardRefused, naming the
// holder, while somebody holds one who lifts it by himself. Pure.
[[nodiscard]] Result<std::vector<std::string>> liftable_holders(const Fences& fences,
                                                                const std::vector<std::string>& nodes);

// The nodes that are fenced together with `node`, and their store. kUsage, naming those there are, for any other.
struct FenceGroup {
    std::string store;
    std::vector<std::string> nodes;
};
[[nodiscard]] Result<FenceGroup> fence_group(const OpenStack& open, const std::string& node);

}  // namespace aeterna::app
