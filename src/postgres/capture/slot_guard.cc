// The receiver makes the slot anew once it streams again; whether WAL was lost, it says then ("capture.hole").
#include "postgres/capture/slot_guard.h"

#include <fmt/format.h>

#include "postgres/capture/keeper.h"
#include "postgres/client/wal.h"

namespace aeterna::postgres {
namespace {

constexpr Duration kGuardEvery = std::chrono::seconds(5);
constexpr Duration kGuardTimeout = std::chrono::seconds(10);

class SlotGuard final : public engine::CaptureGuard {
  public:
    SlotGuard(const Settings& settings, const env::Env& env, const engine::CaptureVoice& voice)
        : settings_(settings), env_(env), voice_(voice), teller_(voice_.tell), sessions_(settings, env) {}

    void run(const std::stop_token& stop) override {
        while (env_.clock.sleep_for(kGuardEvery, stop)) {
            for (const NodeSettings& node : settings_.nodes) {
                const Status done = look(node, {env_.clock.now() + kGuardTimeout, stop, "slot guard"});
                // Others watch over nodes that are down.
                if (!done && done.error().code == ErrorCode::kPermission) teller_.say(node.name, said(done.error()));
            }
        }
    }

  private:
    Status look(const NodeSettings& node, const env::Context& context) {
        AETERNA_ASSIGN(const auto position, sessions_.slot_position(node, context));
        if (!position) return {};
        AETERNA_ASSIGN(const SourceView view, sessions_.look(node, context));
        if (view.end <= *position || view.end - *position <= settings_.slot_limit) return {};
        AETERNA_ASSIGN(const bool is_dropped, sessions_.drop_slot(node, context));
        if (!is_dropped) return {};
        const std::string line =
            fmt::format("dropped the slot '{}' on '{}': it held {} MiB of WAL, from {} on, and slot_limit is {} MiB", settings_.slot,
                        node.name, (view.end - *position) >> 20, format_lsn(*position), settings_.slot_limit >> 20);
        voice_.tell(line);
        voice_.report({"capture.slot_dropped", node.name, line});
        return {};
    }

    const Settings& settings_;
    const env::Env& env_;
    const engine::CaptureVoice voice_;
    Teller teller_;
    NodeSessions sessions_;
};

}  // namespace

std::unique_ptr<engine::CaptureGuard> make_slot_guard(const Settings& settings, const env::Env& env,
                                                      const engine::CaptureVoice& voice) {
    return std::make_unique<SlotGuard>(settings, env, voice);
}

}  // namespace aeterna::postgres
