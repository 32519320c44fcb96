#include <gtest/gtest.h>

#include "env/net.h"

namespace aeterna::env {
namespace {

TEST(Endpoint, ParsesWhatItPrints) {
    for (const char* text : {"127.0.0.1:5432", "[::1]:5432", "db.example.org:1", "h:65535"}) {
        const auto endpoint = parse_endpoint(text);
        ASSERT_TRUE(endpoint) << text;
        EXPECT_EQ(endpoint->to_string(), text);
    }
    EXPECT_EQ(parse_endpoint("[::1]:5432")->host, "::1");
}

TEST(Endpoint, RefusesWhatIsNoAddress) {
    for (const char* text : {"", "host", "host:", ":5432", "host:0", "host:65536", "host:1x", "::1:5432",
                             "[::1]", "[host]:1", "ho st:1", "http://host:1", "user@host:1", "host:-1"}) {
        const auto endpoint = parse_endpoint(text);
        ASSERT_FALSE(endpoint) << text;
        EXPECT_EQ(endpoint.error().code, ErrorCode::kUsage);
    }
}

}  // namespace
}  // namespace aeterna::env
