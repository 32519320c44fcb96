// Executor: acting on the host of a node. Today `local`; SSH and Kubernetes come behind the same interface.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/stack.h"
#include "env/env.h"
#include "hosts/fence_marker.h"

namespace aeterna::hosts {

// The processes of one node: the one its pid file names, and every descendant of it, also those in sessions of
// their own (a postmaster started by Patroni). Taken at one moment.
struct NodeProcesses {
    std::string node;
    std::vector<env::ProcessId> processes;  // parents before children
    // Its main process is dead and only children of it are left. Only remains() finds such.
    bool is_headless = false;
};

// What the kernel of its host says of a node's processes: the strongest word on life and death.
struct Vitals {
    std::size_t alive = 0;    // every process that is there, the next two included
    std::size_t stopped = 0;  // state T: SIGSTOP, a debugger, a frozen cgroup shows as D
    std::size_t blocked = 0;  // state D: waits in the kernel; SIGKILL does not take yet
    // Its main process is dead and only children of it are left: they may finish what they do, nobody new gets in.
    bool is_headless = false;
    std::optional<env::ProcessId> main = std::nullopt;  // nothing where it is dead
    [[nodiscard]] bool is_gone() const { return alive == 0; }
    [[nodiscard]] bool is_all_stopped() const { return alive > 0 && stopped == alive; }
};

// Nodes that together are one server (an agent and what it starts), the agent first, and why.
struct FenceOrder {
    std::vector<std::string> nodes;
    std::string holder;  // see FenceMarker
    std::string reason;
    // Nothing is killed that was not begun by then: the proof that this order stands on holds no longer. kDeadline, and
    // the markers stay.
    std::optional<MonoTime> begin_before = std::nullopt;
    // What ran when the look began that this order stands on; main processes are enough. A node whose main process is
    // none of these was started after that and nobody has looked at it: it is not killed, and neither are the others.
    // kGuardRefused, effect kPartial, and the markers stay. Once one of the nodes is dead by this order's hand the others
    // are ended, too: a server must not go on without its agent. Nothing: whatever runs is killed.
    std::optional<std::vector<env::ProcessId>> ran = std::nullopt;
};

class Executor {
  public:
    virtual ~Executor() = default;
    // kNotFound when the node is not configured on this host or nothing of it runs.
    [[nodiscard]] virtual Result<NodeProcesses> find(const std::string& node, const env::Context& context) = 0;
    // What find() gives or, when the main process is dead, the children that outlived it: a PostgreSQL backend that
    // waits for a lock of a killed one waits for ever, and its shared memory keeps the server from starting again.
    // Empty when nothing is left.
    [[nodiscard]] virtual Result<NodeProcesses> remains(const std::string& node, const env::Context& context) = 0;
    // SIGKILL to all, then waits until all are gone. kPartial when some remain at the deadline.
    virtual Status kill(const NodeProcesses& target, const env::Context& context) = 0;
    // SIGSTOP / SIGCONT to all.
    virtual Status pause(const NodeProcesses& target, const env::Context& context) = 0;
    virtual Status resume(const NodeProcesses& target, const env::Context& context) = 0;
    // Runs the node's configured start command; success when it is running already. kGuardRefused while the node is
    // fenced by anybody.
    virtual Status start(const std::string& node, const env::Context& context) = 0;

    // Of the node's processes, orphans of a dead postmaster included.
    [[nodiscard]] virtual Result<Vitals> vitals(const std::string& node, const env::Context& context) = 0;
    // Makes sure that the nodes cannot act until they are unfenced: first a durable marker per node keeps whatever
    // starts them from doing so, then all their processes get SIGKILL, again until none is left. Success means
    // confirmed. kConfiguration: a node's starters do not honour markers; nothing was done. Any other error is no
    // fence: the markers stay, something may live (effect kPartial), for example blocked in the kernel.
    virtual Status fence(const FenceOrder& order, const env::Context& context) = 0;
    // Removes that holder's markers; missing ones are success. Starts nothing.
    virtual Status unfence(const std::vector<std::string>& nodes, const std::string& holder,
                           const env::Context& context) = 0;
    // Every marker on this host.
    [[nodiscard]] virtual Result<std::vector<FenceMarker>> fences(const env::Context& context) = 0;
    // The directory that the node's pid file names (postmaster.pid does) or, when there is no postmaster.pid, where it
    // would lie. kNotFound when it names none.
    [[nodiscard]] virtual Result<std::string> data_directory(const std::string& node, const env::Context& context) = 0;
    // True when a hardware watchdog of the host is armed: it resets the host when its keeper dies.
    [[nodiscard]] virtual Result<bool> is_watchdog_armed(const env::Context& context) = 0;
    // Files of the host, for salvage. Sorted names; errors as in env/files.h.
    [[nodiscard]] virtual Result<std::vector<std::string>> list_files(const std::string& directory,
                                                                      const env::Context& context) = 0;
    [[nodiscard]] virtual Result<std::string> read_file(const std::string& path, std::size_t limit_bytes,
                                                        const env::Context& context) = 0;
    // Of the host's file system that `path` lies on.
    [[nodiscard]] virtual Result<env::Room> room(const std::string& path, const env::Context& context) = 0;
};

// kConfiguration when the host's executor cannot act.
[[nodiscard]] Result<std::unique_ptr<Executor>> make_executor(const config::Host& host, const env::Env& env);

}  // namespace aeterna::hosts
