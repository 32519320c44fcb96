#include "env/sim/disk.h"

#include <fmt/format.h>

#include "base/strings.h"

namespace aeterna::sim {

namespace {

bool is_normal(const std::string& path) {
    return path.starts_with('/') && !path.ends_with('/') && path.find("//") == std::string::npos &&
           path.find("/.") == std::string::npos;
}

}  // namespace

std::string Disk::normal(const std::string& path) {
    if (is_normal(path)) return path;
    std::vector<std::string> parts;
    for (const std::string_view part : split(path, '/')) {
        if (part.empty() || part == ".") continue;
        if (part != "..") {
            parts.emplace_back(part);
        } else if (!parts.empty()) {
            parts.pop_back();
        }
    }
    return "/" + join(parts, "/");
}

std::string Disk::parent_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

Disk::Node* Disk::find(const std::string& path) {
    const auto found = nodes_.find(path);
    return found == nodes_.end() ? nullptr : &found->second;
}

Result<Disk::Node*> Disk::make(const std::string& path) {
    if (Node* present = find(path)) return present;
    const std::string parent = parent_of(path);
    const Node* directory = find(parent);
    if (parent != "/" && (directory == nullptr || !directory->is_directory)) {
        return make_error(ErrorCode::kNotFound,
                          fmt::format("write '{}': No such file or directory", path));
    }
    return &nodes_[path];
}

void Disk::make_directories(const std::string& path, int mode) {
    if (path == "/" || find(path) != nullptr) return;
    make_directories(parent_of(path), mode);
    Node& node = nodes_[path];
    node.is_directory = true;
    node.mode = mode;
}

std::vector<std::string> Disk::list(const std::string& directory) const {
    std::vector<std::string> names;
    const std::string prefix = directory == "/" ? "/" : directory + "/";
    for (auto it = nodes_.lower_bound(prefix); it != nodes_.end() && it->first.starts_with(prefix);
         ++it) {
        const std::string rest = it->first.substr(prefix.size());
        if (!rest.empty() && rest.find('/') == std::string::npos) names.push_back(rest);
    }
    return names;
}

bool Disk::has_entries(const std::string& directory) const {
    const auto next = nodes_.lower_bound(directory + "/");
    return next != nodes_.end() && next->first.starts_with(directory + "/");
}

void Disk::remove_tree(const std::string& path) {
    const std::string prefix = path + "/";
    std::erase_if(nodes_, [&](const auto& node) {
        return node.first == path || node.first.starts_with(prefix);
    });
}

void Disk::lose_power() {
    std::erase_if(nodes_, [](const auto& node) { return !node.second.is_name_durable; });
    for (auto& [path, node] : nodes_) node.content = node.durable;
}

}  // namespace aeterna::sim
