// What lies where a restore goes, or beside it: nothing, or another state of the cluster, out of which the restore
// takes what it has: the target itself, which is overwritten (--delta), or a directory that stays as it is
// (--delta-from).
#pragma once

#include <cstdint>
#include <string>

#include "engine/capture/backup.h"
#include "repository/repository.h"

namespace aeterna::postgres {

inline constexpr const char* kDeltaOption = "delta";
inline constexpr const char* kDeltaFromOption = "delta-from";

[[nodiscard]] bool is_delta(const engine::OptionValues& options);
// Absolute; empty where it was not given.
[[nodiscard]] std::string delta_from(const engine::OptionValues& options, env::Files& files);

// Whether the target holds an old state, which is overwritten. kUsage for options that do not go together;
// kGuardRefused for a target where a server may run, or of another cluster.
[[nodiscard]] Result<bool> overwrites_old_state(repository::Repository& repository, const engine::RestoreOrder& order,
                                                const std::string& system_identifier);
// Of the files in it. Walks all of it.
[[nodiscard]] Result<std::uint64_t> bytes_of_files(env::FileTree& tree, const std::string& directory);

}  // namespace aeterna::postgres
