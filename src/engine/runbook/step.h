// Step: the unit of action. check (read-only) → apply → verify (re-reads the world) → undo. The runner journals the
// intent, durable, before apply; after a crash it asks check again, so check must recognise its own finished work,
// and apply must be safe to repeat. Steps are built from a runbook's name and parameters alone, never from memory.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "env/env.h"

namespace aeterna::engine {

enum class Risk {
    kReadOnly,    // looks and waits
    kReversible,  // changes something that undo takes back
    kDisruptive,  // clients notice
};
[[nodiscard]] std::string_view risk_name(Risk risk);

struct StepSpec {
    std::string_view name;  // "redis.pause_writes" = redis/steps/pause_writes.cc
    std::string_view help;  // one line
    Risk risk = Risk::kReadOnly;
    Duration timeout{};     // for check, apply and verify together
    bool has_undo = false;
    // Once it has begun, nothing before it is taken back, and a failure leaves the execution to be resumed.
    bool is_point_of_no_return = false;
};

// How a step asks a person while it goes on waiting: it says what it would do, and looks now and then whether somebody
// has said yes. Whether that is still right is then its own to judge.
class Proposal {
  public:
    virtual ~Proposal() = default;
    // One line; replaces what was proposed before. Ends with the step.
    virtual void put(const std::string& text) = 0;
    // Who has said yes to it; each yes is told once.
    [[nodiscard]] virtual std::optional<std::string> approved_by() = 0;
};

// What a step works with. `facts` is the execution's memory: journaled after each phase, shared by its steps,
// there again after a crash. Keys are "<step or topic>.<name>".
struct StepContext {
    env::Context context;
    Json& facts;
    std::function<void(const std::string&)> progress;  // one line for people; also journaled
    std::optional<std::int64_t> actor_lease{};         // ActorLockHold::lease(); nothing while planning
    Proposal* proposal = nullptr;                      // nullptr while planning
};

enum class CheckOutcome {
    kReady,        // apply may run
    kAlreadyDone,  // the world is as this step wants it: apply and verify are skipped
    // Its condition() does not hold, or is not known to hold yet: nothing was done and nothing is to be done now.
    // Asked again by whoever resumes at this step: by then it may be due.
    kNotDue,
};

class Step {
  public:
    virtual ~Step() = default;
    [[nodiscard]] virtual const StepSpec& spec() const = 0;
    // What it will do to what, for the plan: "pause writes on redis-2 for at most 15 s".
    [[nodiscard]] virtual std::string describe() const = 0;
    // For a step that may return kNotDue: on what it depends, as it ends a plan's line: "only if the primary is proven
    // lost". Empty: it is always due.
    [[nodiscard]] virtual std::string condition() const { return {}; }
    // kGuardRefused: it must not be done now (message says why). kAwaitingApproval: a person has to decide; the
    // message is the proposal with its reason. Never changes anything.
    [[nodiscard]] virtual Result<CheckOutcome> check(StepContext& step) = 0;
    // An error's effect says whether the world changed. kUnknown: the runner goes to verify before it judges.
    // kAwaitingApproval with effect kNone: it waited in vain and proposes (nothing was changed).
    virtual Status apply(StepContext& step) = 0;
    // Re-reads the world. An error here after a good apply is a failed step; kTimeout/kDeadline: unknown.
    virtual Status verify(StepContext& step) = 0;
    // Takes apply back; idempotent. Only called when spec().has_undo.
    virtual Status undo(StepContext&) { return {}; }
};

// Of all steps of a runbook together, where nobody says otherwise.
inline constexpr Duration kUsualBudget = std::chrono::minutes(15);

struct Runbook {
    std::string name;     // "failover"
    std::string store;    // "redis"
    std::string purpose;  // one line
    // The word that a standing approval must carry for the disruptive part; empty when nothing is changed.
    std::string approval;
    std::vector<std::unique_ptr<Step>> steps;
    Duration budget = kUsualBudget;
};

}  // namespace aeterna::engine
