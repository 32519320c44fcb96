// sim_test: 2,000 random schedules.
//   sim_test --seed N         one of them with its story
//   sim_test --seeds A..B     that range; prints one JSON line of figures, failures on stderr
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <string>

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
    const RangeResult result = run_range(1, kSchedules, cores());
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

int run_range_of(const std::string& range) {
    const std::size_t dots = range.find("..");
    const auto first = to_integer(std::string_view(range).substr(0, dots));
    const auto last =
        dots == std::string::npos ? first : to_integer(std::string_view(range).substr(dots + 2));
    if (!first || !last || *first < 0 || *last < *first) {
        fmt::print(stderr, "'{}' is no range A..B\n", range);
        return 2;
    }
    const RangeResult result =
        run_range(static_cast<std::uint64_t>(*first), static_cast<std::uint64_t>(*last), cores());
    for (const std::string& failure : result.failures) fmt::print(stderr, "{}\n", failure);
    const Json line{{"first", *first},
                    {"last", *last},
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
    if (option == "--seeds") return aeterna::sim::run_range_of(argv[2]);
    return RUN_ALL_TESTS();
}
