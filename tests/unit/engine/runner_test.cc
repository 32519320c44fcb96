#include "engine/runbook/runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/fake_env.h"
#include "engine/runbook/execution_run.h"
#include "engine/runbook/records.h"
#include "engine/runbook/requests.h"
#include "temp_journal.h"
#include "toy_runbook.h"

namespace aeterna::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::MortalJournal;
using testing::TempJournal;
using testing::ToyBehaviour;
using testing::ToyLock;
using testing::World;
using Steps = std::vector<std::pair<std::string, ToyBehaviour>>;

Error error_of(ErrorCode code, Effect effect = Effect::kNone) { return make_error(code, "toy says no", "", effect); }

ToyBehaviour failing_verify(ErrorCode code) {
    ToyBehaviour behaviour;
    behaviour.verify = [code] { return Status(error_of(code)); };
    return behaviour;
}

ToyBehaviour failing_apply(ErrorCode code, Effect effect, bool changes_world) {
    ToyBehaviour behaviour;
    behaviour.changes_world = changes_world;
    behaviour.apply = [=] { return Status(error_of(code, effect)); };
    return behaviour;
}

ToyBehaviour failing_check(ErrorCode code) {
    ToyBehaviour behaviour;
    behaviour.check = [code]() -> Result<CheckOutcome> { return error_of(code); };
    return behaviour;
}

ToyBehaviour due_when(const bool& is_due) {
    ToyBehaviour behaviour;
    behaviour.condition = "only if it rains";
    behaviour.check = [&is_due]() -> Result<CheckOutcome> {
        return is_due ? CheckOutcome::kReady : CheckOutcome::kNotDue;
    };
    return behaviour;
}

class RunnerTest : public ::testing::Test {
  protected:
    ExecutionRecord run(Steps steps, std::stop_token stop = {}) {
        Runbook runbook = testing::toy_runbook(world, std::move(steps));
        Runner runner(*temp.journal, lock, fake.env);
        Result<ExecutionRecord> ran = runner.run(runbook, request, fake.clock.context(std::chrono::hours(1), stop));
        EXPECT_TRUE(ran);
        return ran.value_or(ExecutionRecord{});
    }
    Result<ExecutionRecord> resume(const ExecutionRecord& execution, Steps steps) {
        Runbook runbook = testing::toy_runbook(world, std::move(steps));
        Runner runner(*temp.journal, lock, fake.env);
        return runner.resume(execution, runbook, request, fake.clock.context(std::chrono::hours(1)));
    }
    Result<ExecutionRecord> abort(const ExecutionRecord& execution, Steps steps) {
        Runbook runbook = testing::toy_runbook(world, std::move(steps));
        Runner runner(*temp.journal, lock, fake.env);
        return runner.abort(execution, &runbook, request, fake.clock.context(std::chrono::hours(1)));
    }
    std::vector<std::string> journaled(const std::string& id) {
        std::vector<std::string> lines;
        const auto records = temp.journal->steps(id);
        for (const StepRecord& r : *records) lines.push_back(r.step + " " + r.phase + " " + r.outcome);
        return lines;
    }
    testing::TempJournal temp;
    ::aeterna::testing::FakeEnv fake;
    World world;
    ToyLock lock;
    RunRequest request;
};

TEST_F(RunnerTest, RunsInOrderAndJournalsEachPhaseBeforeItActs) {
    const ExecutionRecord done = run({{"a", {}}, {"b", {}}});
    EXPECT_EQ(done.state, ExecutionState::kSucceeded);
    EXPECT_EQ(exit_code_of(done), 0);
    EXPECT_THAT(world.trace, ElementsAre("apply a", "apply b"));
    EXPECT_THAT(journaled(done.id),
                ElementsAre("a check started", "a apply started", "a progress note", "a apply done", "a verify done",
                            "b check started", "b apply started", "b progress note", "b apply done", "b verify done"));
    const ExecutionRecord kept = temp.journal->execution(done.id).value().value();
    EXPECT_EQ(kept.state, ExecutionState::kSucceeded);
    EXPECT_EQ(kept.next_step, 2u);
    EXPECT_TRUE(kept.ended_at);
    EXPECT_EQ(kept.facts["a.applied"], true);
    EXPECT_EQ(lock.intent, "toy redis (" + done.id + ")");
}

