#include "parallel.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <map>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/json.h"
#include "base/strings.h"
#include "harness/redis_run.h"

namespace aeterna::sim {
namespace {

constexpr time_t kSecondsPerSeed = 60;  // of CPU: another load must not fail a seed

struct Child {
    pid_t pid = -1;
    int output = -1;
    std::string said{};                   // no whole line yet
    std::optional<std::int64_t> seed{};  // that it is at
};

using Seeds = std::vector<std::uint64_t>;

const char* option_of(Store store) { return store == Store::kRedis ? "--redis-seed" : "--seed"; }

// Which seed is next, among all processes: none idles while there are seeds left.
using Next = std::atomic<std::size_t>;

// A line before each seed, and a line of results after.
void work(Store store, const Seeds& seeds, const Player& play, Next& next, std::FILE* output) {
    for (std::size_t i = next++; i < seeds.size(); i = next++) {
        const std::uint64_t seed = seeds[i];
        fmt::print(output, "{}\n", seed);
        std::fflush(output);
        const itimerval limit{{0, 0}, {kSecondsPerSeed, 0}};
        ::setitimer(ITIMER_PROF, &limit, nullptr);
        const auto [outcome, schedule] = play(seed);
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

Child start(Store store, const Seeds& seeds, const Player& play, Next& next) {
    int ends[2];
    AETERNA_CHECK(::pipe(ends) == 0);
    std::fflush(nullptr);
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::close(ends[0]);
        work(store, seeds, play, next, ::fdopen(ends[1], "w"));
        ::_exit(0);
    }
    ::close(ends[1]);
    return {pid, ends[0]};
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
}

using Failures = std::map<std::uint64_t, std::string>;  // by seed, whichever process was done first

// Takes the whole lines out of what a child has said.
void take_lines(Child& child, RangeResult& result, Failures& failures) {
    std::size_t begin = 0;
    for (std::size_t end; (end = child.said.find('\n', begin)) != std::string::npos; begin = end + 1) {
        const std::string text = child.said.substr(begin, end - begin);
        if (!text.starts_with("{")) {
            child.seed = to_integer(text);
            continue;
        }
        const Json line = Json::parse(text, nullptr, false);
        add(result, line);
        const auto failure = find_string(line, "failure");
        if (failure && child.seed) failures[static_cast<std::uint64_t>(*child.seed)] = *failure;
        child.seed.reset();
    }
    child.said.erase(0, begin);
}

// All children at once: one that nobody reads would stop when its pipe is full.
void read_all(std::vector<Child>& children, RangeResult& result, Failures& failures) {
    std::vector<pollfd> open;
    for (const Child& child : children) open.push_back({child.output, POLLIN, 0});
    char buffer[1 << 16];
    for (std::size_t left = open.size(); left > 0;) {
        if (::poll(open.data(), open.size(), -1) < 0) continue;  // interrupted
        for (std::size_t i = 0; i < open.size(); ++i) {
            if (open[i].fd < 0 || open[i].revents == 0) continue;
            const ssize_t count = ::read(open[i].fd, buffer, sizeof buffer);
            if (count > 0) {
                children[i].said.append(buffer, static_cast<std::size_t>(count));
                take_lines(children[i], result, failures);
            } else {
                ::close(std::exchange(open[i].fd, -1));
                --left;
            }
        }
    }
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

RangeResult run_seeds(Store store, const Seeds& seeds, unsigned processes, const Player& play) {
    const Player player = play ? play : [store](std::uint64_t seed) { return play_seed(store, seed); };
    void* const shared =
        ::mmap(nullptr, sizeof(Next), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    AETERNA_CHECK(shared != MAP_FAILED);
    Next& next = *new (shared) Next(0);
    std::vector<Child> children;
    for (unsigned i = 0; i < processes && i < seeds.size(); ++i) children.push_back(start(store, seeds, player, next));
    RangeResult result;
    Failures failures;
    read_all(children, result, failures);
    for (const Child& child : children) {
        int status = 0;
        ::waitpid(child.pid, &status, 0);
        if (status == 0 && !child.seed) continue;
        const std::string seed = child.seed ? std::to_string(*child.seed) : "?";
        failures[static_cast<std::uint64_t>(child.seed.value_or(0))] = fmt::format(
            "seed {} ended the process ({})\nreplay: sim_test {} {}\n", seed,
            WIFSIGNALED(status) ? fmt::format("signal {}", WTERMSIG(status)) : fmt::format("status {}", status),
            option_of(store), seed);
    }
    ::munmap(shared, sizeof(Next));
    for (auto& [seed, failure] : failures) result.failures.push_back(std::move(failure));
    return result;
}

}  // namespace aeterna::sim
