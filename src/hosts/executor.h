// Executor: acting on the host of a node. Today `local`; SSH and Kubernetes come behind the same interface.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/stack.h"
#include "env/env.h"

namespace aeterna::hosts {

// The processes of one node: the one its pid file names, and every descendant of it, also those in sessions of
// their own (a postmaster started by Patroni). Taken at one moment.
struct NodeProcesses {
    std::string node;
    std::vector<env::ProcessId> processes;  // parents before children
};

class Executor {
  public:
    virtual ~Executor() = default;
    // kNotFound when the node is not configured on this host or nothing of it runs.
    [[nodiscard]] virtual Result<NodeProcesses> find(const std::string& node, const env::Context& context) = 0;
    // SIGKILL to all, then waits until all are gone. kPartial when some remain at the deadline.
    virtual Status kill(const NodeProcesses& target, const env::Context& context) = 0;
    // SIGSTOP / SIGCONT to all.
    virtual Status pause(const NodeProcesses& target, const env::Context& context) = 0;
    virtual Status resume(const NodeProcesses& target, const env::Context& context) = 0;
    // Runs the node's configured start command; success when it is running already.
    virtual Status start(const std::string& node, const env::Context& context) = 0;
};

// kConfiguration when the host's executor cannot act.
[[nodiscard]] Result<std::unique_ptr<Executor>> make_executor(const config::Host& host, const env::Env& env);

}  // namespace aeterna::hosts
