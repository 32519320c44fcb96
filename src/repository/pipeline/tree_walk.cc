#include "repository/pipeline/tree_walk.h"

#include <utility>

namespace aeterna::repository {

Result<bool> TreeWalk::next(VisitedNode& node) {
    if (!is_begun_) {
        is_begun_ = true;
        node.path.clear();
        AETERNA_ASSIGN(node.info, tree_.look(root_));
        if (node.info.type != env::NodeType::kDirectory) {
            return make_error(ErrorCode::kUsage, "'" + root_ + "' is no directory", "Name a directory.");
        }
        has_descent_ = true;
        return true;
    }
    if (std::exchange(has_descent_, false)) {
        AETERNA_ASSIGN(auto entries, tree_.entries(descend_.empty() ? root_ : root_ + "/" + descend_));
        levels_.push_back({descend_, std::move(entries), 0});
    }
    while (!levels_.empty() && levels_.back().place >= levels_.back().entries.size()) levels_.pop_back();
    if (levels_.empty()) return false;
    Level& level = levels_.back();
    const env::NodeEntry& entry = level.entries[level.place++];
    node.path = level.path.empty() ? entry.name : level.path + "/" + entry.name;
    node.info = entry.info;
    if (node.info.type == env::NodeType::kDirectory) {
        descend_ = node.path;
        has_descent_ = true;
    }
    return true;
}

}  // namespace aeterna::repository
