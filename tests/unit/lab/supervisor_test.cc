// Which processes are the lab's: `lab down` kills them.
#include "lab/supervisor.h"

#include <gtest/gtest.h>

namespace aeterna::lab {
namespace {

constexpr const char* kLab = "/var/tmp/t/lab";

struct ProcessCase {
    const char* what;
    const char* command;
    const char* directory;
    std::vector<std::string> environment;
    bool expected;
};

class BelongsToLab : public ::testing::TestWithParam<ProcessCase> {};

TEST_P(BelongsToLab, ByMarkerOrByProgramAndDirectory) {
    env::ProcessInfo process;
    process.command = GetParam().command;
    process.working_directory = GetParam().directory;
    EXPECT_EQ(belongs_to_lab(process, GetParam().environment, kLab), GetParam().expected)
        << GetParam().what;
}

INSTANTIATE_TEST_SUITE_P(
    Processes, BelongsToLab,
    ::testing::Values(
        ProcessCase{"marked", "etcd", "/", {"A=b", "AETERNA_DR_LAB=/var/tmp/t/lab"}, true},
        ProcessCase{"marked for another lab", "etcd", "/", {"AETERNA_DR_LAB=/var/tmp/t/lab2"}, false},
        ProcessCase{"marked for a lab inside", "etcd", "/", {"AETERNA_DR_LAB=/var/tmp/t/lab/x"}, false},
        ProcessCase{"postgres with an overwritten environment",
             "postgres",
             "/var/tmp/t/lab/data/postgres-1",
             {},
             true},
        ProcessCase{"another postgres", "postgres", "/var/lib/postgresql/15/main", {}, false},
        ProcessCase{"postgres of a lab with a longer name",
             "postgres",
             "/var/tmp/t/lab2/data/postgres-1",
             {},
             false},
        ProcessCase{"a shell in the data directory", "bash", "/var/tmp/t/lab/data/postgres-1", {}, false},
        ProcessCase{"a person's client elsewhere in the lab",
             "redis-server",
             "/var/tmp/t/lab/log",
             {},
             false}));

TEST(Unrecorded, IsWhatNoPidFileLeadsTo) {
    const auto process = [](int pid, int parent, const char* command) {
        env::ProcessInfo info;
        info.id.pid = pid;
        info.parent_pid = parent;
        info.command = command;
        return info;
    };
    // 20 is recorded; its child 21 is not the lab's by any mark, the child's child 22 is.
    const std::vector<env::ProcessInfo> of_lab = {
        process(10, 1, "etcd"),     process(20, 1, "patroni"),  process(22, 21, "pg_basebackup"),
        process(30, 1, "postgres"), process(40, 10, "python3"), process(60, 50, "redis-server")};
    std::vector<env::ProcessInfo> all = of_lab;
    all.push_back(process(21, 20, "sh"));
    all.push_back(process(50, 60, "circle"));
    std::vector<int> left;
    for (const auto& found : find_unrecorded(of_lab, all, {20})) left.push_back(found.id.pid);
    EXPECT_EQ(left, (std::vector<int>{10, 40, 60}));
}

TEST(PidFile, ReadsPidAndStart) {
    const auto id = parse_pid_file("4711\n123456\n");
    ASSERT_TRUE(id);
    EXPECT_EQ(id->pid, 4711);
    EXPECT_EQ(id->start_ticks, 123456U);
}

TEST(PidFile, ReadsAPostmastersFirstLine) {
    const auto id = parse_pid_file("4711\n/var/tmp/t/lab/data/postgres-1\n1700000000\n5432\n");
    ASSERT_TRUE(id);
    EXPECT_EQ(id->pid, 4711);
    EXPECT_EQ(id->start_ticks, 0U);
}

TEST(PidFile, RefusesWhatWouldBeDangerousToSignal) {
    for (const char* text : {"", "\n", "0\n", "1\n", "-5\n", "abc\n", "12x\n"})
        EXPECT_FALSE(parse_pid_file(text)) << text;
}

}  // namespace
}  // namespace aeterna::lab
