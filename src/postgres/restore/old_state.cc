#include "postgres/restore/old_state.h"

#include <fmt/format.h>

#include "base/paths.h"
#include "postgres/client/control_file.h"
#include "repository/pipeline/tree_walk.h"

namespace aeterna::postgres {
namespace {

Status check_delta_from(repository::Repository& repository, const std::string& from, const std::string& into) {
    AETERNA_ASSIGN(const auto entries, repository.ports().tree.entries(from));
    if (!entries.empty() && !lies_in(into, from) && !lies_in(from, into)) return {};
    return make_error(ErrorCode::kUsage,
                      fmt::format("'{}' is {}", from, entries.empty() ? "empty" : "not apart from the target"),
                      "Name a data directory of the same cluster that is to stay as it is.");
}

// What a restore that was cut off has overwritten has no control file; its marker says what it is.
Status check_same_cluster(env::Files& files, const std::string& directory, const std::string& system_identifier) {
    if (files.exists(directory + "/" + repository::kRestoreMarker)) return {};
    AETERNA_ASSIGN(const ControlFile control,
                   read_control_of(files, directory, "Leave --delta out and name an empty directory."));
    if (control.system_identifier == system_identifier) return {};
    return make_error(ErrorCode::kGuardRefused,
                      fmt::format("'{}' is of the cluster {}, the backup of {}", directory, control.system_identifier,
                                  system_identifier),
                      "Name a data directory of the same cluster, or an empty one.");
}

}  // namespace

bool is_delta(const engine::OptionValues& options) { return !engine::option_words(options, kDeltaOption).empty(); }

std::string delta_from(const engine::OptionValues& options, env::Files& files) {
    const std::string given = engine::option_word(options, kDeltaFromOption);
    return given.empty() ? given : files.canonical(given);
}

Result<bool> overwrites_old_state(repository::Repository& repository, const engine::RestoreOrder& order,
                                  const std::string& system_identifier) {
    env::Files& files = repository.ports().files;
    const std::string from = delta_from(order.options, files);
    if (is_delta(order.options) && !from.empty()) {
        return make_error(ErrorCode::kUsage, "--delta overwrites the target, --delta-from reads another directory",
                          "Leave one of them out.");
    }
    if (!from.empty()) AETERNA_TRY(check_delta_from(repository, from, order.into));
    // One that an interrupted restore left would be gone on with: somebody may have started a server on it.
    if (files.exists(order.into + "/" + kServerPidFile)) {
        return make_error(ErrorCode::kGuardRefused,
                          fmt::format("there is '{}/{}': a server may run there", order.into, kServerPidFile),
                          "Stop it; if it has crashed, remove that file.");
    }
    if (!is_delta(order.options)) return false;
    const auto entries = repository.ports().tree.entries(order.into);
    if (!entries && entries.error().code != ErrorCode::kNotFound) return entries.error();
    if (!entries || entries->empty()) return false;
    AETERNA_TRY(check_same_cluster(files, order.into, system_identifier));
    return true;
}

Result<std::uint64_t> bytes_of_files(env::FileTree& tree, const std::string& directory) {
    std::uint64_t bytes = 0;
    repository::TreeWalk walk(tree, directory);
    repository::VisitedNode node;
    while (true) {
        AETERNA_ASSIGN(const bool has_more, walk.next(node));
        if (!has_more) return bytes;
        if (node.info.type == env::NodeType::kFile) bytes += node.info.size;
    }
}

}  // namespace aeterna::postgres
