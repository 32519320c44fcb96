// Faults on processes, with their inverses. The inverse is in the journal, durable, before anything is signalled, so
// that whoever comes next (`drill heal`, `serve`) can undo it. Healing is idempotent.
#pragma once

#include <string>
#include <vector>

#include "config/stack.h"
#include "engine/drill/drill_store.h"
#include "engine/runbook/journal.h"
#include "env/env.h"

namespace aeterna::engine {

class FaultInjector {
  public:
    FaultInjector(const config::Stack& stack, Journal& journal, const env::Env& env);

    // Finds the processes of `target` and journals the inverse. What is to be killed is then marked as held by the
    // drill, so that nobody starts it before heal. Nothing is signalled yet.
    [[nodiscard]] Result<FaultRecord> prepare(const std::string& drill_id, const std::string& store,
                                              FaultKind kind, const FaultTarget& target,
                                              const env::Context& context);
    // Signals them. For a pause the processes are looked up again until no new one has appeared: a backend forked
    // in between would go on answering.
    Status inject(FaultRecord& fault, const env::Context& context);
    // After a kill: a node that is lost leaves nothing, so what was forked since prepare() dies too. Apart from inject(),
    // because the outage begins with the signal. kPartial when something is left at the deadline.
    Status complete(const FaultRecord& fault, const env::Context& context);
    // Lifts the drill's hold, continues what was stopped and starts what is not running, then journals "healed". kPartial when a node could
    // not be started; the fault then stays unhealed in the journal.
    Status heal(FaultRecord& fault, const env::Context& context);

  private:
    // Those of the nodes that a marker keeps from being started, by host.
    [[nodiscard]] Status hold(const FaultRecord& fault);
    Status release(const FaultRecord& fault, const env::Context& context);
    Status continue_stopped(const FaultRecord& fault, const env::Context& context);

    const config::Stack& stack_;
    Journal& journal_;
    const env::Env& env_;
};

}  // namespace aeterna::engine