TEST_F(RunnerTest, SaysWhichProcessDrivesIt) {
    fake.processes.alive = {fake.processes.own_pid()};
    std::optional<ExecutionRecord> meanwhile;
    ToyBehaviour looks;
    looks.apply = [&] {
        meanwhile = temp.journal->executions(1).value().at(0);
        return Status();
    };
    const ExecutionRecord done = run({{"a", looks}});
    ASSERT_TRUE(meanwhile);
    EXPECT_TRUE(is_driven(*meanwhile, fake.env));
    EXPECT_FALSE(is_driven(done, fake.env)) << "it has ended, and its process lives";
    // Another process has died in it.
    meanwhile->id = "exec-dead";
    meanwhile->facts["runner.process"] = {{"pid", 1}, {"start", 1}};
    ASSERT_TRUE(temp.journal->put_execution(*meanwhile));
    EXPECT_FALSE(is_driven(*meanwhile, fake.env));
    ASSERT_TRUE(resume(*meanwhile, {{"a", {}}}));
    EXPECT_EQ(temp.journal->execution("exec-dead").value()->facts["runner.process"]["pid"], fake.processes.own_pid());
}

// A step that proposes: what others see in the journal meanwhile, and what becomes of a yes.
TEST_F(RunnerTest, AProposalStandsInTheJournalUntilSomebodySaysYes) {
    std::optional<ExecutionRecord> before, after;
    std::optional<std::string> unasked, first, second;
    ToyBehaviour proposes;
    proposes.during = [&](StepContext& step) {
        step.proposal->put("fence postgres-1");
        before = temp.journal->executions(1).value().at(0);
        const RequestRecord other = make_request(kApproveExecution, "exec-other", fake.env);
        RequestRecord old = make_request(kApproveExecution, before->id, fake.env);
        old.at -= std::chrono::minutes(1);
        ASSERT_TRUE(temp.journal->put_request(old));
        const RequestRecord ours = make_request(kApproveExecution, before->id, fake.env);
        ASSERT_TRUE(temp.journal->put_request(other));
        unasked = step.proposal->approved_by();
        ASSERT_TRUE(temp.journal->put_request(ours));
        first = step.proposal->approved_by();
        second = step.proposal->approved_by();
        EXPECT_EQ(temp.journal->request(ours.id).value()->answer, Json({{"summary", "approved"}}));
        EXPECT_TRUE(temp.journal->request(other.id).value()->answer.is_null());
        after = temp.journal->execution(before->id).value();
    };
    const ExecutionRecord done = run({{"a", proposes}});
    EXPECT_EQ(open_proposal(*before), "fence postgres-1");
    EXPECT_FALSE(unasked);
    EXPECT_EQ(first, requester_name(fake.env));
    EXPECT_FALSE(second);
    EXPECT_FALSE(open_proposal(done));
    EXPECT_FALSE(temp.journal->execution(done.id).value()->facts.contains(kProposalFact));
    EXPECT_THAT(journaled(done.id), ElementsAre("a check started", "a apply started", "a progress note", "a progress proposed",
                                                "a progress approved", "a apply done", "a verify done"));
}

TEST_F(RunnerTest, AYesThatComesTooLateIsToldSo) {
    std::string asked;
    ToyBehaviour proposes;
    proposes.during = [&](StepContext& step) {
        step.proposal->put("fence postgres-1");
        const RequestRecord late = make_request(kApproveExecution, temp.journal->executions(1).value().at(0).id, fake.env);
        asked = late.id;
        ASSERT_TRUE(temp.journal->put_request(late));
    };
    const ExecutionRecord done = run({{"a", proposes}, {"b", {}}});
    const auto answer = error_from_json(temp.journal->request(asked).value()->answer);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->code, ErrorCode::kUsage);
    EXPECT_THAT(answer->message, HasSubstr(done.id));
}

