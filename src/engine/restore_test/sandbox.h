// Sandbox: the directory of one restore test, or of a restore that needs a server of its own meanwhile,
// WORK/restore-test-XXXXXXXX, with a marker that says whose it is. It goes with everything that runs in it when its
// maker is done; what a killed one left goes when the next is made, and nothing else does: a sandbox is dead when it
// belongs to our user and the process that its marker names (pid and start time) is gone, or when it has no marker yet
// and nothing else in it either.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "env/env.h"

namespace aeterna::engine {

struct SandboxOrder {
    std::string work;                   // absolute; made when it is missing
    std::optional<env::User> user;      // who has to be able to pass through; nothing: ourselves
    std::vector<std::string> programs;  // names of what may run in it (/proc/PID/comm)
};

class Sandbox {
  public:
    // Removes the dead ones in `work`, then makes a new one. kLocked while another process does the same; kGuardRefused
    // where `work` is another user's; kConfiguration where `user` cannot pass through.
    [[nodiscard]] static Result<std::unique_ptr<Sandbox>> make(const SandboxOrder& order, const env::Env& env,
                                                               const env::Context& context);
    // Removes it if remove() was not called.
    ~Sandbox();
    Sandbox(const Sandbox&) = delete;
    Sandbox& operator=(const Sandbox&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }
    // How many dead ones were there.
    [[nodiscard]] std::size_t removed_dead() const { return removed_dead_; }
    // Ends what runs in it (SIGQUIT, then SIGKILL: a server of ours owes nobody a clean end), then removes it.
    Status remove();

  private:
    Sandbox(SandboxOrder order, std::string path, const env::Env& env)
        : order_(std::move(order)), path_(std::move(path)), env_(env) {}

    SandboxOrder order_;
    std::string path_;
    const env::Env& env_;
    std::size_t removed_dead_ = 0;
    bool made_work_ = false;
    bool is_removed_ = false;
};

// Ends the processes of these names that work in `path` or below it: SIGQUIT, then SIGKILL. kIo when one does not end.
Status end_inhabitants(const std::string& path, const std::vector<std::string>& programs, const env::Env& env);

// The number of dead sandboxes that were there; all are gone then. No `work`: none.
[[nodiscard]] Result<std::size_t> remove_dead_sandboxes(const SandboxOrder& order, const env::Env& env,
                                                        const env::Context& context);

// Whether a sandbox may have this name. Pure.
[[nodiscard]] bool is_sandbox_name(const std::string& name);

}  // namespace aeterna::engine
