// Looking at the stack from a command: through a serve that answers, else with a round of probes of our own.
#pragma once

#include <memory>

#include "app/cli/render_status.h"
#include "app/cli/session.h"
#include "app/daemon/forecast.h"
#include "app/daemon/orders.h"
#include "app/daemon/watcher.h"

namespace aeterna::app {

// What serve says, within `context`. kConfiguration when it answers for another stack, or none is configured;
// kUnavailable when it has no fresh judgement.
[[nodiscard]] Result<engine::StackStatus> ask_serve(const config::Stack& stack, const env::Env& env,
                                                    const env::Context& context);

// What the journal says beside a look of our own.
struct Journaled {
    Orders orders;
    std::vector<engine::IncidentSummary> open_incidents;
    std::string unreadable;  // why nothing of it is known; empty when it was read, or when there is no journal yet
};
[[nodiscard]] Journaled read_journaled(const config::Stack& stack, const env::Env& env);

class Look {
  public:
    Look(const OpenStack& open, const env::Env& env) : open_(open), env_(env) {}
    // At most 0.4 s for serve, then at most 1.5 s of probing. kDeadline or kCancelled by `context`.
    [[nodiscard]] Result<StatusView> now(const env::Context& context);

  private:
    [[nodiscard]] engine::StackStatus probe(const env::Context& context, std::vector<std::string>& notices);

    const OpenStack& open_;
    const env::Env& env_;
    Forecasts forecasts_;
    std::optional<MonoTime> forecast_at_;
    std::unique_ptr<Watcher> watcher_;  // kept between looks: connections stay open
};

}  // namespace aeterna::app