TEST_F(RunnerTest, AResumedExecutionDoesNotProposeWhatADeadOneDid) {
    ExecutionRecord left;
    left.id = "exec-dead";
    left.runbook = "toy";
    left.store = "redis";
    left.facts[kProposalFact] = "fence postgres-1";
    ASSERT_TRUE(temp.journal->put_execution(left));
    std::optional<ExecutionRecord> meanwhile;
    ToyBehaviour looks;
    looks.during = [&](StepContext&) { meanwhile = temp.journal->execution(left.id).value(); };
    ASSERT_TRUE(resume(left, {{"a", looks}}));
    EXPECT_FALSE(open_proposal(*meanwhile));
}

TEST_F(RunnerTest, SkipsWhatIsDoneAndNeverUndoesIt) {
    world.values["a"] = 1;
    const ExecutionRecord failed = run({{"a", {}}, {"b", failing_verify(ErrorCode::kServer)}});
    EXPECT_EQ(failed.state, ExecutionState::kFailed);
    EXPECT_THAT(world.trace, ElementsAre("apply b", "undo b"));
    EXPECT_EQ(world.values["a"], 1);
}

TEST_F(RunnerTest, AStepThatIsNotDueIsNeitherAppliedNorCalledDone) {
    bool rains = false;
    const ExecutionRecord failed = run({{"a", due_when(rains)}, {"b", failing_verify(ErrorCode::kServer)}});
    EXPECT_THAT(world.trace, ElementsAre("apply b", "undo b"));
    const StepRecord skipped = temp.journal->steps(failed.id).value().at(1);
    EXPECT_EQ(skipped.step + " " + skipped.phase + " " + skipped.outcome, "a check skipped");
    EXPECT_EQ(skipped.detail, "not needed: only if it rains");
}

TEST_F(RunnerTest, WhatWasNotDueMayBeDueWhenItIsResumed) {
    bool rains = false;
    // The record of a's verdict is the last thing that is written: the execution still stands at a.
    MortalJournal mortal(*temp.journal, world, 3);
    {
        Runbook first = testing::toy_runbook(world, {{"a", due_when(rains)}, {"b", {}}});
        static_cast<void>(Runner(mortal, lock, fake.env).run(first, request, fake.clock.context()));
    }
    world.dead = false;
    rains = true;
    const ExecutionRecord left = temp.journal->executions(1).value().at(0);
    ASSERT_THAT(journaled(left.id), ElementsAre("a check started", "a check skipped"));
    const auto done = resume(left, {{"a", due_when(rains)}, {"b", {}}});
    ASSERT_TRUE(done);
    EXPECT_EQ(done->state, ExecutionState::kSucceeded);
    EXPECT_THAT(world.trace, ElementsAre("apply a", "apply b"));
}

TEST_F(RunnerTest, BeginsNothingWithoutTheLock) {
    lock.busy = true;
    Runbook runbook = testing::toy_runbook(world, {{"a", {}}});
    const Result<ExecutionRecord> ran = Runner(*temp.journal, lock, fake.env).run(runbook, request, fake.clock.context());
    ASSERT_FALSE(ran);
    EXPECT_EQ(ran.error().code, ErrorCode::kLocked);
    EXPECT_THAT(temp.journal->executions(10).value(), IsEmpty());
}

TEST_F(RunnerTest, ARefusalTakesBackInReverseOrder) {
    ToyBehaviour no_undo;
    no_undo.has_undo = false;
    const ExecutionRecord refused =
        run({{"a", {}}, {"b", no_undo}, {"c", {}}, {"d", failing_check(ErrorCode::kGuardRefused)}});
    EXPECT_EQ(refused.state, ExecutionState::kRefused);
    EXPECT_EQ(exit_code_of(refused), 5);
    EXPECT_THAT(world.trace, ElementsAre("apply a", "apply b", "apply c", "undo c", "undo a"));
    EXPECT_THAT(refused.summary, HasSubstr("toy says no"));
    EXPECT_FALSE(temp.journal->execution(refused.id).value()->facts.contains("runner.unwinding"));
}

