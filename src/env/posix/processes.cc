// Local processes: daemons by double fork, signals by pidfd. A process is only signalled through a pidfd whose
// start time was compared after it was opened: neither a reused pid nor a race can hit a stranger.
#include "env/processes.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>

#include "env/posix/launch.h"
#include "env/posix/ports.h"
#include "env/posix/process_table.h"
#include "env/posix/run.h"
#include "env/posix/wait.h"

namespace aeterna::env {
namespace {

constexpr mode_t kLogMode = 0640;

Result<Descriptor> open_log(const SpawnOptions& options) {
    const bool has_log = !options.log_path.empty();
    const char* path = has_log ? options.log_path.c_str() : "/dev/null";
    const int flags = has_log ? O_WRONLY | O_APPEND | O_CREAT : O_WRONLY;
    Descriptor log = open_high(path, flags | O_NOCTTY, kLogMode);
    if (!log.is_open()) return file_error(errno, fmt::format("open log '{}'", path));
    if (!has_log || !options.user || ::geteuid() != 0) return log;
    // Servers reopen their log by name: it must be theirs.
    const Owner owner = options.user->owner;
    if (::fchown(log.get(), owner.uid, owner.gid) != 0) {
        return file_error(errno, fmt::format("change owner of log '{}'", path));
    }
    return log;
}

struct DaemonPipes {
    Pipe report;  // first the daemon's pid, then nothing or a LaunchFailure
    Pipe go;      // the daemon waits for it, so that its start time can be read while it surely lives
};

[[noreturn]] void become_daemon(const Launch& launch, const DaemonPipes& pipes, int null, int log) {
    ::setsid();
    const pid_t daemon = ::fork();
    if (daemon != 0) {
        [[maybe_unused]] const ssize_t ignored =
            ::write(pipes.report.write_end.get(), &daemon, sizeof daemon);
        ::_exit(0);
    }
    ::setpgid(0, 0);
    ::close(pipes.go.write_end.get());  // or it would wait for itself when the parent dies
    char go = 0;
    if (!read_exactly(pipes.go.read_end.get(), &go, sizeof go)) ::_exit(127);
    ::dup2(null, STDIN_FILENO);
    ::dup2(log, STDOUT_FILENO);
    ::dup2(log, STDERR_FILENO);
    launch.execute(pipes.report.write_end.get());
}

class PosixProcesses final : public Processes {
  public:
    Result<ProcessId> spawn(const SpawnOptions& options) override {
        AETERNA_ASSIGN(const Launch launch,
                       Launch::prepare({options.argv, options.environment, options.inherit_environment,
                                        options.working_directory, options.user}));
        AETERNA_ASSIGN(const Descriptor log, open_log(options));
        const Descriptor null = open_high("/dev/null", O_RDONLY);
        DaemonPipes pipes;
        AETERNA_ASSIGN(pipes.report, make_pipe());
        AETERNA_ASSIGN(pipes.go, make_pipe());
        const std::string what = fmt::format("start '{}'", options.argv.front());

        const pid_t middle = ::fork();
        if (middle < 0) return file_error(errno, what);
        if (middle == 0) become_daemon(launch, pipes, null.get(), log.get());
        pipes.report.write_end.reset();
        pipes.go.read_end.reset();
        while (::waitpid(middle, nullptr, 0) < 0 && errno == EINTR) {
        }
        pid_t daemon = -1;
        if (!read_exactly(pipes.report.read_end.get(), &daemon, sizeof daemon) || daemon <= 0) {
            return make_error(ErrorCode::kIo, fmt::format("{}: no process could be made", what));
        }
        const auto info = read_process(daemon);
        const ProcessId id{daemon, info ? info->id.start_ticks : 0};
        const char go = 1;
        if (::write(pipes.go.write_end.get(), &go, sizeof go) != sizeof go) {
            return make_error(ErrorCode::kIo, fmt::format("{}: the new process was killed", what));
        }
        LaunchFailure failure;
        if (read_exactly(pipes.report.read_end.get(), &failure, sizeof failure)) {
            return launch.explain(failure);
        }
        return id;
    }

    Result<RunResult> run(const RunOptions& options, const Context& context) override {
        return run_program(options, context);
    }

    std::optional<ProcessInfo> inspect(int pid) override {
        auto info = read_process(pid);
        if (!info || info->state == 'Z' || info->state == 'X') return std::nullopt;
        return info;
    }

    bool is_alive(const ProcessId& id) override {
        const auto info = inspect(id.pid);
        return info && info->id == id;
    }

    Status signal(const ProcessId& id, int signal_number) override {
        const std::string what = fmt::format("signal process {}", id.pid);
        if (id.pid <= 1) return make_error(ErrorCode::kUsage, fmt::format("{}: refused", what));
        const Descriptor handle = open_handle(id.pid);
        if (!handle.is_open()) return file_error(errno, what);
        if (!is_alive(id)) return make_error(ErrorCode::kNotFound, fmt::format("{}: it is gone", what));
        if (::syscall(SYS_pidfd_send_signal, handle.get(), signal_number, nullptr, 0) != 0) {
            return file_error(errno, what);
        }
        return {};
    }

    bool wait_gone(const ProcessId& id, const Context& context) override {
        const Descriptor handle = open_handle(id.pid);
        if (!is_alive(id)) return true;
        if (!handle.is_open()) return false;
        return wait_ready(handle.get(), POLLIN, context, "wait for a process").has_value();
    }

    std::vector<ProcessInfo> list() override { return read_processes(); }
    std::vector<std::string> environment_of(int pid) override { return read_environment(pid); }
    std::uint32_t effective_uid() override { return ::geteuid(); }
    int own_pid() override { return ::getpid(); }

    Result<User> find_user(const std::string& name) override {
        std::vector<char> buffer(1 << 14);
        passwd entry{};
        passwd* found = nullptr;
        const int code = ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
        if (found == nullptr) {
            if (code != 0 && code != ENOENT) return file_error(code, fmt::format("look up user '{}'", name));
            return make_error(ErrorCode::kNotFound, fmt::format("there is no user '{}'", name));
        }
        return User{entry.pw_name, {entry.pw_uid, entry.pw_gid}, entry.pw_dir};
    }

    std::optional<std::string> find_program(const std::string& name,
                                            const std::vector<std::string>& extra_directories) override {
        const char* path = std::getenv("PATH");
        std::vector<std::string> directories = path_directories(path != nullptr ? path : "");
        directories.insert(directories.end(), extra_directories.begin(), extra_directories.end());
        for (const char* directory : {"/usr/sbin", "/usr/bin", "/sbin", "/bin"}) {
            directories.emplace_back(directory);
        }
        auto found = search_program(name, directories);
        char absolute[PATH_MAX];
        if (found && found->front() != '/' && ::realpath(found->c_str(), absolute) != nullptr) {
            return std::string(absolute);
        }
        return found;
    }

    std::string own_executable() override {
        char target[PATH_MAX];
        const ssize_t length = ::readlink("/proc/self/exe", target, sizeof target);
        return length > 0 ? std::string(target, static_cast<std::size_t>(length)) : std::string();
    }

  private:
    static Descriptor open_handle(int pid) {
        return Descriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    }
};

}  // namespace

std::unique_ptr<Processes> make_posix_processes() { return std::make_unique<PosixProcesses>(); }

}  // namespace aeterna::env
