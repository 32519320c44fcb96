#include "env/sim/process.h"

#include <algorithm>

#include "base/check.h"
#include "env/sim/network.h"

namespace aeterna::sim {
namespace {

constexpr std::uint64_t kTicksPerSecond = 100;  // USER_HZ

}  // namespace

void Process::when_running(Action action) {
    if (!is_alive()) return;
    if (is_stopped()) {
        inbox_.push_back(std::move(action));
    } else {
        action();
    }
}

Process& ProcessTable::start(ProcessOptions options) {
    auto process = std::make_unique<Process>();
    process->id.pid = ++last_pid_;
    process->id.start_ticks = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(scheduler_.now().time_since_epoch())
            .count() *
        static_cast<std::int64_t>(kTicksPerSecond) / 1000);
    process->parent = options.parent;
    process->uid = options.uid;
    process->command = std::move(options.command);
    process->working_directory = std::move(options.working_directory);
    process->environment = std::move(options.environment);
    process->host = options.host;
    Process& started = *process;
    living_[started.id.pid] = &started;
    all_.push_back(std::move(process));
    return started;
}

void ProcessTable::signal(Process& process, int number) {
    if (!process.is_alive()) return;
    if (process.state_ == 'D') {
        process.pending_.push_back(number);
        return;
    }
    switch (number) {
        case 0: return;
        case SIGKILL: end(process); return;
        case SIGSTOP: process.state_ = 'T'; return;
        case SIGCONT: go_on(process); return;
        default: break;
    }
    process.when_running([this, &process, number] {
        if (process.on_signal) {
            process.on_signal(number);
        } else if (number == SIGTERM || number == SIGINT || number == SIGQUIT) {
            end(process);
        }
    });
}

void ProcessTable::freeze(Process& process) {
    if (!process.is_alive()) return;
    process.state_ = 'D';
    process.is_frozen_ = true;
}

void ProcessTable::thaw(Process& process) {
    if (process.state_ != 'D') return;
    process.is_frozen_ = false;
    process.state_ = 'T';  // go_on() makes it run
    const std::vector<int> pending = std::exchange(process.pending_, {});
    const bool stays_stopped = std::count(pending.begin(), pending.end(), SIGSTOP) != 0;
    if (!stays_stopped) go_on(process);
    for (const int number : pending) {
        if (number != SIGSTOP) signal(process, number);
    }
}

void ProcessTable::go_on(Process& process) {
    if (process.state_ != 'T') return;
    process.state_ = 'S';
    // Sockets and timers are ready at the same time; which the code looks at first is chance.
    std::vector<Action> inbox = std::exchange(process.inbox_, {});
    const bool timers_first = scheduler_.rng().chance(0.5);
    if (timers_first) scheduler_.release_held(process);
    for (Action& action : inbox) {
        scheduler_.after(scheduler_.rng().between(0ms, 3ms),
                         [&process, action = std::move(action)]() mutable {
                             process.when_running(std::move(action));
                         });
    }
    if (!timers_first) {
        scheduler_.after(scheduler_.rng().between(0ms, 3ms), [this, &process] {
            if (!process.is_stopped()) scheduler_.release_held(process);
        });
    }
}

void ProcessTable::end(Process& process) {
    if (!process.is_alive()) return;
    process.state_ = 'X';
    process.inbox_.clear();
    living_.erase(process.id.pid);
    for (auto& [pid, other] : living_) {
        if (other->parent == process.id.pid) other->parent = 1;
    }
    for (const auto& hook : std::exchange(process.on_death, {})) hook();
    for (auto& call : std::exchange(process.calls, {})) call->server_died();
    for (std::stop_source& stop : process.thread_stops) stop.request_stop();
    scheduler_.release_held(process);
    scheduler_.unpark_all_of(process);
    const auto [first, last] = waiting_for_end_.equal_range(process.id.pid);
    std::for_each(first, last, [&](const auto& waiting) { scheduler_.unpark(waiting.second); });
    waiting_for_end_.erase(first, last);
}

Process* ProcessTable::find(int pid) {
    const auto found = living_.find(pid);
    return found == living_.end() ? nullptr : found->second;
}

env::ProcessInfo ProcessTable::info(const Process& process) {
    return {process.id,  process.parent,  process.state(),
            process.uid, process.command, process.working_directory};
}

std::vector<env::ProcessInfo> ProcessTable::list() const {
    std::vector<env::ProcessInfo> table;
    table.reserve(living_.size());
    for (const auto& [pid, process] : living_) table.push_back(info(*process));
    return table;
}

void ProcessTable::watch_end(Process& process, FiberRef waiter) {
    waiting_for_end_.emplace(process.id.pid, waiter);
}

void ProcessTable::end_all() {
    while (!living_.empty()) {
        Process& process = *living_.begin()->second;
        process.state_ = 'S';
        end(process);
    }
}

}  // namespace aeterna::sim