TEST_F(RunnerTest, BehindThePointOfNoReturnAnExecutionCanOnlyBeGoneOnWith) {
    ToyBehaviour no_return;
    no_return.has_undo = false;
    no_return.is_point_of_no_return = true;
    const auto steps = [&] {
        return Steps{{"a", {}}, {"b", no_return}, {"c", {}}, {"d", failing_check(ErrorCode::kServer)}};
    };
    const ExecutionRecord stuck = run(steps());
    EXPECT_EQ(stuck.state, ExecutionState::kUnknown);
    EXPECT_THAT(stuck.error->hint, HasSubstr("execution resume"));
    EXPECT_THAT(world.trace, ElementsAre("apply a", "apply b", "apply c"));
    const auto aborted = abort(stuck, steps());
    ASSERT_FALSE(aborted);
    EXPECT_EQ(aborted.error().code, ErrorCode::kGuardRefused);
    EXPECT_THAT(aborted.error().hint, HasSubstr("execution resume"));
    EXPECT_THAT(world.trace, ElementsAre("apply a", "apply b", "apply c"));
    EXPECT_EQ(temp.journal->execution(stuck.id)->value().state, ExecutionState::kUnknown) << "as it was";
}

TEST_F(RunnerTest, APointOfNoReturnThatWasNotReachedIsNone) {
    ToyBehaviour no_return;
    no_return.is_point_of_no_return = true;
    no_return.changes_world = false;
    no_return.apply = [] { return make_error(ErrorCode::kServer, "not begun"); };
    const ExecutionRecord failed = run({{"a", {}}, {"b", no_return}});
    EXPECT_EQ(failed.state, ExecutionState::kFailed);
    EXPECT_THAT(world.trace, ElementsAre("apply a", "undo a"));
}

TEST_F(RunnerTest, AbortTakesBackWhatHasAnUndoAndSaysWhatStays) {
    ToyBehaviour no_undo;
    no_undo.has_undo = false;
    const auto steps = [&] {
        return Steps{{"a", {}}, {"b", no_undo}, {"c", {}}, {"d", failing_check(ErrorCode::kAwaitingApproval)}};
    };
    const ExecutionRecord waiting = run(steps());
    ASSERT_EQ(waiting.state, ExecutionState::kAwaitingApproval);
    const auto aborted = abort(waiting, steps());
    ASSERT_TRUE(aborted) << aborted.error().to_string();
    EXPECT_EQ(aborted->state, ExecutionState::kAborted);
    EXPECT_FALSE(aborted->error);
    EXPECT_TRUE(aborted->ended_at);
    EXPECT_EQ(aborted->summary, "aborted by hand; 2 steps were taken back; what has no undo stays: 'b'");
    EXPECT_THAT(world.trace, ElementsAre("apply a", "apply b", "apply c", "undo c", "undo a"));
    const auto kept = temp.journal->execution(waiting.id).value().value();
    EXPECT_EQ(kept.state, ExecutionState::kAborted);
    EXPECT_FALSE(kept.facts.contains("runner.unwinding"));
    EXPECT_FALSE(kept.facts.contains("runner.aborting"));
    // It has ended for good.
    EXPECT_EQ(abort(waiting, steps()).error().code, ErrorCode::kUsage);
    EXPECT_EQ(resume(waiting, steps()).error().code, ErrorCode::kUsage);
}

TEST_F(RunnerTest, AbortOfAnUnjudgedStepWithoutUndoIsUnknown) {
    ToyBehaviour lost = failing_verify(ErrorCode::kTimeout);
    lost.has_undo = false;
    const ExecutionRecord unknown = run({{"a", {}}, {"b", lost}});
    ASSERT_EQ(unknown.state, ExecutionState::kUnknown);
    const auto aborted = abort(unknown, {{"a", {}}, {"b", lost}});
    ASSERT_TRUE(aborted);
    EXPECT_EQ(aborted->state, ExecutionState::kAborted);
    ASSERT_TRUE(aborted->error);
    EXPECT_EQ(exit_code_of(*aborted), 4);
    EXPECT_THAT(aborted->summary, HasSubstr("begun and never judged: 'b'"));
    EXPECT_THAT(world.trace, ElementsAre("apply a", "apply b", "undo a"));
}

