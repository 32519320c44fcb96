// A runbook over a world that is a struct in memory, and a journal decorator that "kills the process" at a chosen
// write: from then on nothing is written and nothing in the world changes, as if the program had stopped there.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "engine/runbook/runner.h"

namespace aeterna::engine::testing {

struct World {
    bool dead = false;                       // the process that acts was killed
    std::map<std::string, int> values;       // what steps set
    std::vector<std::string> trace;          // "apply a", "undo b"
};

struct ToyBehaviour {
    std::function<Result<CheckOutcome>()> check;  // empty: done when the value is 1
    std::string condition;
    std::function<void(StepContext&)> during;     // in apply, after the change
    std::function<Status()> apply;                // behind that; empty: ok
    std::function<Status()> verify;               // empty: value is 1
    bool changes_world = true;
    bool has_undo = true;
    bool is_point_of_no_return = false;
    Status undo_result;
};

class ToyStep final : public Step {
  public:
    ToyStep(std::string name, World& world, ToyBehaviour behaviour)
        : name_(std::move(name)), world_(world), behaviour_(std::move(behaviour)) {
        spec_ = {name_, "a toy", Risk::kReversible, std::chrono::seconds(10), behaviour_.has_undo,
                 behaviour_.is_point_of_no_return};
    }
    const StepSpec& spec() const override { return spec_; }
    std::string describe() const override { return "set " + name_; }
    std::string condition() const override { return behaviour_.condition; }
    Result<CheckOutcome> check(StepContext&) override {
        if (behaviour_.check) return behaviour_.check();
        return world_.values[name_] == 1 ? CheckOutcome::kAlreadyDone : CheckOutcome::kReady;
    }
    Status apply(StepContext& step) override {
        if (behaviour_.changes_world) change("apply", 1);
        step.facts[name_ + ".applied"] = true;
        step.progress("applying " + name_);
        if (behaviour_.during) behaviour_.during(step);
        return behaviour_.apply ? behaviour_.apply() : Status();
    }
    Status verify(StepContext&) override {
        if (behaviour_.verify) return behaviour_.verify();
        if (world_.values[name_] == 1) return {};
        return make_error(ErrorCode::kServer, name_ + " is not set");
    }
    Status undo(StepContext& step) override {
        undo_stop_possible = step.context.stop.stop_possible();
        change("undo", 0);
        return behaviour_.undo_result;
    }
    bool undo_stop_possible = false;

  private:
    void change(const std::string& verb, int value) {
        if (world_.dead) return;
        world_.values[name_] = value;
        world_.trace.push_back(verb + " " + name_);
    }
    std::string name_;
    World& world_;
    ToyBehaviour behaviour_;
    StepSpec spec_;
};

inline Runbook toy_runbook(World& world, std::vector<std::pair<std::string, ToyBehaviour>> steps) {
    Runbook runbook;
    runbook.name = "toy";
    runbook.store = "redis";
    for (auto& [name, behaviour] : steps) {
        runbook.steps.push_back(std::make_unique<ToyStep>(name, world, std::move(behaviour)));
    }
    return runbook;
}

// Forwards to a real journal until write number `last_write`; after it, the process is dead.
class MortalJournal final : public Journal {
  public:
    MortalJournal(Journal& real, World& world, int last_write) : real_(real), world_(world), left_(last_write) {}

    Status put_execution(const ExecutionRecord& r) override { return guard([&] { return real_.put_execution(r); }); }
    Status append_step(const StepRecord& r) override { return guard([&] { return real_.append_step(r); }); }
    Result<std::optional<ExecutionRecord>> execution(const std::string& id) override { return real_.execution(id); }
    Result<std::vector<ExecutionRecord>> executions(std::size_t n) override { return real_.executions(n); }
    Result<std::vector<ExecutionRecord>> executions_of(const std::string& r, std::size_t n) override { return real_.executions_of(r, n); }
    Result<std::vector<StepRecord>> steps(const std::string& id) override { return real_.steps(id); }
    Status put_incident(const IncidentSummary& i) override { return real_.put_incident(i); }
    Result<std::vector<IncidentSummary>> incidents(WallTime t, std::size_t n) override { return real_.incidents(t, n); }
    Status append_event(const StoreEvent& e) override { return real_.append_event(e); }
    Result<std::vector<StoreEvent>> events(WallTime a, WallTime b) override { return real_.events(a, b); }
    Status put_fault(const FaultRecord& f) override { return real_.put_fault(f); }
    Result<std::vector<FaultRecord>> unhealed_faults() override { return real_.unhealed_faults(); }
    Result<std::vector<FaultRecord>> faults_of(const std::string& id) override { return real_.faults_of(id); }
    Status put_drill(const DrillRecord& d) override { return real_.put_drill(d); }
    Result<std::optional<DrillRecord>> drill(const std::string& id) override { return real_.drill(id); }
    Result<std::vector<DrillRecord>> drills(std::size_t n) override { return real_.drills(n); }
    Status put_maintenance(const MaintenanceRecord& m) override { return real_.put_maintenance(m); }
    Result<std::vector<MaintenanceRecord>> maintenance(WallTime t) override { return real_.maintenance(t); }
    Result<std::vector<DrillRecord>> unfinished_drills() override { return real_.unfinished_drills(); }
    Result<std::optional<IncidentSummary>> incident(const std::string& id) override { return real_.incident(id); }
    Result<std::size_t> prune(WallTime before) override { return real_.prune(before); }
    Result<std::vector<IncidentSummary>> open_incidents() override { return real_.open_incidents(); }
    Status put_request(const RequestRecord& r) override { return real_.put_request(r); }
    Result<std::optional<RequestRecord>> request(const std::string& id) override { return real_.request(id); }
    Result<std::vector<RequestRecord>> open_requests() override { return real_.open_requests(); }

    bool kills = true;  // false: writes fail, but the process lives on
    int writes = 0;
    [[nodiscard]] bool is_spent() const { return left_ <= 0; }

  private:
    template <class Write>
    Status guard(Write write) {
        ++writes;
        if (!world_.dead && left_-- > 0) {
            Status done = write();
            if (left_ == 0 && kills) world_.dead = true;
            return done;
        }
        return make_error(ErrorCode::kIo, "the journal is gone");
    }
    Journal& real_;
    World& world_;
    int left_;
};

class ToyLock final : public ActorLock {
  public:
    struct Hold final : ActorLockHold {
        explicit Hold(const ToyLock& owner) : lock(owner) {}
        bool is_held() const override { return lock.held; }
        void tell(const std::string&) override {}
        std::optional<std::int64_t> lease() const override { return lock.lease; }
        const ToyLock& lock;
    };
    Result<std::unique_ptr<ActorLockHold>> acquire(const std::string& wanted, const env::Context&) override {
        if (busy) return make_error(ErrorCode::kLocked, why);
        intent = wanted;
        return std::unique_ptr<ActorLockHold>(std::make_unique<Hold>(*this));
    }
    bool busy = false;
    std::string why = "another aeterna-dr acts";
    bool held = true;
    std::optional<std::int64_t> lease;
    std::string intent;
};

}  // namespace aeterna::engine::testing
