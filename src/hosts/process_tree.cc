#include "hosts/process_tree.h"

#include <algorithm>
#include <map>
#include <set>

namespace aeterna::hosts {

std::vector<env::ProcessId> collect_descendants(const std::vector<env::ProcessId>& roots,
                                                const std::vector<env::ProcessInfo>& table) {
    std::map<int, const env::ProcessInfo*> by_pid;
    std::multimap<int, const env::ProcessInfo*> by_parent;
    for (const env::ProcessInfo& process : table) {
        if (process.state == 'Z' || process.state == 'X') continue;
        by_pid[process.id.pid] = &process;
        by_parent.emplace(process.parent_pid, &process);
    }
    std::vector<env::ProcessId> found;
    std::set<int> seen;
    const auto add = [&](const env::ProcessId& id) {
        if (seen.insert(id.pid).second) found.push_back(id);
    };
    for (const env::ProcessId& root : roots) {
        const auto present = by_pid.find(root.pid);
        if (present != by_pid.end() && present->second->id == root) add(root);
    }
    for (std::size_t next = 0; next < found.size(); ++next) {
        const auto [first, last] = by_parent.equal_range(found[next].pid);
        std::for_each(first, last, [&](const auto& child) { add(child.second->id); });
    }
    return found;
}

std::vector<int> ancestors_of(int pid, const std::vector<env::ProcessInfo>& table) {
    std::map<int, int> parents;
    for (const env::ProcessInfo& process : table) parents[process.id.pid] = process.parent_pid;
    std::vector<int> line;
    while (pid > 0 && std::find(line.begin(), line.end(), pid) == line.end()) {
        line.push_back(pid);
        const auto parent = parents.find(pid);
        pid = parent == parents.end() ? 0 : parent->second;
    }
    return line;
}

}  // namespace aeterna::hosts
