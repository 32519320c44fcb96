#include "harness/site.h"

namespace aeterna::sim {

std::vector<std::string> Site::markers() {
    std::vector<std::string> found;
    for (const std::string& directory : fence_directories) {
        for (const std::string& node : world().disk.list(directory)) {
            for (const std::string& holder : world().disk.list(directory + "/" + node)) {
                found.push_back(node + " by " + holder);
            }
        }
    }
    return found;
}

bool Site::is_marked(const std::string& node) {
    for (const std::string& directory : fence_directories) {
        if (!world().disk.list(directory + "/" + node).empty()) return true;
    }
    return false;
}

}  // namespace aeterna::sim
