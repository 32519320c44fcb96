// The fence of this host: markers, then SIGKILL until nothing is left. Proof is the process table, not a pid file:
// a postmaster that was killed leaves backends that still finish, and commit, what they were doing.
#pragma once

#include "hosts/executor.h"

namespace aeterna::hosts {

class LocalFence {
  public:
    // `executor` finds and kills; all must outlive it.
    LocalFence(const config::Host& host, const env::Env& env, Executor& executor)
        : host_(host), env_(env), executor_(executor) {}

    [[nodiscard]] Result<NodeProcesses> remains(const std::string& node, const env::Context& context);
    [[nodiscard]] Result<Vitals> vitals(const std::string& node, const env::Context& context);
    Status fence(const FenceOrder& order, const env::Context& context);

  private:
    [[nodiscard]] Status check_order(const FenceOrder& order) const;
    [[nodiscard]] bool is_marked(const FenceOrder& order) const;
    Status hold_and_kill(const FenceOrder& order, const env::Context& context);
    [[nodiscard]] static Status check_ran(const NodeProcesses& left, const FenceOrder& order);
    [[nodiscard]] std::vector<env::ProcessId> orphans_of(const std::string& node);
    [[nodiscard]] const config::HostProcess* configured(const std::string& node) const;

    const config::Host& host_;
    const env::Env& env_;
    Executor& executor_;
};

}  // namespace aeterna::hosts
