// The executor of this host: pid files, /proc, signals by pidfd.
//
// A pid file is only a hint. Before anything is signalled: the process lives, its start time agrees where the
// file names one, a postmaster stands in the directory that its file names, a file written by an ordinary user
// names a process of that user (else that user could aim our SIGKILL at anything), and we are not in the tree.
#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "hosts/executor.h"
#include "hosts/local_fence.h"
#include "hosts/pid_file.h"
#include "hosts/process_tree.h"

namespace aeterna::hosts {
namespace {

constexpr int kKill = 9;       // signal(7), the same on every Linux platform that Debian ships
constexpr int kContinue = 18;
constexpr int kStop = 19;
constexpr int kSweeps = 5;

class LocalExecutor final : public Executor {
  public:
    LocalExecutor(config::Host host, const env::Env& env) : host_(std::move(host)), env_(env) {}

    Result<NodeProcesses> find(const std::string& node, const env::Context&) override {
        AETERNA_ASSIGN(const config::HostProcess* configured, configured_process(node));
        AETERNA_ASSIGN(const env::ProcessId root, read_root(*configured));
        NodeProcesses found{node, {}};
        // A process may fork while the table is read: read until two tables agree.
        for (int sweep = 0; sweep < kSweeps; ++sweep) {
            auto now = collect_descendants({root}, env_.processes.list());
            const bool is_stable = now == found.processes;
            found.processes = std::move(now);
            if (is_stable) break;
        }
        if (found.processes.empty()) return not_running(node, "its process has just ended");
        AETERNA_TRY(check_not_ourselves(found));
        return found;
    }

    Status kill(const NodeProcesses& target, const env::Context& context) override {
        AETERNA_TRY(check_not_ourselves(target));
        // Parents first: an agent that lives on would restart what was killed. Then the children that were
        // born meanwhile, as long as there are any.
        std::vector<env::ProcessId> killed;
        std::vector<env::ProcessId> wave = with_descendants(target.processes);
        for (int sweep = 0; sweep < kSweeps && !wave.empty(); ++sweep) {
            AETERNA_TRY(signal_all(target.node, wave, kKill));
            killed.insert(killed.end(), wave.begin(), wave.end());
            wave = unseen(with_descendants(killed), killed);
        }
        std::vector<std::string> remaining;
        for (const env::ProcessId& process : killed) {
            if (!env_.processes.wait_gone(process, context)) remaining.push_back(std::to_string(process.pid));
        }
        if (remaining.empty()) return {};
        return make_error(ErrorCode::kPartial,
                          fmt::format("processes {} of '{}' were killed but are still there",
                                      join(remaining, ", "), target.node),
                          "They may be stuck in the kernel; look at their state.", Effect::kPartial);
    }

    Status pause(const NodeProcesses& target, const env::Context&) override {
        AETERNA_TRY(check_not_ourselves(target));
        std::vector<env::ProcessId> stopped;
        std::vector<env::ProcessId> wave = with_descendants(target.processes);
        if (wave.empty()) return not_running(target.node, "all its processes have ended");
        for (int sweep = 0; sweep < kSweeps && !wave.empty(); ++sweep) {
            AETERNA_TRY(signal_all(target.node, wave, kStop));
            stopped.insert(stopped.end(), wave.begin(), wave.end());
            wave = unseen(with_descendants(stopped), stopped);
        }
        return {};
    }

    // Children first, so that a parent that wakes finds them awake. What has ended needs no resuming.
    Status resume(const NodeProcesses& target, const env::Context&) override {
        auto processes = with_descendants(target.processes);
        std::reverse(processes.begin(), processes.end());
        return signal_all(target.node, processes, kContinue);
    }

