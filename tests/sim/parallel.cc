#include "parallel.h"

#include <fmt/format.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "base/json.h"
#include "harness/redis_run.h"

namespace aeterna::sim {
namespace {

constexpr time_t kSecondsPerSeed = 60;  // of CPU: another load must not fail a seed

struct Child {
    pid_t pid = -1;
    std::FILE* output = nullptr;
};

using Seeds = std::vector<std::uint64_t>;

const char* option_of(Store store) { return store == Store::kRedis ? "--redis-seed" : "--seed"; }

// Every `step`-th seed; a line before each, and a line of results after.
void work(Store store, const Seeds& seeds, std::size_t first, std::size_t step, std::FILE* output) {
    for (std::size_t i = first; i < seeds.size(); i += step) {
        const std::uint64_t seed = seeds[i];
        fmt::print(output, "{}\n", seed);
        std::fflush(output);
        const itimerval limit{{0, 0}, {kSecondsPerSeed, 0}};
        ::setitimer(ITIMER_PROF, &limit, nullptr);
        const auto [outcome, schedule] = play_seed(store, seed);
        Json line{{"virtual", to_seconds(outcome.virtual_time)},
                  {"healthy", outcome.was_healthy},
                  {"executions", outcome.executions},
                  {"fences", outcome.fences},
                  {"releases", outcome.releases},
                  {"thefts", outcome.thefts},
                  {"lost", outcome.rows_lost}};
        if (!outcome.violations.empty()) {
            std::string text;
            for (const std::string& violation : outcome.violations) text += violation + "\n";
            line["failure"] = fmt::format("{}{}\n{}\nreplay: sim_test {} {}\n", text, schedule, outcome.final_state,
                                          option_of(store), seed);
        }
        fmt::print(output, "{}\n", dump_json(line));
        std::fflush(output);
    }
}

Child start(Store store, const Seeds& seeds, std::size_t first, std::size_t step) {
    int ends[2];
    if (::pipe(ends) != 0) return {};
    std::fflush(nullptr);
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::close(ends[0]);
        work(store, seeds, first, step, ::fdopen(ends[1], "w"));
        ::_exit(0);
    }
    ::close(ends[1]);
    return {pid, ::fdopen(ends[0], "r")};
}

void add(RangeResult& result, const Json& line) {
    ++result.done;
    result.virtual_seconds += find_number(line, "virtual").value_or(0);
    result.healthy += find_boolean(line, "healthy").value_or(false) ? 1 : 0;
    const auto count = [&](const char* key) {
        return static_cast<std::uint64_t>(find_integer(line, key).value_or(0));
    };
    result.executions += count("executions");
    result.fences += count("fences");
    result.releases += count("releases");
    result.thefts += count("thefts");
    result.rows_lost += count("lost");
    if (const auto failure = find_string(line, "failure")) result.failures.push_back(*failure);
}

}  // namespace

Played play_seed(Store store, std::uint64_t seed, const std::function<void(const std::string&)>& on_trace) {
    if (store == Store::kRedis) {
        const RedisSchedule schedule = make_redis_schedule(seed);
        return {run_redis_schedule(schedule, on_trace), schedule.describe()};
    }
    const Schedule schedule = make_schedule(seed);
    return {run_schedule(schedule, on_trace), schedule.describe()};
}

RangeResult run_seeds(Store store, const Seeds& seeds, unsigned processes) {
    std::vector<Child> children;
    for (unsigned i = 0; i < processes && i < seeds.size(); ++i) children.push_back(start(store, seeds, i, processes));
    RangeResult result;
    for (const Child& child : children) {
        std::string seed;
        char* line = nullptr;
        std::size_t capacity = 0;
        while (::getline(&line, &capacity, child.output) > 0) {
            const std::string text(line);
            if (text.starts_with("{")) {
                add(result, Json::parse(text, nullptr, false));
                seed.clear();
            } else {
                seed = text.substr(0, text.size() - 1);
            }
        }
        std::free(line);
        std::fclose(child.output);
        int status = 0;
        ::waitpid(child.pid, &status, 0);
        if (status != 0 || !seed.empty()) {
            result.failures.push_back(fmt::format(
                "seed {} ended the process ({})\nreplay: sim_test {} {}\n", seed,
                WIFSIGNALED(status) ? fmt::format("signal {}", WTERMSIG(status)) : fmt::format("status {}", status),
                option_of(store), seed));
        }
    }
    return result;
}

}  // namespace aeterna::sim
