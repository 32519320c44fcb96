#include "hosts/pid_file.h"

#include <gtest/gtest.h>

namespace aeterna::hosts {
namespace {

TEST(PidFile, KnowsItsForms) {
    EXPECT_EQ(parse_pid_file("42\n")->pid, 42);
    EXPECT_EQ(parse_pid_file(" 42 ")->pid, 42);
    EXPECT_FALSE(parse_pid_file("42\n")->start_ticks);
    EXPECT_EQ(parse_pid_file("42\n98765\n")->start_ticks, 98765U);
    const auto postmaster = parse_pid_file("42\n/var/lib/data\n1790000000\n5432\n/run\n*\n 1 2\nready\n");
    ASSERT_TRUE(postmaster);
    EXPECT_EQ(postmaster->pid, 42);
    EXPECT_FALSE(postmaster->start_ticks);
    EXPECT_EQ(postmaster->data_directory, "/var/lib/data");
}

TEST(PidFile, NeverNamesASpecialProcess) {
    for (const char* text : {"", "\n42\n", "0\n", "1\n", "-42\n", "42x\n", "99999999999\n", "pid 42"}) {
        EXPECT_FALSE(parse_pid_file(text)) << text;
    }
}

}  // namespace
}  // namespace aeterna::hosts
