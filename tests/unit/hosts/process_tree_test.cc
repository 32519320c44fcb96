#include "hosts/process_tree.h"

#include <gtest/gtest.h>

namespace aeterna::hosts {
namespace {

env::ProcessInfo process(int pid, int parent, char state = 'S') {
    env::ProcessInfo info;
    info.id = {pid, static_cast<std::uint64_t>(pid) * 10};
    info.parent_pid = parent;
    info.state = state;
    return info;
}

std::vector<int> pids(const std::vector<env::ProcessId>& ids) {
    std::vector<int> result;
    for (const env::ProcessId& id : ids) result.push_back(id.pid);
    return result;
}

const std::vector<env::ProcessInfo> kTable = {process(1, 0),  process(30, 20), process(10, 1), process(20, 10),
                                              process(21, 10), process(22, 10, 'Z'), process(50, 1)};

TEST(ProcessTree, ParentsComeBeforeChildrenAndZombiesStayOut) {
    EXPECT_EQ(pids(collect_descendants({{10, 100}}, kTable)), (std::vector<int>{10, 20, 21, 30}));
    EXPECT_EQ(pids(collect_descendants({{20, 200}, {10, 100}}, kTable)), (std::vector<int>{20, 10, 30, 21}));
}

TEST(ProcessTree, AReusedPidIsNobodysRoot) {
    EXPECT_TRUE(collect_descendants({{10, 101}}, kTable).empty());
    EXPECT_TRUE(collect_descendants({{99, 990}}, kTable).empty());
}

TEST(ProcessTree, AncestorsEndAtTheFirstProcessAlsoInALoop) {
    EXPECT_EQ(ancestors_of(30, kTable), (std::vector<int>{30, 20, 10, 1}));
    EXPECT_EQ(ancestors_of(5, {process(5, 6), process(6, 5)}), (std::vector<int>{5, 6}));
}

}  // namespace
}  // namespace aeterna::hosts