TEST_F(RunnerTest, AnAbortWhoseUndoFailedGoesOnWithIt) {
    ToyBehaviour stubborn;
    stubborn.undo_result = error_of(ErrorCode::kUnreachable);
    const auto wait = failing_check(ErrorCode::kAwaitingApproval);
    const ExecutionRecord waiting = run({{"a", stubborn}, {"b", wait}});
    const auto failed = abort(waiting, {{"a", stubborn}, {"b", wait}});
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->state, ExecutionState::kFailed);
    EXPECT_EQ(exit_code_of(*failed), 3);
    const auto done = resume(*failed, {{"a", {}}, {"b", wait}});
    ASSERT_TRUE(done);
    EXPECT_EQ(done->state, ExecutionState::kAborted);
    EXPECT_THAT(world.trace, ElementsAre("apply a", "undo a", "undo a"));
}

TEST_F(RunnerTest, AbortWithOtherStepsTakesNothingBackAndSaysSo) {
    const ExecutionRecord waiting = run({{"a", {}}, {"b", failing_check(ErrorCode::kAwaitingApproval)}});
    const auto aborted = abort(waiting, {{"other", {}}});
    ASSERT_TRUE(aborted);
    EXPECT_EQ(aborted->state, ExecutionState::kAborted);
    EXPECT_EQ(exit_code_of(*aborted), 4);
    EXPECT_THAT(world.trace, ElementsAre("apply a"));
    lock.busy = true;
    EXPECT_EQ(abort(waiting, {{"a", {}}}).error().code, ErrorCode::kLocked);
}

TEST_F(RunnerTest, AwaitingApprovalKeepsWhatIsDoneAndGoesOnThere) {
    const ExecutionRecord waiting = run({{"a", {}}, {"b", failing_check(ErrorCode::kAwaitingApproval)}});
    EXPECT_EQ(waiting.state, ExecutionState::kAwaitingApproval);
    EXPECT_EQ(exit_code_of(waiting), 7);
    EXPECT_EQ(waiting.next_step, 1u);
    EXPECT_EQ(waiting.summary, "toy says no");
    EXPECT_THAT(world.trace, ElementsAre("apply a"));
    const Result<ExecutionRecord> done = resume(waiting, {{"a", {}}, {"b", {}}});
    ASSERT_TRUE(done);
    EXPECT_EQ(done->state, ExecutionState::kSucceeded);
    EXPECT_FALSE(done->error);
    EXPECT_THAT(world.trace, ElementsAre("apply a", "apply b"));
}

struct Ending {
    const char* what;
    ToyBehaviour last;
    ExecutionState state;
    int exit;
    std::vector<std::string> trace;
};

TEST_F(RunnerTest, EndsByWhatTheLastStepSaw) {
    const std::vector<std::string> both_undone = {"apply a", "apply b", "undo b", "undo a"};
    const std::vector<Ending> endings = {
        {"failed without effect", failing_apply(ErrorCode::kServer, Effect::kNone, false), ExecutionState::kFailed, 1,
         {"apply a", "undo a"}},
        {"unclear, but verified", failing_apply(ErrorCode::kTimeout, Effect::kUnknown, true),
         ExecutionState::kSucceeded, 0, {"apply a", "apply b"}},
        {"unclear, and verified not done", failing_apply(ErrorCode::kTimeout, Effect::kUnknown, false),
         ExecutionState::kFailed, 1, {"apply a", "undo b", "undo a"}},
        {"partial and not verified", failing_apply(ErrorCode::kPartial, Effect::kPartial, false),
         ExecutionState::kFailed, 1, {"apply a", "undo b", "undo a"}},
        {"verify fails", failing_verify(ErrorCode::kServer), ExecutionState::kFailed, 1, both_undone},
        {"verify silent", failing_verify(ErrorCode::kTimeout), ExecutionState::kUnknown, 4, {"apply a", "apply b"}},
        {"verify unreachable", failing_verify(ErrorCode::kUnreachable), ExecutionState::kUnknown, 4,
         {"apply a", "apply b"}},
        {"check late", failing_check(ErrorCode::kDeadline), ExecutionState::kFailed, 8, {"apply a", "undo a"}},
        {"check fails", failing_check(ErrorCode::kServer), ExecutionState::kFailed, 1, {"apply a", "undo a"}},
    };
    for (const Ending& ending : endings) {
        world = World{};
        const ExecutionRecord ended = run({{"a", {}}, {"b", ending.last}});
        EXPECT_EQ(ended.state, ending.state) << ending.what;
        EXPECT_EQ(exit_code_of(ended), ending.exit) << ending.what;
        EXPECT_EQ(world.trace, ending.trace) << ending.what;
    }
}

