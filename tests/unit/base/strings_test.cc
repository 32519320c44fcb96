// The small text helpers, mostly at their edges: they read what servers and people send.
#include "base/strings.h"

#include <gtest/gtest.h>

#include <cmath>

namespace aeterna {
namespace {

using Parts = std::vector<std::string_view>;

TEST(Split, KeepsEmptyParts) {
    EXPECT_EQ(split("", ','), (Parts{""}));
    EXPECT_EQ(split("a", ','), (Parts{"a"}));
    EXPECT_EQ(split("a,,b", ','), (Parts{"a", "", "b"}));
    EXPECT_EQ(split(",a,", ','), (Parts{"", "a", ""}));
}

TEST(Join, IsTheInverseOfSplit) {
    for (const std::string text : {"a", "a,b", "a,,b", ",a", "a,", ",,"}) {
        const Parts views = split(text, ',');
        EXPECT_EQ(join(std::vector<std::string>(views.begin(), views.end()), ","), text);
    }
    EXPECT_EQ(join({}, ", "), "");
    EXPECT_EQ(join({"a", "b", "c"}, ", "), "a, b, c");
}

TEST(Trim, TakesSpaceFromBothEnds) {
    EXPECT_EQ(trim(" \t\r\n a b \n"), "a b");
    EXPECT_EQ(trim(" \n "), "");
    EXPECT_EQ(trim(""), "");
}

TEST(ToInteger, TakesTheWholeTextOrNothing) {
    EXPECT_EQ(to_integer("0"), 0);
    EXPECT_EQ(to_integer("-42"), -42);
    EXPECT_EQ(to_integer("9223372036854775807"), INT64_MAX);
    for (const char* text : {"", " 1", "1 ", "1.0", "+1", "0x1", "1e3", "9223372036854775808", "one"}) {
        EXPECT_FALSE(to_integer(text)) << text;
    }
}

TEST(ToNumber, ReadsWhatPrometheusWrites) {
    EXPECT_EQ(to_number("1.5"), 1.5);
    EXPECT_EQ(to_number("-2e3"), -2000.0);
    EXPECT_EQ(to_number("+Inf"), HUGE_VAL);
    EXPECT_EQ(to_number("-Inf"), -HUGE_VAL);
    ASSERT_TRUE(to_number("NaN"));
    EXPECT_TRUE(std::isnan(*to_number("NaN")));
    for (const char* text : {"", "+", " 1", "1s", "1,5", "1.5 "}) EXPECT_FALSE(to_number(text)) << text;
}

TEST(OneLine, IsSafeToPrint) {
    EXPECT_EQ(one_line("ERROR: no\nDETAIL: more"), "ERROR: no");
    EXPECT_EQ(one_line("\n  first\nsecond"), "first");
    EXPECT_EQ(one_line(std::string_view("a\tb\x1b[31mc\x7f" "d\0e", 12)), "a b [31mc d ");
    EXPECT_EQ(one_line("abcdef", 3), "abc");
    EXPECT_EQ(one_line("", 3), "");
    EXPECT_EQ(one_line(std::string(300, 'x')).size(), 200U);
    // "ä" is two bytes, "…" three: neither is cut in two.
    EXPECT_EQ(one_line("ä…x", 1), "");
    EXPECT_EQ(one_line("ä…x", 2), "ä");
    EXPECT_EQ(one_line("ä…x", 4), "ä");
    EXPECT_EQ(one_line("ä…x", 5), "ä…");
}

TEST(Base64, AgreesWithTheVectorsOfRfc4648) {
    const std::pair<const char*, const char*> vectors[] = {
        {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"}, {"\xfb\xff\xfe", "+//+"},
    };
    for (const auto& [bytes, text] : vectors) {
        EXPECT_EQ(base64_encode(bytes), text);
        EXPECT_EQ(base64_decode(text), bytes) << text;
    }
}

TEST(Base64, ComesBackForEveryByteAndLength) {
    std::string bytes;
    for (int i = 0; i < 300; ++i) {
        EXPECT_EQ(base64_decode(base64_encode(bytes)), bytes) << "length " << i;
        bytes += static_cast<char>(255 - i);
    }
}

TEST(Base64, RefusesWhatIsNotStandard) {
    for (const char* text : {"Z", "Zg", "Zg=", "=", "====", "Z===", "Zg==Zg==", "Z=g=", "Zm9-", "Zm9_", "Zm9v\n",
                             "Zm 9", "Zm9vYg==="}) {
        EXPECT_FALSE(base64_decode(text)) << text;
    }
}

TEST(ToHex, IsLowerCase) { EXPECT_EQ(to_hex(std::string_view("\x00\x0f\xa9\xff", 4)), "000fa9ff"); }

TEST(Lower, LeavesWhatHasNoCase) { EXPECT_EQ(lower("AbC-1ä"), "abc-1ä"); }

// Vectors of the algorithm's authors (draft-eastlake-fnv): the lock keys derived from it must never change.
TEST(StableHash, IsFnv1a) {
    EXPECT_EQ(stable_hash(""), 0x811c9dc5U);
    EXPECT_EQ(stable_hash("a"), 0xe40c292cU);
    EXPECT_EQ(stable_hash("foobar"), 0xbf9cf968U);
}

}  // namespace
}  // namespace aeterna
