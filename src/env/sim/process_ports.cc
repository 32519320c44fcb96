// The process port: the virtual kernel's table, and programs that are run by name.
#include <fmt/format.h>

#include "env/sim/ports.h"

namespace aeterna::sim {
namespace {

constexpr Duration kShortestRun = std::chrono::milliseconds(5);
constexpr Duration kLongestRun = std::chrono::milliseconds(60);

class SimProcesses final : public env::Processes {
  public:
    explicit SimProcesses(Place place) : place_(place) {}

    Result<env::ProcessId> spawn(const env::SpawnOptions& options) override {
        AETERNA_ASSIGN(const Program* program, find(options.argv));
        const int before = table().last_pid();
        static_cast<void>((*program)(options.argv, place_.process));
        // The program's own process is the first one that it made.
        const Process* started = table().find(before + 1);
        if (started == nullptr) {
            return make_error(ErrorCode::kIo,
                              fmt::format("start '{}': it ended at once", options.argv.front()));
        }
        return started->id;
    }

    Result<env::RunResult> run(const env::RunOptions& options,
                               const env::Context& context) override {
        AETERNA_ASSIGN(const Program* program, find(options.argv));
        Scheduler& scheduler = place_.world.scheduler;
        const std::string what = fmt::format("run '{}'", options.argv.front());
        const MonoTime ends =
            scheduler.now() + place_.world.rng().between(kShortestRun, kLongestRun);
        static_cast<void>(
            scheduler.park(std::min(ends, context.deadline), context.stop, "the end of a program"));
        if (place_.is_dead()) return place_.dead(what);
        if (context.stop.stop_requested())
            return make_error(ErrorCode::kCancelled, fmt::format("{}: stopped", what));
        if (scheduler.now() < ends) {
            return make_error(ErrorCode::kDeadline, fmt::format("{}: it did not end in time", what),
                              "", Effect::kUnknown);
        }
        return (*program)(options.argv, place_.process);
    }

    std::optional<env::ProcessInfo> inspect(int pid) override {
        const Process* process = place_.is_dead() ? nullptr : table().find(pid);
        if (process == nullptr) return std::nullopt;
        return ProcessTable::info(*process);
    }
    bool is_alive(const env::ProcessId& id) override {
        const auto info = inspect(id.pid);
        return info && info->id == id;
    }
    Status signal(const env::ProcessId& id, int number) override {
        const std::string what = fmt::format("signal process {}", id.pid);
        if (place_.is_dead()) return place_.dead(what);
        if (id.pid <= 1) return make_error(ErrorCode::kUsage, fmt::format("{}: refused", what));
        if (!is_alive(id))
            return make_error(ErrorCode::kNotFound, fmt::format("{}: it is gone", what));
        if (place_.world.is_traced()) {
            place_.world.trace(fmt::format("{} signals {} ({}) with {}", place_.process.command,
                                           table().find(id.pid)->command, id.pid, number));
        }
        Process& target = *table().find(id.pid);
        if (table().on_signal) table().on_signal(place_.process, target, number);
        table().signal(target, number);
        return {};
    }
    bool wait_gone(const env::ProcessId& id, const env::Context& context) override {
        Scheduler& scheduler = place_.world.scheduler;
        while (!place_.is_dead()) {
            if (!is_alive(id)) return true;
            if (context.stop.stop_requested() || scheduler.now() >= context.deadline) return false;
            table().watch_end(*table().find(id.pid), scheduler.next_parking());
            static_cast<void>(
                scheduler.park(context.deadline, context.stop, "the end of a process"));
        }
        return false;
    }
    std::vector<env::ProcessInfo> list() override {
        return place_.is_dead() ? std::vector<env::ProcessInfo>() : table().list();
    }
    std::vector<std::string> environment_of(int pid) override {
        const Process* process = table().find(pid);
        return process == nullptr ? std::vector<std::string>() : process->environment;
    }
    std::uint32_t effective_uid() override { return place_.process.uid; }
    int own_pid() override { return place_.process.id.pid; }
    Result<env::User> find_user(const std::string& name) override {
        const auto found = place_.world.users.find(name);
        if (found != place_.world.users.end()) return found->second;
        return make_error(ErrorCode::kNotFound, fmt::format("there is no user '{}'", name));
    }
    std::optional<std::string> find_program(const std::string& name,
                                            const std::vector<std::string>&) override {
        if (!place_.world.programs.contains(name)) return std::nullopt;
        return "/usr/bin/" + name;
    }
    std::string own_executable() override { return "/usr/bin/" + place_.process.command; }

  private:
    ProcessTable& table() { return place_.world.processes; }
    Result<const Program*> find(const std::vector<std::string>& argv) {
        if (argv.empty()) return make_error(ErrorCode::kUsage, "run: no program is named");
        if (place_.is_dead()) return place_.dead("run '" + argv.front() + "'");
        const auto found = place_.world.programs.find(argv.front());
        if (found != place_.world.programs.end()) return &found->second;
        return make_error(ErrorCode::kNotFound,
                          fmt::format("run '{}': No such file or directory", argv.front()));
    }

    Place place_;
};

}  // namespace

std::unique_ptr<env::Processes> make_processes(Place place) {
    return std::make_unique<SimProcesses>(place);
}

}  // namespace aeterna::sim
