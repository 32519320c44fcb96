// The models answer as the real servers do: every scenario file, each from ten seeds. tests/live runs the same files.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "scenario.h"

namespace aeterna::sim {
namespace {

constexpr std::uint64_t kSeeds = 10;

Json read_scenario(const std::filesystem::path& path) {
    std::ifstream file(path);
    return Json::parse(file);
}

TEST(Scenarios, TheModelsAnswerAsTheRealServersDo) {
    std::set<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator(AETERNA_SCENARIOS)) paths.insert(entry.path());
    ASSERT_GE(paths.size(), 26U);
    for (const auto& path : paths) {
        const Json scenario = read_scenario(path);
        for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
            const ScenarioResult result = run_scenario(scenario, seed);
            for (const std::string& failure : result.failures)
                ADD_FAILURE() << path.stem().string() << ", seed " << seed << ": " << failure;
        }
    }
}

}  // namespace
}  // namespace aeterna::sim
