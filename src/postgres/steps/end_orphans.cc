// postgres.end_orphans
// Does: kills the backends that outlived the old primary's dead postmaster. One that waits for a lock of a killed backend
// waits for ever, and "pre-existing shared memory block is still in use" then keeps the server from starting again
// (PostgreSQL checks who is attached to it: sysv_shmem.c). Needs: another confirmed writer; the host's process table;
// nothing where assist does not act, or where the fence has ended them. Changes: those processes, of which nobody can use
// anything any more. Undo: none. Unknown outcome: repeating it is safe. One that SIGKILL does not end (it waits in the kernel, for a
// disk) is told and left: the failover is over without it, and its server cannot start before it ends.
#include <fmt/core.h>

#include "postgres/steps/assist.h"

namespace aeterna::postgres {

constexpr engine::StepSpec kEndOrphansSpec{"postgres.end_orphans",
                                           "end the backends that outlived the old primary's postmaster",
                                           engine::Risk::kDisruptive, 20s, false};

namespace {

class EndOrphans final : public engine::Step {
  public:
    explicit EndOrphans(StepParts parts) : parts_(std::move(parts)) {}

    const engine::StepSpec& spec() const override { return kEndOrphansSpec; }

    std::string describe() const override {
        return "kill the backends of the old primary that outlived its postmaster";
    }

    std::string condition() const override {
        return engine::assist_condition(parts_.assist, "the old primary was replaced and has such backends");
    }

    Result<engine::CheckOutcome> check(engine::StepContext& step) override {
        const std::string old = fact(step.facts, "old_primary");
        const bool is_replaced = !old.empty() && old != fact(step.facts, "new_primary");
        if (!engine::may_act(parts_.assist, step.facts) || !is_replaced) return engine::CheckOutcome::kNotDue;
        return orphans(old, step.context).empty() ? engine::CheckOutcome::kNotDue : engine::CheckOutcome::kReady;
    }

    Status apply(engine::StepContext& step) override {
        const std::string old = fact(step.facts, "old_primary");
        AETERNA_ASSIGN(const auto executor, executor_of(parts_.settings, old, parts_.env));
        const hosts::NodeProcesses left{old, orphans(old, step.context), true};
        // Started meanwhile: then nothing of it is an orphan.
        if (left.processes.empty()) return {};
        const Status killed = executor->kill(left, step.context);
        if (!killed && killed.error().code == ErrorCode::kPartial) {
            step.facts["end_orphans.left"] = true;
            step.progress("not all have ended: " + killed.error().to_string());
            return {};
        }
        AETERNA_TRY(killed);
        step.progress(fmt::format("ended {} backends of '{}' that had outlived their postmaster",
                                  left.processes.size(), old));
        return {};
    }

    // What is left of it now was started again.
    Status verify(engine::StepContext& step) override {
        const std::string old = fact(step.facts, "old_primary");
        if (find_boolean(step.facts, "end_orphans.left").value_or(false) || orphans(old, step.context).empty()) return {};
        return make_error(ErrorCode::kIo, "backends of '" + old + "' that outlived their postmaster are still there");
    }

  private:
    std::vector<env::ProcessId> orphans(const std::string& node, const env::Context& context) const {
        return orphans_of(parts_.settings, node, parts_.env, context);
    }

    StepParts parts_;
};

}  // namespace

std::unique_ptr<engine::Step> make_end_orphans(StepParts parts) { return std::make_unique<EndOrphans>(std::move(parts)); }

}  // namespace aeterna::postgres
