#include "app/registry.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "env/posix/posix_env.h"

namespace aeterna::app {
namespace {

Result<std::unique_ptr<OpenStack>> open_text(const std::string& text) {
    static env::PosixEnv posix(env::LogFormat::kText, LogLevel::kError);
    const std::string path = ::testing::TempDir() + "aeterna-registry.yaml";
    std::ofstream(path) << text;
    auto open = open_stack(path, posix.env());
    std::filesystem::remove(path);
    return open;
}

TEST(Registry, KnowsTheStores) {
    std::vector<std::string> names;
    for (const auto& module : store_modules()) names.emplace_back(module->name());
    EXPECT_EQ(names, (std::vector<std::string>{"postgres", "qdrant", "redis"}));
}

TEST(Registry, WrongStackFilesAreNamedWithTheirLine) {
    struct Row {
        std::string text;
        std::string what;
    };
    const std::string head = "name: t\nstores:\n";
    const Row rows[] = {
        {head + "  mongodb:\n    nodes: []\n", "unknown store 'mongodb'"},
        {head + "  qdrant:\n    nodes: [{name: qdrant-1, url: 'http://127.0.0.1:6333'}]\n    colour: red\n", "colour"},
        {head + "  qdrant:\n    nodes: []\n", "node"},
        {"name: t\n", "stores"},
        {"name: [t\n", ".yaml:"},
        {"", ".yaml"},
    };
    for (const Row& row : rows) {
        const auto open = open_text(row.text);
        ASSERT_FALSE(open) << row.text;
        EXPECT_EQ(open.error().code, ErrorCode::kConfiguration) << open.error().to_string();
        EXPECT_NE(open.error().to_string().find(row.what), std::string::npos) << open.error().to_string();
        EXPECT_NE(open.error().to_string().find("aeterna-registry.yaml"), std::string::npos)
            << open.error().to_string();
    }
}

TEST(Registry, FindsStoresByName) {
    const auto open =
        open_text("name: t\nstores:\n  qdrant:\n    nodes: [{name: qdrant-1, url: 'http://127.0.0.1:6333'}]\n");
    ASSERT_TRUE(open) << open.error().to_string();
    EXPECT_TRUE((*open)->find("qdrant"));
    const auto missing = (*open)->find("redis");
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, ErrorCode::kUsage);
    EXPECT_EQ(missing.error().hint, "Name one of: qdrant.");
}

TEST(Registry, ReactsToALostPrimaryAndToADivision) {
    EXPECT_EQ(reaction_to("redis.master_down"), "failover");
    EXPECT_EQ(reaction_to("postgres.primary_down"), "failover");
    EXPECT_EQ(reaction_to("postgres.no_leader"), "failover");
    EXPECT_EQ(reaction_to("redis.divided"), "reconcile");
    EXPECT_FALSE(reaction_to("redis.replica_down"));
}

}  // namespace
}  // namespace aeterna::app
