// sim_test: 2,000 random schedules.
//   sim_test --seed N         one of them with its story
//   sim_test --seeds A..B     that range, or A,B,C; prints one JSON line of figures, failures on stderr
//   sim_test --plots A..B     the plot of each of them
// and 1,000 with Redis and Sentinel: --redis-seed, --redis-seeds, --redis-plots.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/strings.h"
#include "harness/redis_schedule.h"
#include "harness/schedule.h"
#include "parallel.h"

namespace aeterna::sim {
namespace {

constexpr std::uint64_t kSchedules = 2000;
constexpr std::uint64_t kRedisSchedules = 1000;

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
    const RangeResult result = run_seeds(Store::kPostgres, seeds, cores());
    for (const std::string& failure : result.failures) ADD_FAILURE() << failure;
    EXPECT_EQ(result.done, kSchedules);
    // Some end where only a person can help: in synchronous mode without a standby, a leader that must not lead again.
    EXPECT_GE(result.healthy, kSchedules * 99 / 100) << "the cluster must find back to health by itself";
    EXPECT_GT(result.executions, 0U)
        << "no schedule made the controller act: the faults do nothing";
}

// What is never drawn tries nothing.
TEST(Simulation, TheSchedulesOfOneRunHaveEveryKindOfFaultAndEveryAssist) {
    std::set<FaultKind> kinds;
    std::set<RedisFaultKind> redis_kinds;
    std::set<std::string> assists, redis_assists;
    for (std::uint64_t seed = 1; seed <= kSchedules; ++seed) {
        const Schedule schedule = make_schedule(seed);
        for (const Fault& fault : schedule.faults) kinds.insert(fault.kind);
        assists.insert(schedule.assist);
        if (seed > kRedisSchedules) continue;
        const RedisSchedule of_redis = make_redis_schedule(seed);
        for (const RedisFault& fault : of_redis.faults) redis_kinds.insert(fault.kind);
        redis_assists.insert(of_redis.crew.assist);
    }
    for (int kind = 0; kind <= static_cast<int>(kLastFault); ++kind)
        EXPECT_TRUE(kinds.count(static_cast<FaultKind>(kind))) << fault_name(static_cast<FaultKind>(kind));
    for (int kind = 0; kind <= static_cast<int>(kLastRedisFault); ++kind)
        EXPECT_TRUE(redis_kinds.count(static_cast<RedisFaultKind>(kind))) << fault_name(static_cast<RedisFaultKind>(kind));
    const std::set<std::string> all{"act", "off", "propose"};
    EXPECT_EQ(assists, all);
    EXPECT_EQ(redis_assists, all);
}

TEST(Simulation, AFailingSeedIsPrintedWithTheWordsThatReplayIt) {
    const auto play = [](std::uint64_t seed) {
        if (seed == 5) std::abort();
        Played played{{}, fmt::format("the schedule of {}", seed)};
        if (seed == 3) played.outcome.violations = {"two writers"};
        return played;
    };
    const RangeResult result = run_seeds(Store::kRedis, {1, 2, 3, 4, 5}, 2, play);
    ASSERT_EQ(result.failures.size(), 2U);
    EXPECT_EQ(result.failures[0], "two writers\nthe schedule of 3\n\nreplay: sim_test --redis-seed 3\n");
    EXPECT_NE(result.failures[1].find("seed 5 ended the process (signal 6)\nreplay: sim_test --redis-seed 5\n"), std::string::npos);
    EXPECT_NE(run_seeds(Store::kPostgres, {3}, 1, play).failures.at(0).find("replay: sim_test --seed 3\n"), std::string::npos);
}

TEST(Simulation, OneSeedGivesOneRunOfRedis) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        const Outcome first = play_seed(Store::kRedis, seed).outcome;
        const Outcome second = play_seed(Store::kRedis, seed).outcome;
        EXPECT_EQ(first.fingerprint, second.fingerprint);
        EXPECT_EQ(first.turns, second.turns);
    }
}

TEST(Simulation, EveryInvariantHoldsInRandomSchedulesOfRedis) {
    std::vector<std::uint64_t> seeds(kRedisSchedules);
    std::iota(seeds.begin(), seeds.end(), std::uint64_t{1});
    const RangeResult result = run_seeds(Store::kRedis, seeds, cores());
    for (const std::string& failure : result.failures) ADD_FAILURE() << failure;
    EXPECT_EQ(result.done, kRedisSchedules);
    EXPECT_GE(result.healthy, kRedisSchedules * 99 / 100) << "the cluster must find back to health by itself";
    EXPECT_GT(result.fences, 0U) << "no schedule made the controller act: the faults do nothing";
    EXPECT_GT(result.releases, 0U) << "no schedule made the controller promote";
}

int tell_one(Store store, std::uint64_t seed) {
    const auto [outcome, schedule] = play_seed(store, seed, [](const std::string& line) { fmt::print("{}\n", line); });
    fmt::print("{}\n", schedule);
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

int tell_plots(Store store, const std::vector<std::uint64_t>& seeds) {
    for (const std::uint64_t seed : seeds)
        fmt::print("{} {}\n", seed, store == Store::kRedis ? make_redis_schedule(seed).plot : make_schedule(seed).plot);
    return 0;
}

int run_all(Store store, const std::vector<std::uint64_t>& seeds) {
    const RangeResult result = run_seeds(store, seeds, cores());
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
    std::string option = argc == 3 ? argv[1] : "";
    const bool is_redis = option.starts_with("--redis-");
    if (is_redis) option.erase(2, 6);
    const auto store = is_redis ? aeterna::sim::Store::kRedis : aeterna::sim::Store::kPostgres;
    if (option == "--seed") {
        return aeterna::sim::tell_one(store, static_cast<std::uint64_t>(aeterna::to_integer(argv[2]).value_or(1)));
    }
    if (option == "--seeds" || option == "--plots") {
        const auto seeds = aeterna::sim::parse_seeds(argv[2]);
        if (seeds.empty()) {
            fmt::print(stderr, "'{}' names no seeds\n", argv[2]);
            return 2;
        }
        return option == "--seeds" ? aeterna::sim::run_all(store, seeds) : aeterna::sim::tell_plots(store, seeds);
    }
    return RUN_ALL_TESTS();
}
