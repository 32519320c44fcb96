// Starting a program in a forked child. All that allocates happens before fork: between fork and exec of a
// program with threads only async-signal-safe calls are allowed (signal-safety(7)).
#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "env/posix/errors.h"
#include "env/processes.h"

namespace aeterna::env {

// Absolute path of an executable file: `name` itself when it has a slash, else looked up in the directories.
[[nodiscard]] std::optional<std::string> search_program(const std::string& name,
                                                        const std::vector<std::string>& directories);
// The absolute directories of a PATH.
[[nodiscard]] std::vector<std::string> path_directories(const std::string& path);

// What a child reports when it could not become the program.
struct LaunchFailure {
    enum Stage : int { kSetup, kUser, kDirectory, kExec };
    int stage = kSetup;
    int error_number = 0;
};

struct LaunchOptions {
    std::vector<std::string> argv;
    std::map<std::string, std::string> environment;
    bool inherit_environment = true;
    std::string working_directory;
    std::optional<User> user;
    pid_t ends_with = 0;  // the parent whose death ends the program too, by SIGTERM; 0: it outlives us
};

class Launch {
  public:
    // kUsage without argv, kNotFound when the program is nowhere.
    [[nodiscard]] static Result<Launch> prepare(LaunchOptions options);

    // In the child, with its three standard descriptors in place: default signals, user, directory, exec. On
    // failure writes a LaunchFailure to `report` and exits.
    [[noreturn]] void execute(int report) const;
    // The Error for what a child reported; for the parent.
    [[nodiscard]] Error explain(const LaunchFailure& failure) const;

  private:
    LaunchOptions options_;
    std::string program_;
    std::vector<std::string> environment_;
    std::vector<gid_t> groups_;
    std::vector<char*> argv_pointers_;
    std::vector<char*> environment_pointers_;
};

struct Pipe {
    Descriptor read_end;
    Descriptor write_end;
};
// Close-on-exec, both ends above the standard descriptors.
[[nodiscard]] Result<Pipe> make_pipe();
// Opens above the standard descriptors; -1 with errno otherwise.
[[nodiscard]] Descriptor open_high(const char* path, int flags, mode_t mode = 0);

// Reads exactly `size` bytes; false at the end or on an error.
[[nodiscard]] bool read_exactly(int descriptor, void* buffer, std::size_t size);

}  // namespace aeterna::env