TEST_F(RunnerTest, AnUnknownOutcomeIsReadAgainNotRepeated) {
    const ExecutionRecord unknown = run({{"a", failing_verify(ErrorCode::kTimeout)}});
    EXPECT_EQ(unknown.state, ExecutionState::kUnknown);
    EXPECT_THAT(unknown.error->hint, HasSubstr("execution resume " + unknown.id));
    // Still not to be judged: still unknown, nothing touched.
    const Result<ExecutionRecord> again = resume(unknown, {{"a", failing_check(ErrorCode::kTimeout)}});
    ASSERT_TRUE(again);
    EXPECT_EQ(again->state, ExecutionState::kUnknown);
    const Result<ExecutionRecord> done = resume(*again, {{"a", {}}});
    ASSERT_TRUE(done);
    EXPECT_EQ(done->state, ExecutionState::kSucceeded);
    EXPECT_THAT(world.trace, ElementsAre("apply a"));
}

TEST_F(RunnerTest, CancelTakesBackWithoutTheStopToken) {
    std::stop_source stop;
    ToyBehaviour cancels;
    cancels.apply = [&] {
        stop.request_stop();
        return Status();
    };
    const ExecutionRecord cancelled = run({{"a", cancels}, {"b", {}}}, stop.get_token());
    EXPECT_EQ(cancelled.state, ExecutionState::kFailed);
    EXPECT_EQ(exit_code_of(cancelled), 130);
    EXPECT_THAT(world.trace, ElementsAre("apply a", "undo a"));
}

TEST_F(RunnerTest, OutOfBudgetTakesBack) {
    request.budget = std::chrono::seconds(5);
    ToyBehaviour slow;
    slow.apply = [&] {
        fake.clock.advance(std::chrono::seconds(6));
        return Status();
    };
    const ExecutionRecord late = run({{"a", slow}, {"b", {}}});
    EXPECT_EQ(exit_code_of(late), 8);
    EXPECT_THAT(world.trace, ElementsAre("apply a", "undo a"));
}

TEST_F(RunnerTest, ALostLockStopsEverything) {
    ToyBehaviour loses;
    loses.apply = [&] {
        lock.held = false;
        return Status();
    };
    const ExecutionRecord stopped = run({{"a", loses}, {"b", {}}});
    EXPECT_EQ(stopped.state, ExecutionState::kUnknown);
    EXPECT_EQ(stopped.error->code, ErrorCode::kLocked);
    EXPECT_THAT(world.trace, ElementsAre("apply a"));
    lock.held = true;
    EXPECT_EQ(resume(stopped, {{"a", {}}, {"b", {}}})->state, ExecutionState::kSucceeded);
}

