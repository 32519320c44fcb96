#include "engine/capture/log_merger.h"

#include <fmt/format.h>

#include "repository/log_segments.h"

namespace aeterna::engine {
namespace {

constexpr Duration kMergeTimeout = std::chrono::minutes(30);

}  // namespace

void keep_logs_merged(repository::Repository& repository, const env::Env& env, const LogMergerSettings& settings,
                      const std::stop_token& stop) {
    std::set<std::string> due;  // beside those that grow: not merged to their end yet
    bool has_listed = false;
    while (env.clock.sleep_for(settings.every, stop)) {
        const env::Context context{env.clock.now() + kMergeTimeout, stop, "merge"};
        if (!has_listed) {
            const auto names = repository::list_logs(repository, context);
            if (names) due.insert(names->begin(), names->end());
            has_listed = names.has_value();
        }
        const std::set<std::string> growing = settings.growing();
        due.insert(growing.begin(), growing.end());
        std::set<std::string> left = growing;
        for (const std::string& log : due) {
            const auto growth = growing.contains(log) ? repository::LogGrowth::kGrows : repository::LogGrowth::kHasEnded;
            const auto merged = repository::merge_log(repository, log, growth, context);
            if (stop.stop_requested()) return;
            if (merged) continue;
            settings.tell(fmt::format("the log '{}' cannot be merged: {}", log, merged.error().to_string()));
            left.insert(log);
        }
        due = std::move(left);
    }
}

}  // namespace aeterna::engine
