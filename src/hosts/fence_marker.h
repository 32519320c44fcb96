// Fence markers: FENCE_DIRECTORY/NODE/HOLDER, one small JSON file each. While a node's directory is
// not empty, nothing may start the node: our executor and the lab refuse, and a systemd unit does
// so by `ConditionDirectoryNotEmpty=!FENCE_DIRECTORY/NODE` (systemd.unit(5)). Several holders may
// keep one node down; each removes only its own marker.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "env/files.h"

namespace aeterna::hosts {

inline constexpr const char* kOperator = "operator";  // the holder of a fence by a person's hand

struct FenceMarker {
    std::string node;
    std::string holder;  // an execution's id, a drill's id, kOperator
    std::string reason;  // one line for people
    WallTime since{};
};

// Durable when it returns. The first `since` stays when the marker exists. kUsage for a node or
// holder that is no plain file name.
Status put_marker(env::Files& files, const std::string& directory, const FenceMarker& marker);
// Missing is success.
Status remove_marker(env::Files& files, const std::string& directory, const std::string& node,
                     const std::string& holder);
// All of one node, sorted by holder. A marker whose content cannot be read still counts.
[[nodiscard]] Result<std::vector<FenceMarker>> markers_of(env::Files& files,
                                                          const std::string& directory,
                                                          const std::string& node);
[[nodiscard]] Result<std::vector<FenceMarker>> all_markers(env::Files& files,
                                                           const std::string& directory);
// kGuardRefused, naming the holders, while the node is held down.
[[nodiscard]] Status require_unfenced(env::Files& files, const std::string& directory,
                                      const std::string& node);

}  // namespace aeterna::hosts
