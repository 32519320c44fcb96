#include "app/daemon/orphans.h"

#include <fmt/format.h>

#include "report/post_mortem_file.h"
#include "stack/healing.h"

namespace aeterna::app {
namespace {

constexpr Duration kOrphanLookEvery = std::chrono::seconds(5);
// A store that is away keeps its leftovers for now; a new drill must find the lock free most of the
// time.
constexpr Duration kHealRetryAfter = std::chrono::minutes(1);
constexpr Duration kLimit = std::chrono::minutes(5);

bool is_anything_left(engine::Journal& journal) {
    const auto faults = journal.unhealed_faults();
    if (faults && !faults->empty()) return true;
    const auto drills = journal.unfinished_drills();
    return drills && !drills->empty();
}

// False when something was left for the next time.
bool look_once(const OpenStack& open, engine::Journal& journal, const env::Env& env,
               const std::stop_token& stop) {
    if (!is_anything_left(journal)) return true;
    // Taken only when there is something to do: a drill must not find it held.
    const auto lock = stack::lock_drills(open.stack, env);
    if (!lock && lock.error().code == ErrorCode::kLocked) return true;  // a drill runs
    Status done;
    if (!lock) {
        done = lock.error();
    } else {
        const auto progress = [&](const std::string& line) {
            env.log.warning("drill.orphan", {{"what", line}});
        };
        const auto ended =
            end_orphans(open, journal, progress, env, {env.clock.now() + kLimit, stop, "orphans"});
        if (!ended) done = ended.error();
    }
    if (!done) env.log.error("drill.orphan_left", {{"error", done.error().to_string()}});
    return done.has_value();
}

}  // namespace

Result<stack::Aftermath> end_orphans(const OpenStack& open, engine::Journal& journal,
                                     const std::function<void(const std::string&)>& progress,
                                     const env::Env& env, const env::Context& context) {
    const stack::DeadDrillParts parts{open.stack, journal, [&open] { return drill_stores(open); },
                                      progress, env};
    auto aftermath = stack::end_dead_drills(parts, context);
    if (!aftermath) return aftermath;
    for (const std::string& drill : aftermath->closed) {
        const report::PostMortemFile file(drill, open.stack, journal, env);
        const auto written = file.write();
        progress(written ? fmt::format("the post-mortem of drill {}: {}", drill, file.path())
                         : fmt::format("the post-mortem could not be written: {}",
                                       written.error().to_string()));
    }
    if (aftermath->left) return *aftermath->left;
    return aftermath;
}

std::unique_ptr<env::Thread> watch_orphans(const OpenStack& open, engine::Journal& journal,
                                           const env::Env& env) {
    return env.threads.start("orphans", [&open, &journal, &env](const std::stop_token& stop) {
        Duration pause = kOrphanLookEvery;
        while (env.clock.sleep_for(pause, stop)) {
            pause = look_once(open, journal, env, stop) ? kOrphanLookEvery : kHealRetryAfter;
        }
    });
}

}  // namespace aeterna::app
