#include "postgres/capture/timeline_history.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/strings.h"
#include "postgres/client/wal.h"

namespace aeterna::postgres {
namespace {

constexpr std::string_view kWalLogPrefix = "postgres-", kHistory = ".history";
constexpr std::size_t kTimelineDigits = 8;

std::optional<Timeline> parse_timeline(std::string_view digits) {
    if (digits.size() != kTimelineDigits) return std::nullopt;
    // A segment's name begins with the timeline in the same form.
    const auto name = parse_wal_segment_name(std::string(digits) + "0000000000000000");
    return name ? std::optional(name->timeline) : std::nullopt;
}

Error not_a_history(Timeline of, std::string_view line) {
    return make_error(ErrorCode::kProtocol,
                      fmt::format("the history of timeline {} has the line '{}'", of, one_line(line)));
}

}  // namespace

Result<std::vector<TimelineSwitch>> parse_timeline_history(std::string_view text, Timeline of) {
    std::vector<TimelineSwitch> switches;
    for (const std::string_view line : split(text, '\n')) {
        const std::string_view content = trim(line);
        if (content.empty() || content.front() == '#') continue;
        const std::size_t number_end = std::min(content.find_first_of(" \t"), content.size());
        const auto timeline = to_integer(content.substr(0, number_end));
        const std::string_view rest = trim(content.substr(number_end));
        const auto at = parse_lsn(rest.substr(0, std::min(rest.find_first_of(" \t"), rest.size())));
        if (!timeline || *timeline <= 0 || *timeline >= of || !at) return not_a_history(of, content);
        const bool rises = switches.empty() || (*timeline > switches.back().timeline && *at >= switches.back().at);
        if (!rises) return not_a_history(of, content);
        switches.push_back({static_cast<Timeline>(*timeline), *at});
    }
    return switches;
}

std::optional<std::string> history_of_ancestor(std::string_view text, Timeline of) {
    const std::string line = fmt::format("{}\t", of);
    for (std::size_t at = 0; at < text.size();) {
        if (text.substr(at).starts_with(line)) {
            const bool has_gap = at >= 2 && text[at - 2] == '\n';
            return std::string(text.substr(0, has_gap ? at - 1 : at));
        }
        const std::size_t end = text.find('\n', at);
        if (end == std::string_view::npos) break;
        at = end + 1;
    }
    return std::nullopt;
}

std::string history_file_name(Timeline timeline) { return fmt::format("{:08X}.history", timeline); }

std::optional<Timeline> parse_history_file_name(std::string_view name) {
    if (!name.ends_with(kHistory)) return std::nullopt;
    return parse_timeline(name.substr(0, name.size() - kHistory.size()));
}

std::string wal_log_name(const WalLog& log) {
    return fmt::format("{}{}-{:08X}", kWalLogPrefix, log.system_identifier, log.timeline);
}

std::optional<WalLog> parse_wal_log_name(std::string_view name) {
    if (!name.starts_with(kWalLogPrefix) || name.size() < kWalLogPrefix.size() + kTimelineDigits + 2) return std::nullopt;
    const std::string_view rest = name.substr(kWalLogPrefix.size());
    const std::size_t dash = rest.size() - kTimelineDigits - 1;
    const auto timeline = parse_timeline(rest.substr(dash + 1));
    const std::string_view system = rest.substr(0, dash);
    const bool is_number = std::all_of(system.begin(), system.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (rest[dash] != '-' || !timeline || !is_number) return std::nullopt;
    return WalLog{std::string(system), *timeline};
}

}  // namespace aeterna::postgres
