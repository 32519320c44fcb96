// Which processes are the lab's: `lab down` kills them.
#include "lab/supervisor.h"

#include <gtest/gtest.h>

namespace aeterna::lab {
namespace {

constexpr const char* kLab = "/var/tmp/t/lab";

struct Case {
    const char* what;
    const char* command;
    const char* directory;
    std::vector<std::string> environment;
    bool expected;
};

class BelongsToLab : public testing::TestWithParam<Case> {};

TEST_P(BelongsToLab, ByMarkerOrByProgramAndDirectory) {
    env::ProcessInfo process;
    process.command = GetParam().command;
    process.working_directory = GetParam().directory;
    EXPECT_EQ(belongs_to_lab(process, GetParam().environment, kLab), GetParam().expected)
        << GetParam().what;
}

INSTANTIATE_TEST_SUITE_P(
    Processes, BelongsToLab,
    testing::Values(
        Case{"marked", "etcd", "/", {"A=b", "AETERNA_DR_LAB=/var/tmp/t/lab"}, true},
        Case{"marked for another lab", "etcd", "/", {"AETERNA_DR_LAB=/var/tmp/t/lab2"}, false},
        Case{"marked for a lab inside", "etcd", "/", {"AETERNA_DR_LAB=/var/tmp/t/lab/x"}, false},
        Case{"postgres with an overwritten environment",
             "postgres",
             "/var/tmp/t/lab/data/postgres-1",
             {},
             true},
        Case{"another postgres", "postgres", "/var/lib/postgresql/15/main", {}, false},
        Case{"postgres of a lab with a longer name",
             "postgres",
             "/var/tmp/t/lab2/data/postgres-1",
             {},
             false},
        Case{"a shell in the data directory", "bash", "/var/tmp/t/lab/data/postgres-1", {}, false},
        Case{"a person's client elsewhere in the lab",
             "redis-server",
             "/var/tmp/t/lab/log",
             {},
             false}));

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
