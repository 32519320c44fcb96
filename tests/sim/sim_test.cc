// sim_test: 2,000 random schedules.
//   sim_test --seed N         one of them with its story
//   sim_test --seeds A..B     that range, or A,B,C; prints one JSON line of figures, failures on stderr
//   sim_test --plots A..B     the plot of each of them
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/strings.h"
#include "harness/run.h"
#include "parallel.h"

namespace aeterna::sim {
namespace {

constexpr std::uint64_t kSchedules = 2000;

unsigned cores() { return static_cast<unsigned>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN))); }

TEST(Simulation, OneSeedGivesOneRun) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        const Schedule schedule = make_schedule(seed);
        const Outcome first = run_schedule(schedule);
        const Outcome second = run_schedule(schedule);
        EXPECT_EQ(first.fingerprint, second.fingerprint);
        EXPECT_EQ(first.turns, second.turns);
    }
}

TEST(Simulation, EveryInvariantHoldsInRandomSchedules) {
    std::vector<std::uint64_t> seeds(kSchedules);
    std::iota(seeds.begin(), seeds.end(), std::uint64_t{1});
    const RangeResult result = run_seeds(seeds, cores());
    for (const std::string& failure : result.failures) ADD_FAILURE() << failure;
    EXPECT_EQ(result.done, kSchedules);
    // Some end where only a person can help: in synchronous mode without a standby, a leader that must not lead again.
    EXPECT_GE(result.healthy, kSchedules * 99 / 100) << "the cluster must find back to health by itself";
    EXPECT_GT(result.executions, 0U)
        << "no schedule made the controller act: the faults do nothing";
}

int tell_one(std::uint64_t seed) {
    const Schedule schedule = make_schedule(seed);
    fmt::print("{}\n", schedule.describe());
    const Outcome outcome =
        run_schedule(schedule, [](const std::string& line) { fmt::print("{}\n", line); });
    fmt::print("virtual {:.1f} s, {} turns, fingerprint {:016x}\n",
               to_seconds(outcome.virtual_time), outcome.turns, outcome.fingerprint);
    fmt::print(
        "rows acknowledged {}, lost {}, longest outage {:.2f} s, executions {}, thefts {}, fences "
        "{}, "
        "releases {}\n{}\n",
        outcome.rows_acknowledged, outcome.rows_lost, to_seconds(outcome.longest_outage),
        outcome.executions, outcome.thefts, outcome.fences, outcome.releases, outcome.final_state);
    for (const std::string& violation : outcome.violations) fmt::print("VIOLATION {}\n", violation);
    return outcome.violations.empty() ? 0 : 1;
}

// "A..B" or "A,B,C"; empty when it is neither.
std::vector<std::uint64_t> parse_seeds(const std::string& text) {
    std::vector<std::uint64_t> seeds;
    const std::size_t dots = text.find("..");
    if (dots != std::string::npos) {
        const auto first = to_integer(std::string_view(text).substr(0, dots));
        const auto last = to_integer(std::string_view(text).substr(dots + 2));
        for (std::int64_t seed = first.value_or(0); first && last && seed <= *last; ++seed)
            seeds.push_back(static_cast<std::uint64_t>(seed));
        return seeds;
    }
    for (const std::string_view part : split(text, ',')) {
        if (const auto seed = to_integer(part)) seeds.push_back(static_cast<std::uint64_t>(*seed));
    }
    return seeds;
}

int tell_plots(const std::vector<std::uint64_t>& seeds) {
    for (const std::uint64_t seed : seeds) fmt::print("{} {}\n", seed, make_schedule(seed).plot);
    return 0;
}

int run_all(const std::vector<std::uint64_t>& seeds) {
    const RangeResult result = run_seeds(seeds, cores());
    for (const std::string& failure : result.failures) fmt::print(stderr, "{}\n", failure);
    const Json line{{"first", seeds.front()},
                    {"last", seeds.back()},
                    {"done", result.done},
                    {"failed", result.failures.size()},
                    {"healthy", result.healthy},
                    {"virtual_seconds", result.virtual_seconds},
                    {"executions", result.executions},
                    {"fences", result.fences},
                    {"releases", result.releases},
                    {"thefts", result.thefts},
                    {"rows_lost", result.rows_lost}};
    fmt::print("{}\n", dump_json(line));
    return result.failures.empty() ? 0 : 1;
}

}  // namespace
}  // namespace aeterna::sim

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    const std::string option = argc == 3 ? argv[1] : "";
    if (option == "--seed") {
        return aeterna::sim::tell_one(
            static_cast<std::uint64_t>(aeterna::to_integer(argv[2]).value_or(1)));
    }
    if (option == "--seeds" || option == "--plots") {
        const auto seeds = aeterna::sim::parse_seeds(argv[2]);
        if (seeds.empty()) {
            fmt::print(stderr, "'{}' names no seeds\n", argv[2]);
            return 2;
        }
        return option == "--seeds" ? aeterna::sim::run_all(seeds) : aeterna::sim::tell_plots(seeds);
    }
    return RUN_ALL_TESTS();
}
