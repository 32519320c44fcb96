// The ledger file: what was written is what is read, and a torn tail does no harm.
#include <gtest/gtest.h>

#include "ledger_builder.h"

namespace aeterna::engine::test {
namespace {

constexpr std::string_view kText =
    "aeterna-dr-ledger-1\tdrill-1\tredis\t1700000000000000\tclient:client\tdirect:redis-1\n"
    "I\t1\t0\t1000\t1100\n"
    "O\t1\tok\t2100\tredis-1\t-\n"
    "I\t1099511627777\t1\t1500\t1500\n"
    "O\t1099511627777\tfail\t1600\tredis-1\tREADONLY you cannot write\n"
    "I\t2\t0\t3000\t3000\n";

TEST(ParseLedger, ReadsIntentsAndOutcomes) {
    const auto content = parse_ledger(kText);
    ASSERT_TRUE(content) << content.error().message;
    ASSERT_EQ(content->entries.size(), 3U);
    EXPECT_EQ(content->store, "redis");
    EXPECT_EQ(content->paths[1].name, "redis-1");
    EXPECT_EQ(content->paths[1].kind, PathKind::kDirect);
    EXPECT_EQ(content->entries[0].outcome, WriteOutcome::kOk);
    EXPECT_EQ(content->entries[0].sent - content->started, 1100us);
    EXPECT_EQ(content->entries[1].error, "READONLY you cannot write");
    EXPECT_FALSE(content->entries[2].done.has_value()) << "no outcome: the drill died";
    EXPECT_EQ(content->entries[2].outcome, WriteOutcome::kUnknown);
    EXPECT_EQ(to_unix_us(content->wall(content->entries[0].sent)), 1700000000001100);
}

TEST(ParseLedger, IgnoresATornTail) {
    const std::string torn = std::string(kText) + "O\t2\to";
    const auto content = parse_ledger(torn);
    ASSERT_TRUE(content);
    EXPECT_FALSE(content->entries[2].done.has_value());
}

TEST(ParseLedger, RefusesWhatIsNoLedger) {
    for (const std::string& text :
         {std::string(), std::string("hello\n"), std::string(kText) + "X\t1\n", std::string(kText) + "O\t77\tok\t1\t-\t-\n",
          std::string(kText) + "I\t9\t7\t1\t1\n"}) {
        const auto content = parse_ledger(text);
        ASSERT_FALSE(content) << text;
        EXPECT_EQ(content.error().code, ErrorCode::kProtocol);
    }
}

}  // namespace
}  // namespace aeterna::engine::test
