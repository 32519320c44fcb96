// The lab: a real stack of all stores on this host. `up` makes and starts it and returns when it is
// healthy; the servers stay. `down` ends them and keeps the data. Each call blocks and keeps to its
// context.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "env/env.h"
#include "lab/layout.h"
#include "lab/supervisor.h"

namespace aeterna::lab {

inline constexpr Duration kUpTime =
    std::chrono::seconds(150);  // `up` gives up after this; usual: 15-30 s

struct UpOptions {
    std::string directory;  // empty: default_directory
    bool synchronous = false;
    std::string qdrant;   // --qdrant
    std::string patroni;  // --patroni
    std::string
        only;  // --only: start this one node of a lab that exists, and return when its process runs
    Progress progress;  // one line per phase
};

struct UpResult {
    Layout layout;
    int started = 0;  // processes that did not run before
    bool is_serve_running = false;
    double seconds = 0;
    std::vector<std::string>
        notes;  // what a person should know: the stand-in, a serve that did not start
};

struct NodeState {
    Node node;
    std::optional<env::ProcessId> process;
    char state = '?';  // of the process: 'T' is paused
};

struct LabStatus {
    std::string directory;
    bool exists = false;
    bool is_up = false;
    std::vector<NodeState> nodes;
    std::vector<std::string> reasons;  // why it is not up
    Json document;  // the contract's `lab status --json`, without the global members
};

// /var/tmp/aeterna-dr-UID/lab: PostgreSQL's user must reach it, which it does not in a home
// directory.
[[nodiscard]] std::string default_directory(const env::Env& env);

// kLocked: another `up` or `down` works on the same directory. kConfiguration, kNotFound
// (programs), kAlreadyExists (ports taken), kUnavailable with the failed server's own last lines.
[[nodiscard]] Result<UpResult> up(const UpOptions& options, const env::Env& env,
                                  const env::Context& context);
// Success when nothing runs. `purge` removes the directory too, if it holds a lab.json.
Status down(const std::string& directory, bool purge, const Progress& progress, const env::Env& env,
            const env::Context& context);
[[nodiscard]] Result<LabStatus> status(const std::string& directory, const env::Env& env,
                                       const env::Context& context);

// Text for people.
[[nodiscard]] std::string render(const UpResult& result);
[[nodiscard]] std::string render(const LabStatus& status);

}  // namespace aeterna::lab
