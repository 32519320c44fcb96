#include "postgres/capture/node_clocks.h"

#include <fmt/format.h>

#include <cmath>
#include <optional>

#include "base/strings.h"
#include "base/time.h"

namespace aeterna::postgres {
namespace {

constexpr Duration kOneQuestion = std::chrono::seconds(1);
constexpr double kOff = 1.0;  // less is the question's own time on a busy machine

std::optional<double> seconds_since_epoch(env::SqlConnection& session, const env::Context& context) {
    const auto told = session.query("SELECT extract(epoch FROM clock_timestamp())::text", {}, context);
    return told ? to_number(told->first().value_or("")) : std::nullopt;
}

}  // namespace

std::map<std::string, double> ask_clocks(const Settings& settings, const env::Env& env, const env::Context& context) {
    std::map<std::string, double> ahead;
    for (const NodeSettings& node : settings.nodes) {
        const env::Context brief = env.clock.within(kOneQuestion, context);
        auto session = env.sql.connect(settings.sql_target(node.address), brief);
        if (!session) continue;
        const WallTime asked = env.clock.wall_now();
        const auto told = seconds_since_epoch(**session, brief);
        const WallTime heard = env.clock.wall_now();
        if (told) ahead[node.name] = *told - to_seconds((asked + (heard - asked) / 2).time_since_epoch());
    }
    return ahead;
}

std::vector<std::string> clocks_that_are_off(const std::map<std::string, double>& seconds_ahead) {
    std::vector<std::string> lines;
    for (const auto& [node, seconds] : seconds_ahead) {
        if (std::abs(seconds) <= kOff) continue;
        lines.push_back(fmt::format("the clock of '{}' was {} {} that of the machine that took the backup: commits carry the time "
                                    "of the primary's clock", node, format_duration(std::abs(seconds)), seconds > 0 ? "ahead of" : "behind"));
    }
    return lines;
}

}  // namespace aeterna::postgres
