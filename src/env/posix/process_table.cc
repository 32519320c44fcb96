#include "env/posix/process_table.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <climits>
#include <cstdint>

#include "base/strings.h"
#include "env/posix/descriptor_io.h"
#include "env/posix/errors.h"

namespace aeterna::env {
namespace {

// Files of /proc have no size: read to the end.
std::optional<std::string> slurp(const std::string& path) {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.is_open()) return std::nullopt;
    auto text = read_to_end(file.get(), SIZE_MAX, path);
    if (!text) return std::nullopt;
    return std::move(*text);
}

// The effective one of "Uid:\treal\teffective\t…".
std::uint32_t effective_uid_of(int pid) {
    const auto text = slurp(fmt::format("/proc/{}/status", pid));
    if (!text) return 0;
    for (const std::string_view line : split(*text, '\n')) {
        if (line.substr(0, 5) != "Uid:\t") continue;
        const auto fields = split(line, '\t');
        if (fields.size() > 2) return static_cast<std::uint32_t>(to_integer(fields[2]).value_or(0));
    }
    return 0;
}

std::string working_directory_of(int pid) {
    char target[PATH_MAX];
    const ssize_t length =
        ::readlink(fmt::format("/proc/{}/cwd", pid).c_str(), target, sizeof target);
    return length > 0 ? std::string(target, static_cast<std::size_t>(length)) : std::string();
}

}  // namespace

std::optional<ProcessInfo> parse_stat(std::string_view text) {
    const std::size_t open = text.find('(');
    const std::size_t close = text.rfind(')');
    if (open == std::string_view::npos || close == std::string_view::npos || close < open) return std::nullopt;
    const auto fields = split(trim(text.substr(close + 1)), ' ');  // fields[0] is field 3 of proc(5)
    constexpr std::size_t kState = 0, kParent = 1, kGroup = 5 - 3, kThreads = 20 - 3, kStart = 22 - 3;
    const auto pid = to_integer(trim(text.substr(0, open)));
    if (fields.size() <= kStart || !pid || fields[kState].empty()) return std::nullopt;
    const auto parent = to_integer(fields[kParent]);
    const auto group = to_integer(fields[kGroup]);
    const auto start = to_integer(fields[kStart]);
    if (!parent || !group || !start) return std::nullopt;
    ProcessInfo info;
    info.id = {static_cast<int>(*pid), static_cast<std::uint64_t>(*start)};
    info.parent_pid = static_cast<int>(*parent);
    info.group = static_cast<int>(*group);
    info.state = fields[kState].front();
    // Its first thread has ended but others still run, and hold its sockets: the process is not gone yet.
    if (info.state == 'Z' && to_integer(fields[kThreads]).value_or(1) > 1) info.state = 'R';
    info.command = text.substr(open + 1, close - open - 1);
    return info;
}

std::optional<ProcessInfo> read_process(int pid) {
    if (pid <= 0) return std::nullopt;
    const auto text = slurp(fmt::format("/proc/{}/stat", pid));
    if (!text) return std::nullopt;
    auto info = parse_stat(*text);
    if (!info) return std::nullopt;
    info->uid = effective_uid_of(pid);
    info->working_directory = working_directory_of(pid);
    return info;
}

std::vector<ProcessInfo> read_processes() {
    std::vector<ProcessInfo> processes;
    DIR* directory = ::opendir("/proc");
    if (directory == nullptr) return processes;
    while (const dirent* entry = ::readdir(directory)) {
        const auto pid = to_integer(entry->d_name);
        if (!pid) continue;
        if (auto info = read_process(static_cast<int>(*pid))) processes.push_back(std::move(*info));
    }
    ::closedir(directory);
    return processes;
}

std::vector<std::string> read_environment(int pid) {
    std::vector<std::string> entries;
    const auto text = slurp(fmt::format("/proc/{}/environ", pid));
    if (!text) return entries;
    for (const std::string_view entry : split(*text, '\0')) {
        if (!entry.empty()) entries.emplace_back(entry);
    }
    return entries;
}

}  // namespace aeterna::env