TEST_F(RunnerTest, AFailedUndoIsSaidAndTriedAgain) {
    ToyBehaviour stubborn;
    stubborn.undo_result = error_of(ErrorCode::kServer);
    const Steps failing = {{"a", {}}, {"b", stubborn}, {"c", failing_check(ErrorCode::kGuardRefused)}};
    const ExecutionRecord failed = run(failing);
    EXPECT_EQ(failed.state, ExecutionState::kFailed);
    EXPECT_EQ(exit_code_of(failed), 3);
    EXPECT_THAT(failed.summary, HasSubstr("the undo of step 'b' failed"));
    EXPECT_THAT(world.trace, ElementsAre("apply a", "apply b", "undo b", "undo a"));
    // Goes on with the undo of b alone; never forward, though nothing refuses any more.
    world.trace.clear();
    const Result<ExecutionRecord> undone = resume(failed, {{"a", {}}, {"b", {}}, {"c", {}}});
    ASSERT_TRUE(undone);
    EXPECT_EQ(undone->state, ExecutionState::kRefused);
    EXPECT_THAT(world.trace, ElementsAre("undo b"));
    EXPECT_EQ(resume(*undone, failing).error().code, ErrorCode::kUsage);
}

TEST_F(RunnerTest, ResumeRefusesWhatHasEndedAndWhatDoesNotFit) {
    const ExecutionRecord done = run({{"a", {}}});
    EXPECT_EQ(resume(done, {{"a", {}}}).error().code, ErrorCode::kUsage);
    const ExecutionRecord waiting = run({{"b", failing_check(ErrorCode::kAwaitingApproval)}});
    EXPECT_EQ(resume(waiting, {{"other", {}}}).error().code, ErrorCode::kUsage);
    EXPECT_EQ(resume(waiting, {}).error().code, ErrorCode::kUsage);
    ExecutionRecord stranger = waiting;
    stranger.id = "exec-none";
    EXPECT_EQ(resume(stranger, {{"b", {}}}).error().code, ErrorCode::kNotFound);
}

TEST_F(RunnerTest, ThePlanTouchesNothing) {
    world.values["a"] = 1;
    bool rains = false;
    Runbook runbook = testing::toy_runbook(world, {{"a", {}},
                                                   {"b", {}},
                                                   {"c", failing_check(ErrorCode::kGuardRefused)},
                                                   {"d", failing_check(ErrorCode::kAwaitingApproval)},
                                                   {"e", failing_check(ErrorCode::kNotFound)},
                                                   {"f", due_when(rains)}});
    const auto lines = Runner(*temp.journal, lock, fake.env).plan(runbook, fake.clock.context());
    EXPECT_THAT(lines, ElementsAre("1. set a (reversible; undo: yes) – already done",
                                   "2. set b (reversible; undo: yes) – would run",
                                   "3. set c (reversible; undo: yes) – refused: toy says no",
                                   "4. set d (reversible; undo: yes) – needs approval: toy says no",
                                   "5. set e (reversible; undo: yes) – cannot be told yet: toy says no",
                                   "6. set f (reversible; undo: yes) – only if it rains"));
    EXPECT_THAT(world.trace, IsEmpty());
    EXPECT_THAT(temp.journal->executions(10).value(), IsEmpty());
}

TEST_F(RunnerTest, AnUnwritableJournalStopsBeforeTheAct) {
    MortalJournal mortal(*temp.journal, world, 2);  // the execution, the check; not the intent to apply
    mortal.kills = false;
    Runbook runbook = testing::toy_runbook(world, {{"a", {}}});
    const Result<ExecutionRecord> ran = Runner(mortal, lock, fake.env).run(runbook, request, fake.clock.context());
    ASSERT_TRUE(ran);
    EXPECT_NE(ran->state, ExecutionState::kSucceeded);
    EXPECT_THAT(world.trace, IsEmpty());
}

