#include "hosts/pid_file.h"

#include <limits>

#include "base/strings.h"

namespace aeterna::hosts {

std::optional<PidFile> parse_pid_file(std::string_view text) {
    const auto lines = split(text, '\n');
    const auto pid = to_integer(trim(lines.front()));
    if (!pid || *pid < 2 || *pid > std::numeric_limits<int>::max()) return std::nullopt;
    PidFile file;
    file.pid = static_cast<int>(*pid);
    if (lines.size() < 2) return file;
    const std::string_view second = trim(lines[1]);
    if (const auto ticks = to_integer(second); ticks && *ticks > 0) {
        file.start_ticks = static_cast<std::uint64_t>(*ticks);
    } else if (!second.empty() && second.front() == '/') {
        file.data_directory = second;
    }
    return file;
}

}  // namespace aeterna::hosts
