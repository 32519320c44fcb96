// The other half of the receiver: what it could not get from the node that it follows, another node may still have.
// Holds the logs against what the backups need (wal_audit.h) when the capture begins, after a change of timeline, when
// the receiver met a hole, and by the clock; asks every node for what is missing, and puts it where the receiver would
// have put it.
#pragma once

#include <set>
#include <string>

#include "engine/capture/capture.h"
#include "postgres/capture/keeper.h"
#include "postgres/capture/wal_donor.h"

namespace aeterna::postgres {

class Backfill {
  public:
    // All references must outlive it.
    Backfill(const Settings& settings, const env::Env& env, const engine::CaptureResources& resources,
             CaptureState& state, Teller& teller)
        : settings_(settings),
          env_(env),
          resources_(resources),
          state_(state),
          teller_(teller),
          sessions_(settings, env) {}

    // Until stop. One thread.
    void run(const std::stop_token& stop);
    // One audit, and what comes of it. `source` is the one whose stream has begun.
    Status go_round(const SourceView& source, const env::Context& context);

  private:
    // What is missing after each node was asked for it, and who has answered.
    struct Round {
        WalAudit audit;
        std::set<std::string> asked;
    };
    [[nodiscard]] Result<Round> fill(const SourceView& source, const env::Context& context);
    // Whether the node has given what it has of all that is missing, and will not come to have more.
    [[nodiscard]] Result<bool> ask(const SourceView& node, const WalAudit& audit, const env::Context& context);
    void report(std::set<WalHole> open, const SourceView& source);

    const Settings& settings_;
    const env::Env& env_;
    const engine::CaptureResources& resources_;
    CaptureState& state_;
    Teller& teller_;
    NodeSessions sessions_;
    repository::LogEnds ends_;
    std::set<WalHole> reported_;
};

}  // namespace aeterna::postgres
