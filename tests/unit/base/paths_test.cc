#include "base/paths.h"

#include <gtest/gtest.h>

namespace aeterna {
namespace {

TEST(ParentOf, IsTheDirectoryAbove) {
    EXPECT_EQ(parent_of("/a/b/c"), "/a/b");
    EXPECT_EQ(parent_of("a/b"), "a");
    EXPECT_EQ(parent_of("/a"), "/");
    EXPECT_EQ(parent_of("a"), ".");
    EXPECT_EQ(parent_of(""), ".");
}

TEST(ParentOf, EndsAtTheRoot) { EXPECT_EQ(parent_of("/"), "/"); }

TEST(LiesIn, GoesByWholeNames) {
    EXPECT_TRUE(lies_in("/a/b", "/a/b"));
    EXPECT_TRUE(lies_in("/a/b/c", "/a/b"));
    EXPECT_FALSE(lies_in("/a/bc", "/a/b"));
    EXPECT_FALSE(lies_in("/a", "/a/b"));
}

TEST(WithoutTrailingSlashes, KeepsTheRootAndInnerSlashes) {
    EXPECT_EQ(without_trailing_slashes("/a//b//"), "/a//b");
    EXPECT_EQ(without_trailing_slashes("a"), "a");
    EXPECT_EQ(without_trailing_slashes("/"), "/");
    EXPECT_EQ(without_trailing_slashes("///"), "/");
    EXPECT_EQ(without_trailing_slashes(""), "");
}

}  // namespace
}  // namespace aeterna
