#include "postgres/restore_test/give_tree.h"

namespace aeterna::postgres {

Status give_tree(const std::string& path, env::Owner owner, env::FileTree& tree, env::Files& files) {
    AETERNA_TRY(files.change_owner(path, owner));
    AETERNA_ASSIGN(const auto entries, tree.entries(path));
    for (const env::NodeEntry& entry : entries) {
        const std::string child = path + "/" + entry.name;
        if (entry.info.type == env::NodeType::kDirectory) AETERNA_TRY(give_tree(child, owner, tree, files));
        else AETERNA_TRY(files.change_owner(child, owner));
    }
    return {};
}

}  // namespace aeterna::postgres
