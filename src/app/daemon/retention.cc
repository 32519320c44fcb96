#include "app/daemon/retention.h"

#include <string>

namespace aeterna::app {
namespace {

constexpr Duration kFirstAfter = std::chrono::minutes(1);
constexpr Duration kEvery = std::chrono::hours(24);
// Between two batches others get at the journal.
constexpr Duration kPause = std::chrono::milliseconds(200);

void forget(const config::Stack& stack, engine::Journal& journal, const env::Env& env,
            const std::stop_token& stop) {
    const WallTime before =
        env.clock.wall_now() - std::chrono::duration_cast<WallTime::duration>(stack.journal_keep);
    std::size_t total = 0;
    do {
        const auto removed = journal.prune(before);
        if (!removed) {
            env.log.warning("journal.prune_failed", {{"error", removed.error().to_string()}});
            return;
        }
        if (*removed == 0) break;
        total += *removed;
    } while (env.clock.sleep_for(kPause, stop));
    if (total > 0) env.log.info("journal.pruned", {{"records", std::to_string(total)}});
}

}  // namespace

std::unique_ptr<env::Thread> forget_daily(const config::Stack& stack, engine::Journal& journal,
                                          const env::Env& env) {
    return env.threads.start("retention", [&stack, &journal, &env](const std::stop_token& stop) {
        for (Duration pause = kFirstAfter; env.clock.sleep_for(pause, stop); pause = kEvery) {
            forget(stack, journal, env, stop);
        }
    });
}

}  // namespace aeterna::app
