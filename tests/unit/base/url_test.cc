#include "base/url.h"

#include <gtest/gtest.h>

namespace aeterna {
namespace {

TEST(UrlDecode, UndoesEscapesAndPlus) {
    EXPECT_EQ(url_decode("a%2Fb%20c+d"), "a/b c d");
    EXPECT_EQ(url_decode("%c3%BC"), "\xC3\xBC") << "both cases of hex digits";
    EXPECT_EQ(url_decode("%2B%25"), "+%") << "what came out of an escape is not read again";
    EXPECT_EQ(url_decode("a%00b"), std::string("a\0b", 3));
    EXPECT_EQ(url_decode(""), "");
}

TEST(UrlDecode, KeepsWhatIsNoEscape) {
    for (const char* text : {"%", "%2", "a%", "100%zz", "%g0", "%0g", "%%"}) EXPECT_EQ(url_decode(text), text);
    EXPECT_EQ(url_decode("%%41"), "%A") << "an escape right after a lone sign";
    EXPECT_EQ(url_decode("%41"), "A") << "an escape that ends the text";
}

TEST(UrlEncode, KeepsTheUnreservedOnly) {
    const std::string unreserved = "AZaz09-._~";
    EXPECT_EQ(url_encode(unreserved), unreserved);
    EXPECT_EQ(url_encode("a/b c+%~"), "a%2Fb%20c%2B%25~");
    EXPECT_EQ(url_encode("a/b c+%~", true), "a/b%20c%2B%25~");
    EXPECT_EQ(url_encode(std::string_view("\0\xff", 2)), "%00%FF");
}

TEST(UrlEncode, EveryByteComesBack) {
    std::string bytes;
    for (int byte = 0; byte < 256; ++byte) bytes += static_cast<char>(byte);
    EXPECT_EQ(url_decode(url_encode(bytes)), bytes);
    EXPECT_EQ(url_decode(url_encode(bytes, true)), bytes);
}

TEST(WithoutFinalSlashes, LeavesTheRest) {
    EXPECT_EQ(without_final_slashes("http://a:1/b//"), "http://a:1/b");
    EXPECT_EQ(without_final_slashes("http://a:1"), "http://a:1");
    EXPECT_EQ(without_final_slashes("//"), "");
    EXPECT_EQ(without_final_slashes(""), "");
}

}  // namespace
}  // namespace aeterna
