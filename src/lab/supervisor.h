// Supervisor: starts the lab's processes as daemons, knows them again by pid and start time, and
// ends them all, also those that nobody recorded because `lab up` was killed halfway. Blocks; keeps
// to its contexts.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "env/env.h"
#include "lab/layout.h"
#include "lab/programs.h"
#include "lab/secrets.h"

namespace aeterna::lab {

using Progress = std::function<void(const std::string&)>;

// Whom root starts the servers as (PostgreSQL refuses root); nothing for any other user.
[[nodiscard]] Result<std::optional<env::User>> find_server_user(const env::Env& env);

// "pid\nstart_ticks\n" as a process id; the second line may be missing (a postmaster.pid has
// another meaning there).
[[nodiscard]] std::optional<env::ProcessId> parse_pid_file(const std::string& text);

// True when a process is the lab's: it carries the marker, or it is one of the servers' programs
// and works in the lab's data directory (PostgreSQL and Redis overwrite their environment with
// their title). A person's shell in that directory is not.
[[nodiscard]] bool belongs_to_lab(const env::ProcessInfo& process,
                                  const std::vector<std::string>& environment,
                                  const std::string& directory);

// Those of the lab's processes `of_lab` that are neither `recorded` nor below a recorded one in
// `all`. PostgreSQL's are never among them: it is Patroni's, it goes through moments without a pid
// file, and a Patroni that starts finds it.
[[nodiscard]] std::vector<env::ProcessInfo> find_unrecorded(
    std::vector<env::ProcessInfo> of_lab, const std::vector<env::ProcessInfo>& all,
    const std::set<int>& recorded);

class Supervisor {
  public:
    Supervisor(const Layout& layout, const env::Env& env);

    // The node's process, when it runs. For postgres-N: the postmaster.
    [[nodiscard]] std::optional<env::ProcessId> running(const Node& node) const;
    // Starts the node when it does not run; true when it was started now. kAlreadyExists when
    // something else listens on its address, kLocked when another aeterna-dr is starting it for the
    // whole context, kGuardRefused when it is fenced.
    [[nodiscard]] Result<bool> start(const Node& node, const Secrets& secrets,
                                     const Programs& programs, const env::Context& context);
    // Ends the processes of the lab that no pid file names, as `lab up` leaves one when it is
    // killed between a start and the pid file; they would keep their node's address.
    Status end_unrecorded(const Progress& progress, const env::Context& context);
    // The server's own last lines, for an error's message; empty when it wrote nothing.
    [[nodiscard]] std::string last_words(const Node& node) const;
    // Ends every process of the lab; kPartial names those that are left.
    Status stop_all(const Progress& progress, const env::Context& context);
    [[nodiscard]] std::vector<env::ProcessInfo> processes() const;

  private:
    // One start of a node at a time, over all processes.
    [[nodiscard]] Result<std::unique_ptr<env::FileLock>> lock_start(
        const Node& node, const env::Context& context) const;
    // kGuardRefused while the node, or what it starts, is fenced.
    [[nodiscard]] Status require_unfenced(const Node& node) const;
    void stop_group(const std::vector<Node>& nodes, const env::Context& context);
    [[nodiscard]] std::vector<Node> nodes_of(const std::vector<std::string>& kinds) const;
    [[nodiscard]] std::string leader(const env::Context& context) const;
    Status sweep(const env::Context& context);

    const Layout& layout_;
    const env::Env& env_;
};

}  // namespace aeterna::lab
