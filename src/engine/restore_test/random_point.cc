#include "engine/restore_test/random_point.h"

#include <fmt/format.h>

#include <random>

#include "base/strings.h"

namespace aeterna::engine {
namespace {

using std::chrono::milliseconds;

// The milliseconds of a window that can be asked for: its end proves only what is before it.
struct Span {
    WallTime first{};
    std::uint64_t count = 0;
};

Span span_of(const RecoveryWindow& window) {
    if (!window.earliest || !window.until || *window.until <= *window.earliest) return {};
    const auto first = std::chrono::ceil<milliseconds>(*window.earliest), end = std::chrono::ceil<milliseconds>(*window.until);
    return {WallTime(first), static_cast<std::uint64_t>((end - first).count())};
}

RandomPoint point_in(const RecoveryWindow& window, std::string to, bool has_timeline) {
    return {std::move(to), has_timeline ? std::to_string(window.timeline) : "", window.series, window.cluster};
}

Result<RandomPoint> draw_backup(const std::vector<RecoveryWindow>& windows, std::mt19937_64& random) {
    std::vector<std::pair<const RecoveryWindow*, std::string>> all;
    for (const RecoveryWindow& window : windows) {
        for (const std::string& backup : window.backups) all.emplace_back(&window, backup);
    }
    if (all.empty()) {
        return make_error(ErrorCode::kNotFound, "there is no backup to draw from", "'aeterna-dr recovery-points' shows what there is.");
    }
    const auto& [window, backup] = all[random() % all.size()];
    return point_in(*window, backup, false);
}

}  // namespace

Status keep_windows(std::vector<RecoveryWindow>& windows, const RestoreOrder& order) {
    const auto timeline = order.timeline.empty() ? 0 : to_integer(order.timeline).value_or(-1);
    if (timeline < 0) {
        return make_error(ErrorCode::kUsage, fmt::format("'{}' is no timeline", one_line(order.timeline)), "Write its number, as 'aeterna-dr recovery-points' has it.");
    }
    const bool had_any = !windows.empty();
    std::erase_if(windows, [&](const RecoveryWindow& window) {
        return (!order.series.empty() && window.series != order.series) || (!order.cluster.empty() && window.cluster != order.cluster) ||
               (timeline > 0 && window.timeline != timeline);
    });
    if (!had_any || !windows.empty()) return {};
    return make_error(ErrorCode::kNotFound, "nothing that can be restored is of this name, cluster and timeline",
                      "'aeterna-dr recovery-points' shows what there is.");
}

Result<RandomPoint> draw_point(const std::vector<RecoveryWindow>& windows, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::uint64_t total = 0;
    for (const RecoveryWindow& window : windows) total += span_of(window).count;
    if (total == 0) return draw_backup(windows, random);
    std::uint64_t at = random() % total;
    for (const RecoveryWindow& window : windows) {
        const Span span = span_of(window);
        if (at < span.count) return point_in(window, format_time(span.first + milliseconds(at)), true);
        at -= span.count;
    }
    return make_error(ErrorCode::kInternal, "a point behind every window was drawn");
}

}  // namespace aeterna::engine
