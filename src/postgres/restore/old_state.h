// Another state of the cluster, out of which a restore takes what it has: the target itself, which is overwritten
// (--delta), or a directory beside it, which stays as it is (--delta-from).
#pragma once

#include <cstdint>
#include <string>

#include "engine/capture/backup.h"
#include "repository/repository.h"

namespace aeterna::postgres {

inline constexpr const char* kDeltaOption = "delta";
inline constexpr const char* kDeltaFromOption = "delta-from";
inline constexpr const char* kServerPidFile = "postmaster.pid";  // there while a server runs, and after a crash

[[nodiscard]] bool is_delta(const engine::OptionValues& options);
// Absolute; empty where it was not given.
[[nodiscard]] std::string delta_from(const engine::OptionValues& options, env::Files& files);

struct OldState {
    bool is_overwritten = false;
    std::uint64_t bytes = 0;  // of the files that are overwritten
};
// kUsage for options that do not go together; kGuardRefused for a target where a server may run, or of another cluster.
[[nodiscard]] Result<OldState> look_at_old_state(repository::Repository& repository, const engine::RestoreOrder& order,
                                                 const std::string& system_identifier);

}  // namespace aeterna::postgres
