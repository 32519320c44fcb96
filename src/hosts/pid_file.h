// What a pid file says, as a value. Two forms: "PID\n[START_TICKS\n]" (ours, and what most servers write) and
// PostgreSQL's postmaster.pid (src/include/utils/pidfile.h: pid, data directory, start time, port, …).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace aeterna::hosts {

struct PidFile {
    int pid = 0;
    std::optional<std::uint64_t> start_ticks;  // names one process for good
    std::string data_directory;                // of postmaster.pid: the server's working directory
};

// Nothing when the first line is no pid of an ordinary process (2 or more).
[[nodiscard]] std::optional<PidFile> parse_pid_file(std::string_view text);

}  // namespace aeterna::hosts
