#include "env/posix/launch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/strings.h"

extern char** environ;

namespace aeterna::env {
namespace {

constexpr unsigned kCloseRangeCloexec = 1U << 2;  // close_range(2)
constexpr int kFirstInherited = 3;

bool is_executable_file(const std::string& path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

std::vector<std::string> build_environment(const LaunchOptions& options) {
    std::map<std::string, std::string> variables;
    if (options.inherit_environment) {
        for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
            const std::string_view text(*entry);
            const std::size_t equal = text.find('=');
            if (equal == std::string_view::npos) continue;
            variables[std::string(text.substr(0, equal))] = text.substr(equal + 1);
        }
    }
    if (options.user) {
        variables["HOME"] = options.user->home;
        variables["USER"] = options.user->name;
        variables["LOGNAME"] = options.user->name;
    }
    for (const auto& [name, value] : options.environment) variables[name] = value;
    std::vector<std::string> entries;
    for (const auto& [name, value] : variables) entries.push_back(fmt::format("{}={}", name, value));
    return entries;
}

std::string path_of(const std::vector<std::string>& environment) {
    for (const std::string& entry : environment) {
        if (entry.rfind("PATH=", 0) == 0) return entry.substr(5);
    }
    return "";
}

std::vector<gid_t> groups_of(const User& user) {
    int count = 64;
    std::vector<gid_t> groups(static_cast<std::size_t>(count));
    if (::getgrouplist(user.name.c_str(), user.owner.gid, groups.data(), &count) < 0) {
        groups.resize(static_cast<std::size_t>(count));
        if (::getgrouplist(user.name.c_str(), user.owner.gid, groups.data(), &count) < 0) {
            return {user.owner.gid};
        }
    }
    groups.resize(static_cast<std::size_t>(count));
    return groups;
}

// The raw system calls: glibc's wrappers would signal the parent's threads, which this child has not.
bool become(const User& user, const std::vector<gid_t>& groups) {
    const auto uid = user.owner.uid;
    const auto gid = user.owner.gid;
    if (::geteuid() == uid && uid != 0) return true;
    return ::syscall(SYS_setgroups, groups.size(), groups.data()) == 0 &&
           ::syscall(SYS_setresgid, gid, gid, gid) == 0 && ::syscall(SYS_setresuid, uid, uid, uid) == 0;
}

void reset_signals() {
    struct sigaction defaults {};
    defaults.sa_handler = SIG_DFL;
    for (int number = 1; number < NSIG; ++number) ::sigaction(number, &defaults, nullptr);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

void close_inherited_on_exec() {
    if (::syscall(SYS_close_range, kFirstInherited, ~0U, kCloseRangeCloexec) == 0) return;
    const long open_max = ::sysconf(_SC_OPEN_MAX);
    for (int descriptor = kFirstInherited; descriptor < open_max; ++descriptor) {
        ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    }
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> result;
    for (std::string& text : texts) result.push_back(text.data());
    result.push_back(nullptr);
    return result;
}

Descriptor above_standard(int descriptor) {
    if (descriptor < 0 || descriptor >= kFirstInherited) return Descriptor(descriptor);
    const Descriptor low(descriptor);
    return Descriptor(::fcntl(descriptor, F_DUPFD_CLOEXEC, kFirstInherited));
}

}  // namespace

std::optional<std::string> search_program(const std::string& name,
                                          const std::vector<std::string>& directories) {
    if (name.find('/') != std::string::npos) {
        if (is_executable_file(name)) return name;
        return std::nullopt;
    }
    for (const std::string& directory : directories) {
        std::string path = directory + "/" + name;
        if (is_executable_file(path)) return path;
    }
    return std::nullopt;
}

std::vector<std::string> path_directories(const std::string& path) {
    std::vector<std::string> directories;
    for (const std::string_view part : split(path, ':')) {
        // Relative entries would depend on where we stand.
        if (!part.empty() && part.front() == '/') directories.emplace_back(part);
    }
    return directories;
}

Result<Launch> Launch::prepare(LaunchOptions options) {
    if (options.argv.empty() || options.argv.front().empty()) {
        return make_error(ErrorCode::kUsage, "no program to start was given");
    }
    Launch launch;
    launch.options_ = std::move(options);
    launch.environment_ = build_environment(launch.options_);
    const std::string& name = launch.options_.argv.front();
    if (name.find('/') != std::string::npos) {
        launch.program_ = name;  // exec itself says best what is wrong with it
    } else if (auto found = search_program(name, path_directories(path_of(launch.environment_)))) {
        launch.program_ = *found;
    } else {
        return make_error(ErrorCode::kNotFound, fmt::format("program '{}' was not found", name),
                          "Install it, or add its directory to PATH.");
    }
    if (launch.options_.user) launch.groups_ = groups_of(*launch.options_.user);
    launch.argv_pointers_ = pointers(launch.options_.argv);
    launch.environment_pointers_ = pointers(launch.environment_);
    return launch;
}

void Launch::execute(int report) const {
    const auto fail = [report](LaunchFailure::Stage stage) {
        const LaunchFailure failure{stage, errno};
        [[maybe_unused]] const ssize_t ignored = ::write(report, &failure, sizeof failure);
        ::_exit(127);
    };
    reset_signals();
    if (options_.user && !become(*options_.user, groups_)) fail(LaunchFailure::kUser);
    if (::chdir(options_.working_directory.c_str()) != 0) fail(LaunchFailure::kDirectory);
    close_inherited_on_exec();
    // Behind the change of user, which clears it (PR_SET_PDEATHSIG(2const)); it may be too late already.
    if (options_.ends_with != 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (::getppid() != options_.ends_with) ::_exit(127);
    }
    ::execve(program_.c_str(), argv_pointers_.data(), environment_pointers_.data());
    fail(LaunchFailure::kExec);
    ::_exit(127);
}

Error Launch::explain(const LaunchFailure& failure) const {
    switch (failure.stage) {
        case LaunchFailure::kUser:
            return file_error(failure.error_number,
                              fmt::format("become user '{}'", options_.user ? options_.user->name : ""));
        case LaunchFailure::kDirectory:
            return file_error(failure.error_number,
                              fmt::format("enter directory '{}'", options_.working_directory));
        default: return file_error(failure.error_number, fmt::format("start '{}'", program_));
    }
}

Result<Pipe> make_pipe() {
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) != 0) return file_error(errno, "make a pipe");
    Pipe pipe{above_standard(ends[0]), above_standard(ends[1])};
    if (!pipe.read_end.is_open() || !pipe.write_end.is_open()) return file_error(errno, "make a pipe");
    return pipe;
}

Descriptor open_high(const char* path, int flags, mode_t mode) {
    return above_standard(::open(path, flags | O_CLOEXEC, mode));
}

bool read_exactly(int descriptor, void* buffer, std::size_t size) {
    char* next = static_cast<char*>(buffer);
    while (size > 0) {
        const ssize_t got = ::read(descriptor, next, size);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        next += got;
        size -= static_cast<std::size_t>(got);
    }
    return true;
}

}  // namespace aeterna::env