// Killed at every journal write, then resumed: the same end as without the kill. `steps` is made anew for each life.
void expect_crash_proof(const std::function<Steps()>& steps, ExecutionState end, const std::map<std::string, int>& values,
                        int most_applies) {
    for (int last_write = 1;; ++last_write) {
        SCOPED_TRACE(last_write);
        TempJournal temp;
        ::aeterna::testing::FakeEnv fake;
        World world;
        ToyLock lock;
        MortalJournal mortal(*temp.journal, world, last_write);
        Runbook first = testing::toy_runbook(world, steps());
        static_cast<void>(Runner(mortal, lock, fake.env).run(first, {}, fake.clock.context()));
        const bool survived = mortal.writes < last_write;
        const std::vector<ExecutionRecord> left = temp.journal->executions(1).value();
        ASSERT_EQ(left.size(), 1u);
        ExecutionRecord last = left[0];
        world.dead = false;
        if (last.state == ExecutionState::kRunning) {
            Runbook second = testing::toy_runbook(world, steps());
            std::unique_ptr<Journal> reopened = temp.reopen();
            Result<ExecutionRecord> resumed = Runner(*reopened, lock, fake.env).resume(last, second, {}, fake.clock.context());
            ASSERT_TRUE(resumed) << resumed.error().to_string();
            last = *resumed;
        }
        EXPECT_EQ(last.state, end);
        EXPECT_EQ(world.values, values);
        const auto applies = std::count_if(world.trace.begin(), world.trace.end(),
                                           [](const std::string& line) { return line.starts_with("apply"); });
        EXPECT_LE(applies, most_applies);
        if (survived) return;
        ASSERT_LT(last_write, 100) << "the run never ends";
    }
}

TEST(RunnerCrash, ASuccessIsFinishedAndNothingIsAppliedTwice) {
    expect_crash_proof([] { return Steps{{"a", {}}, {"b", {}}, {"c", {}}}; }, ExecutionState::kSucceeded,
                       {{"a", 1}, {"b", 1}, {"c", 1}}, 3);
}

TEST(RunnerCrash, ARefusalIsTakenBackCompletely) {
    expect_crash_proof(
        [] { return Steps{{"a", {}}, {"b", {}}, {"c", failing_check(ErrorCode::kGuardRefused)}}; },
        ExecutionState::kRefused, {{"a", 0}, {"b", 0}}, 2);
}

// What refused in the first life allows in the second: the end is all or nothing, never steps on undone ground.
TEST(RunnerCrash, ABegunUndoNeverTurnsForward) {
    int resumed_to_zero = 0;
    for (int last_write = 1; last_write < 40; ++last_write) {
        SCOPED_TRACE(last_write);
        TempJournal temp;
        ::aeterna::testing::FakeEnv fake;
        World world;
        ToyLock lock;
        MortalJournal mortal(*temp.journal, world, last_write);
        Runbook first =
            testing::toy_runbook(world, {{"a", {}}, {"b", {}}, {"c", failing_check(ErrorCode::kGuardRefused)}});
        static_cast<void>(Runner(mortal, lock, fake.env).run(first, {}, fake.clock.context()));
        world.dead = false;
        const ExecutionRecord left = temp.journal->executions(1).value().at(0);
        if (left.state != ExecutionState::kRunning) break;
        Runbook second = testing::toy_runbook(world, {{"a", {}}, {"b", {}}, {"c", {}}});
        const auto end = Runner(*temp.journal, lock, fake.env).resume(left, second, {}, fake.clock.context());
        ASSERT_TRUE(end);
        const bool forward = end->state == ExecutionState::kSucceeded;
        EXPECT_TRUE(forward || end->state == ExecutionState::kRefused);
        EXPECT_EQ(world.values["a"], forward ? 1 : 0);
        EXPECT_EQ(world.values["b"], forward ? 1 : 0);
        EXPECT_EQ(world.values["c"], forward ? 1 : 0);
        resumed_to_zero += forward ? 0 : 1;
    }
    EXPECT_GE(resumed_to_zero, 4);  // the mark, and the records of two undos
}

TEST(RunnerCrash, AFailureIsTakenBackCompletely) {
    // c can be applied again by the second life: only its verify says that it is no good.
    expect_crash_proof(
        [] {
            ToyBehaviour bad = failing_verify(ErrorCode::kServer);
            bad.check = []() -> Result<CheckOutcome> { return CheckOutcome::kReady; };
            return Steps{{"a", {}}, {"b", {}}, {"c", bad}};
        },
        ExecutionState::kFailed, {{"a", 0}, {"b", 0}, {"c", 0}}, 4);
}

}  // namespace
}  // namespace aeterna::engine