    Status start(const std::string& node, const env::Context& context) override {
        AETERNA_ASSIGN(const config::HostProcess* configured, configured_process(node));
        AETERNA_TRY(require_unfenced(env_.files, host_.fence_directory, node));
        const auto running = read_root(*configured);
        if (running) return {};
        if (running.error().code != ErrorCode::kNotFound) return running.error();
        if (configured->start.empty()) {
            return make_error(ErrorCode::kConfiguration, fmt::format("'{}' has no start command", node),
                              "Add 'start: [...]' to its entry under 'processes' in the stack file.");
        }
        env::RunOptions options;
        options.argv = configured->start;
        AETERNA_ASSIGN(const env::RunResult result, env_.processes.run(options, context));
        if (result.exit_status == 0) return {};
        const std::string how = result.signal != 0 ? fmt::format("was ended by signal {}", result.signal)
                                                   : fmt::format("ended with status {}", result.exit_status);
        return make_error(ErrorCode::kIo,
                          fmt::format("start of '{}' {}: {}", node, how, last_line(result.errors)),
                          "Run its start command by hand and look at its log.", Effect::kUnknown);
    }

    Result<NodeProcesses> remains(const std::string& node, const env::Context& context) override {
        AETERNA_TRY(configured_process(node));
        return LocalFence(host_, env_, *this).remains(node, context);
    }
    Result<Vitals> vitals(const std::string& node, const env::Context& context) override {
        AETERNA_TRY(configured_process(node));
        return LocalFence(host_, env_, *this).vitals(node, context);
    }
    Status fence(const FenceOrder& order, const env::Context& context) override {
        return LocalFence(host_, env_, *this).fence(order, context);
    }
    Status unfence(const std::vector<std::string>& nodes, const std::string& holder,
                   const env::Context&) override {
        for (const std::string& node : nodes) {
            AETERNA_TRY(remove_marker(env_.files, host_.fence_directory, node, holder));
        }
        return {};
    }
    Result<std::vector<FenceMarker>> fences(const env::Context&) override {
        return all_markers(env_.files, host_.fence_directory);
    }

    Result<std::string> data_directory(const std::string& node, const env::Context&) override {
        AETERNA_ASSIGN(const config::HostProcess* configured, configured_process(node));
        const auto text = env_.files.read(configured->pid_file, 4096);
        // A server that ended by itself takes its postmaster.pid along; the file lies in the directory that it names
        // (PostgreSQL, "Database File Layout").
        const std::string_view name = "/postmaster.pid";
        if (!text && text.error().code == ErrorCode::kNotFound && configured->pid_file.ends_with(name)) {
            return env_.files.canonical(configured->pid_file.substr(0, configured->pid_file.size() - name.size()));
        }
        if (!text) return text.error();
        const auto file = parse_pid_file(*text);
        if (file && !file->data_directory.empty()) return env_.files.canonical(file->data_directory);
        return make_error(ErrorCode::kNotFound,
                          fmt::format("'{}' names no data directory", configured->pid_file));
    }

    // Documentation/ABI/testing/sysfs-class-watchdog of Linux: state is "active" or "inactive".
    Result<bool> is_watchdog_armed(const env::Context&) override {
        const std::string directory = "/sys/class/watchdog";
        const auto devices = env_.files.list(directory);
        for (const std::string& device : devices.value_or(std::vector<std::string>{})) {
            const auto state = env_.files.read(directory + "/" + device + "/state", 64);
            if (state && trim(*state) == "active") return true;
        }
        return false;
    }

    Result<std::vector<std::string>> list_files(const std::string& directory, const env::Context&) override {
        return env_.files.list(directory);
    }
    Result<std::string> read_file(const std::string& path, std::size_t limit_bytes,
                                  const env::Context&) override {
        return env_.files.read(path, limit_bytes);
    }
    Result<env::Room> room(const std::string& path, const env::Context&) override { return env_.files.room(path); }

  private:
    static std::string last_line(std::string_view text) {
        text = trim(text);
        const std::size_t line_end = text.rfind('\n');
        const auto last = line_end == std::string_view::npos ? text : text.substr(line_end + 1);
        return last.empty() ? "it said nothing" : one_line(last);
    }

    static Error not_running(const std::string& node, const std::string& why) {
        return make_error(ErrorCode::kNotFound, fmt::format("nothing of '{}' runs: {}", node, why));
    }

    Result<const config::HostProcess*> configured_process(const std::string& node) const {
        for (const config::HostProcess& process : host_.processes) {
            if (process.node == node) return &process;
        }
        return make_error(ErrorCode::kNotFound,
                          fmt::format("'{}' is not configured on host '{}'", node, host_.name));
    }

