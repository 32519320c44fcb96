// TreeWalk: visits a directory tree in path order without following links; holds the entries of the directories from
// the root to the current place only.
#pragma once

#include <string>
#include <vector>

#include "env/file_tree.h"

namespace aeterna::repository {

struct VisitedNode {
    std::string path;  // relative; "" is the root
    env::NodeInfo info;
};

class TreeWalk {
  public:
    TreeWalk(env::FileTree& tree, std::string root) : tree_(tree), root_(std::move(root)) {}

    // False at the end. A directory that cannot be listed is an error after which the walk may go on without it.
    [[nodiscard]] Result<bool> next(VisitedNode& node);

  private:
    struct Level {
        std::string path;
        std::vector<env::NodeEntry> entries;
        std::size_t place = 0;
    };

    env::FileTree& tree_;
    std::string root_;
    bool is_begun_ = false;
    std::string descend_;  // the directory that was visited last, to be listed next
    bool has_descent_ = false;
    std::vector<Level> levels_;
};

}  // namespace aeterna::repository
