// The example and the option table against the readers: what they say must be what is read.
#include "app/cli/config_text.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "app/registry.h"
#include "env/posix/posix_env.h"

namespace aeterna::app {
namespace {

TEST(StackOptions, AreUniqueAndExplained) {
    std::set<std::string_view> keys;
    for (const StackOption& option : stack_options()) {
        EXPECT_TRUE(keys.insert(option.key).second) << option.key;
        EXPECT_FALSE(option.help.empty() || option.type.empty() || option.fallback.empty()) << option.key;
    }
}

TEST(StackExample, OpensOnceItsSecretsExist) {
    const std::filesystem::path folder = ::testing::TempDir() + "aeterna-config-text";
    std::filesystem::create_directories(folder);
    std::string text(stack_example());
    const std::string secrets = "/etc/aeterna-dr/";
    for (std::size_t at = text.find(secrets); at != std::string::npos; at = text.find(secrets, at + 1)) {
        text.replace(at, secrets.size(), folder.string() + "/");
    }
    for (const char* name : {"postgres.password", "redis.password", "qdrant.key"}) {
        std::ofstream(folder / name) << "secret\n";
        std::filesystem::permissions(folder / name, std::filesystem::perms(0600));
    }
    std::ofstream(folder / "stack.yaml") << text;
    env::PosixEnv posix(env::LogFormat::kText, LogLevel::kError);
    const auto open = open_stack(folder / "stack.yaml", posix.env());
    ASSERT_TRUE(open) << open.error().to_string();
    EXPECT_EQ((*open)->stores.size(), 3U);
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace aeterna::app
