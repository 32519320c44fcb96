// The redis section of the stack file.
#include "redis/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/fake_env.h"

namespace aeterna::redis::testing {
namespace {

using ::testing::HasSubstr;

Status read(const std::string& text) {
    aeterna::testing::FakeFiles files;
    auto root = config::Section::parse("master_name: m\n" + text, "t.yaml");
    if (!root) return root.error();
    const auto settings = load_settings({}, {"redis", {}, {}, *root}, files);
    if (!settings) return settings.error();
    return root->finish();
}

TEST(Settings, RefuseWhatIsWrongWithLineAndRemedy) {
    const std::string node = "nodes:\n  - {name: redis-1, address: '10.0.0.1:6379'}\n";
    const std::string sentinel = "sentinels:\n  - {name: sentinel-1, address: '10.0.0.1:26379'}\n";
    const Status good = read(node + sentinel);
    EXPECT_TRUE(good) << good.error().message;
    const std::pair<std::string, const char*> cases[] = {
        {sentinel, "redis has no 'nodes'"},
        {node, "redis has no 'sentinels'"},
        {node + "sentinels:\n  - {name: redis-1, address: '10.0.0.1:26379'}\n",
         "t.yaml:5: the node name 'redis-1' is used twice; first in line 3"},
        {node + "sentinels:\n  - {name: sentinel-1, address: '10.0.0.1:6379'}\n",
         "t.yaml:5: the address '10.0.0.1:6379' is used twice; first in line 3"},
        {node + "sentinels:\n  - {name: 'a b', address: '10.0.0.1:26379'}\n", "t.yaml:5: 'a b' is no node name"},
    };
    for (const auto& [text, expected] : cases) {
        const Status bad = read(text);
        ASSERT_FALSE(bad) << text;
        EXPECT_THAT(bad.error().message, HasSubstr(expected));
        EXPECT_FALSE(bad.error().hint.empty()) << text;
    }
}

}  // namespace
}  // namespace aeterna::redis::testing