    Result<env::ProcessId> read_root(const config::HostProcess& configured) {
        const auto text = env_.files.read(configured.pid_file, 4096);
        if (!text) {
            if (text.error().code == ErrorCode::kNotFound) {
                return not_running(configured.node, fmt::format("there is no '{}'", configured.pid_file));
            }
            return wrap_error(text.error(), fmt::format("pid of '{}'", configured.node));
        }
        const auto file = parse_pid_file(*text);
        if (!file) return not_running(configured.node, fmt::format("'{}' names no process", configured.pid_file));
        const auto process = env_.processes.inspect(file->pid);
        if (!process || !agrees(*file, *process)) {
            return not_running(configured.node, fmt::format("process {} of '{}' is gone", file->pid,
                                                            configured.pid_file));
        }
        AETERNA_ASSIGN(const env::Owner owner, env_.files.owner(configured.pid_file));
        const bool is_trusted =
            owner.uid == 0 || owner.uid == env_.processes.effective_uid() || owner.uid == process->uid;
        if (is_trusted) return process->id;
        return make_error(ErrorCode::kGuardRefused,
                          fmt::format("'{}' names process {}, which is not its owner's", configured.pid_file,
                                      file->pid),
                          "Check who wrote the pid file.");
    }

    bool agrees(const PidFile& file, const env::ProcessInfo& process) const {
        if (file.start_ticks) return *file.start_ticks == process.id.start_ticks;
        // The directory of another user's process is not readable: then the pid alone must do.
        if (file.data_directory.empty() || process.working_directory.empty()) return true;
        return env_.files.canonical(file.data_directory) == process.working_directory;
    }

    Status check_not_ourselves(const NodeProcesses& target) {
        const auto own_line = ancestors_of(env_.processes.own_pid(), env_.processes.list());
        for (const env::ProcessId& process : target.processes) {
            if (std::find(own_line.begin(), own_line.end(), process.pid) == own_line.end()) continue;
            return make_error(ErrorCode::kGuardRefused,
                              fmt::format("process {} of '{}' is this program or one of its parents",
                                          process.pid, target.node));
        }
        return {};
    }

    std::vector<env::ProcessId> with_descendants(const std::vector<env::ProcessId>& processes) {
        return collect_descendants(processes, env_.processes.list());
    }

    static std::vector<env::ProcessId> unseen(const std::vector<env::ProcessId>& all,
                                              const std::vector<env::ProcessId>& seen) {
        std::vector<env::ProcessId> fresh;
        for (const env::ProcessId& process : all) {
            if (std::find(seen.begin(), seen.end(), process) == seen.end()) fresh.push_back(process);
        }
        return fresh;
    }

    // Goes on after a failure: the rest should get the signal too. What is gone already counts as done.
    Status signal_all(const std::string& node, const std::vector<env::ProcessId>& processes, int signal) {
        std::optional<Error> failed;
        std::size_t done = 0;
        for (const env::ProcessId& process : processes) {
            auto sent = env_.processes.signal(process, signal);
            if (sent) ++done;
            if (!sent && sent.error().code != ErrorCode::kNotFound && !failed) failed = sent.error();
        }
        if (!failed) return {};
        Error error = wrap_error(std::move(*failed), fmt::format("signal {} to '{}'", signal, node));
        error.effect = done > 0 ? Effect::kPartial : Effect::kNone;
        if (done > 0) error.code = ErrorCode::kPartial;
        return error;
    }

    config::Host host_;
    const env::Env& env_;
};

}  // namespace

Result<std::unique_ptr<Executor>> make_executor(const config::Host& host, const env::Env& env) {
    if (host.executor == "local") return std::make_unique<LocalExecutor>(host, env);
    return make_error(ErrorCode::kConfiguration,
                      fmt::format("host '{}' has executor '{}': nothing can be done there", host.name,
                                  host.executor),
                      "Set 'executor: local' where aeterna-dr runs on the host itself.");
}

}  // namespace aeterna::hosts
