// The RESP codec against whole, split, truncated, huge and nested input.
#include "redis/client/resp.h"

#include <gtest/gtest.h>

namespace aeterna::redis {
namespace {

using ReplyKind = Reply::Kind;

std::string show(const Reply& reply) {
    switch (reply.kind) {
        case ReplyKind::kNull: return "null";
        case ReplyKind::kText: return "'" + reply.text + "'";
        case ReplyKind::kError: return "error(" + reply.text + ")";
        case ReplyKind::kInteger: return std::to_string(reply.integer);
        case ReplyKind::kBoolean: return reply.integer ? "true" : "false";
        case ReplyKind::kDouble: return "double(" + reply.text + ")";
        default: break;
    }
    std::string out = reply.kind == ReplyKind::kMap ? "{" : reply.kind == ReplyKind::kPush ? ">[" : "[";
    for (const Reply& element : reply.elements) out += show(element) + " ";
    return out + "]";
}

struct ReplyCase {
    const char* bytes;
    const char* shown;
};

const ReplyCase kGood[] = {
    {"+OK\r\n", "'OK'"},
    {"-ERR no\r\n", "error(ERR no)"},
    {":-42\r\n", "-42"},
    {":+7\r\n", "7"},
    {"$5\r\nhe\r\no\r\n", "'he\r\no'"},
    {"$0\r\n\r\n", "''"},
    {"$-1\r\n", "null"},
    {"*-1\r\n", "null"},
    {"*0\r\n", "[]"},
    {"*2\r\n$1\r\na\r\n*2\r\n:1\r\n*0\r\n", "['a' [1 [] ] ]"},
    {"_\r\n", "null"},
    {"#t\r\n", "true"},
    {",1.5\r\n", "double(1.5)"},
    {"(123456789012345678901234567890\r\n", "'123456789012345678901234567890'"},
    {"!5\r\nERR x\r\n", "error(ERR x)"},
    {"=7\r\ntxt:abc\r\n", "'abc'"},
    {"%1\r\n+k\r\n:1\r\n", "{'k' 1 ]"},
    {"~1\r\n:1\r\n", "[1 ]"},
    {">2\r\n+message\r\n+x\r\n", ">['message' 'x' ]"},
    {"|1\r\n+ttl\r\n:9\r\n+value\r\n", "'value'"},
    {"*2\r\n|1\r\n+ttl\r\n:9\r\n:1\r\n:2\r\n", "[1 2 ]"},
    {"|0\r\n:3\r\n", "3"},
};

TEST(RespParser, ReadsEveryTypeWholeAndByteByByte) {
    for (const ReplyCase& each : kGood) {
        const std::string bytes = each.bytes;
        Parser whole;
        whole.feed(bytes);
        auto reply = whole.next();
        ASSERT_TRUE(reply && *reply) << bytes;
        EXPECT_EQ(show(**reply), each.shown) << bytes;

        Parser piecewise;
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            auto early = piecewise.next();
            ASSERT_TRUE(early) << bytes;
            EXPECT_FALSE(*early) << "done before its end: " << bytes << " at " << i;
            piecewise.feed(bytes.substr(i, 1));
        }
        auto late = piecewise.next();
        ASSERT_TRUE(late && *late) << bytes;
        EXPECT_EQ(show(**late), each.shown);
    }
}

TEST(RespParser, ReadsRepliesInARow) {
    Parser parser;
    parser.feed("+a\r\n:1\r\n+b");
    EXPECT_EQ(show(**parser.next()), "'a'");
    EXPECT_EQ(show(**parser.next()), "1");
    EXPECT_FALSE(*parser.next());
    parser.feed("\r\n");
    EXPECT_EQ(show(**parser.next()), "'b'");
}

TEST(RespParser, RefusesWhatIsNotResp) {
    const char* wrong[] = {"HTTP/1.1 400 Bad Request\r\n", "\r\n", ":x\r\n", ":\r\n", "$x\r\n", "$-2\r\n", "*-2\r\n",
                           "$1\r\nab\r\n", "#x\r\n", "_x\r\n", "%-1\r\n", "!-1\r\n", "$999999999999999999999\r\n",
                           ":99999999999999999999\r\n", "*1\r\n*1\r\n$9999999999\r\n"};
    for (const char* bytes : wrong) {
        Parser parser;
        parser.feed(bytes);
        auto reply = parser.next();
        ASSERT_FALSE(reply) << bytes;
        EXPECT_EQ(reply.error().code, ErrorCode::kProtocol);
        parser.feed("+OK\r\n");
        EXPECT_FALSE(parser.next()) << "a broken parser must stay broken";
    }
}

TEST(RespParser, HoldsItsLimits) {
    ParserLimits limits;
    limits.bulk_bytes = 10;
    limits.line_bytes = 20;
    limits.elements = 5;
    limits.depth = 3;
    limits.total_bytes = 60;
    const std::string wrong[] = {"$11\r\n", "*6\r\n", std::string(21, '+'), "*1\r\n*1\r\n*1\r\n*1\r\n",
                                 "*2\r\n*2\r\n:1\r\n:1\r\n*2\r\n:1\r\n",
                                 "*5\r\n$10\r\n0123456789\r\n$10\r\n0123456789\r\n$10\r\n0123456789\r\n$10\r\n0123456789\r\n"};
    for (const std::string& bytes : wrong) {
        Parser parser(limits);
        parser.feed(bytes);
        EXPECT_FALSE(parser.next()) << bytes;
    }
    Parser parser(limits);
    for (int i = 0; i < 100; ++i) {
        parser.feed("*2\r\n:1\r\n$10\r\n0123456789\r\n");
        auto reply = parser.next();
        ASSERT_TRUE(reply && *reply) << "limits are per reply, not per connection";
    }
}

TEST(RespParser, SurvivesEveryTruncationAndFlippedByte) {
    const std::string bytes = "*3\r\n$3\r\nabc\r\n%1\r\n+k\r\n|1\r\n+a\r\n:1\r\n_\r\n~2\r\n#t\r\n,1e3\r\n";
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
        Parser parser;
        parser.feed(bytes.substr(0, cut));
        auto reply = parser.next();
        ASSERT_TRUE(reply) << cut;
        EXPECT_FALSE(*reply) << cut;
    }
    std::size_t refused = 0;
    for (std::size_t at = 0; at < bytes.size(); ++at)
        for (int value = 0; value < 256; ++value) {
            std::string flipped = bytes;
            flipped[at] = static_cast<char>(value);
            Parser parser;
            parser.feed(flipped);
            while (true) {
                auto reply = parser.next();
                if (!reply) ++refused;
                if (!reply || !*reply) break;
            }
        }
    EXPECT_GT(refused, 1000U);
}

TEST(RespCommand, IsBinarySafe) {
    EXPECT_EQ(encode_command({"SET", "k\r\n", ""}), "*3\r\n$3\r\nSET\r\n$3\r\nk\r\n\r\n$0\r\n\r\n");
}

}  // namespace
}  // namespace aeterna::redis
