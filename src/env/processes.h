// The port to local processes. A process is named by pid and start time, never by pid alone: pids are reused.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "env/context.h"
#include "env/files.h"

namespace aeterna::env {

struct ProcessId {
    int pid = 0;
    std::uint64_t start_ticks = 0;  // field 22 of /proc/PID/stat (proc(5)): clock ticks after boot
    friend bool operator==(const ProcessId&, const ProcessId&) = default;
};

struct ProcessInfo {
    ProcessId id;
    int parent_pid = 0;
    char state = '?';  // R, S, D, T (stopped), Z (zombie): proc(5)
    std::uint32_t uid = 0;
    std::string command;            // /proc/PID/comm
    std::string working_directory;  // empty when not readable
    int group = 0;                  // its process group
};

struct User {
    std::string name;
    Owner owner;
    std::string home;
};

struct SpawnOptions {
    std::vector<std::string> argv;                   // argv[0] is looked up in PATH
    std::map<std::string, std::string> environment;  // added to (or replacing) the inherited one
    bool inherit_environment = true;
    std::string working_directory = "/";
    std::string log_path;       // stdout and stderr, appended; empty = /dev/null
    std::optional<User> user;   // drops privileges before exec; needs root
};

struct RunOptions {
    std::vector<std::string> argv;
    std::map<std::string, std::string> environment;
    bool inherit_environment = true;
    std::string working_directory = "/";
    std::string input;
    std::optional<User> user;
    std::size_t output_limit_bytes = 4 << 20;
    // For streams that no memory holds; both are called by the calling thread, and an error of either ends the program.
    std::function<Status(std::string_view)> on_output;  // gets stdout piece by piece, in place of RunResult::output
    std::function<Result<std::string>()> next_input;    // asked when `input` has gone; empty is the end
    // A program that neither writes nor takes anything for so long is killed (kTimeout); 0 for no such limit.
    Duration longest_silence{};
};

struct RunResult {
    int exit_status = -1;  // -1 when it was ended by a signal
    int signal = 0;
    std::string output;  // stdout
    std::string errors;  // stderr
};

class Processes {
  public:
    virtual ~Processes() = default;
    // Starts a daemon: own session, no controlling terminal, no inherited descriptors, survives this process
    // and leaves no zombie to it. Returns once exec has succeeded; kNotFound, kPermission or kIo otherwise.
    [[nodiscard]] virtual Result<ProcessId> spawn(const SpawnOptions& options) = 0;
    // Runs to the end; at the deadline the whole process group is ended (SIGTERM, half a second later SIGKILL) and kDeadline
    // returned. When we are killed, the program gets SIGTERM.
    [[nodiscard]] virtual Result<RunResult> run(const RunOptions& options, const Context& context) = 0;
    // Nothing when there is no such process or it is a zombie.
    [[nodiscard]] virtual std::optional<ProcessInfo> inspect(int pid) = 0;
    [[nodiscard]] virtual bool is_alive(const ProcessId& id) = 0;
    // By pidfd, after comparing the start time. kNotFound when that process is gone.
    virtual Status signal(const ProcessId& id, int signal_number) = 0;
    // True when it is gone (a zombie counts as gone) before the deadline.
    virtual bool wait_gone(const ProcessId& id, const Context& context) = 0;
    // Every process that this user may see.
    [[nodiscard]] virtual std::vector<ProcessInfo> list() = 0;
    // "NAME=value" entries of /proc/PID/environ; empty when not readable.
    [[nodiscard]] virtual std::vector<std::string> environment_of(int pid) = 0;
    [[nodiscard]] virtual std::uint32_t effective_uid() = 0;
    [[nodiscard]] virtual int own_pid() = 0;
    // kNotFound when there is no such account.
    [[nodiscard]] virtual Result<User> find_user(const std::string& name) = 0;
    // Absolute path of an executable in PATH or in `extra_directories`; nothing when there is none.
    [[nodiscard]] virtual std::optional<std::string> find_program(
        const std::string& name, const std::vector<std::string>& extra_directories = {}) = 0;
    // Absolute path of the running executable.
    [[nodiscard]] virtual std::string own_executable() = 0;
};

}  // namespace aeterna::env
