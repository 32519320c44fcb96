// A person's yes that meets the proposal, or comes too late for it: each ends with an answer, and none is left behind.
#include "app/cli/approve_proposal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "../engine/temp_journal.h"
#include "../env/real_env.h"
#include "engine/runbook/execution_run.h"
#include "engine/runbook/proposal.h"
#include "engine/runbook/requests.h"

namespace aeterna::app {
namespace {

using engine::ExecutionRecord;
using engine::ExecutionState;
using engine::RequestRecord;
using env::testing::eventually;
using env::testing::real;
using ::testing::HasSubstr;

class ApproveProposal : public ::testing::Test {
  protected:
    ApproveProposal() {
        execution.id = "exec-1";
        execution.runbook = "failover";
        execution.store = "postgres";
        execution.facts[engine::kProposalFact] = "fence postgres-1";
        engine::mark_as_driven(execution, real());
        keep();
    }
    void keep() { ASSERT_TRUE(temp.journal->put_execution(execution)); }
    // What the person has read by now.
    Result<ExecutionRecord> say_yes(const ExecutionRecord& read) {
        Session session;
        std::optional<Result<ExecutionRecord>> ended;
        session.options.quiet = true;
        session.run([&]() -> Result<int> {
            ended = approve_proposal(session, *temp.journal, read, /*yes=*/true);
            return 0;
        });
        EXPECT_EQ(session.execute(), 0);
        return *ended;
    }
    // Whoever drives it, in a thread of its own.
    std::jthread drive(std::function<Json(const RequestRecord&)> with) {
        return std::jthread([this, with = std::move(with)] {
            const auto other = temp.reopen();
            EXPECT_TRUE(eventually([&] {
                const auto open = other->open_requests();
                if (!open || open->empty()) return false;
                RequestRecord request = open->front();
                request.answer = with(request);
                return other->put_request(request).has_value();
            }));
            if (execution.state == ExecutionState::kRunning) return;
            EXPECT_TRUE(other->put_execution(execution));
        });
    }
    // The yes is of no use, and whoever said it is told.
    void expect_refused(const ExecutionRecord& read, ErrorCode code, const std::string& words) {
        const auto refused = say_yes(read);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, code);
        EXPECT_THAT(refused.error().message, HasSubstr(words));
        expect_nothing_left();
    }
    void expect_nothing_left() { EXPECT_TRUE(temp.journal->open_requests().value().empty()); }

    engine::testing::TempJournal temp;
    ExecutionRecord execution;
};

TEST_F(ApproveProposal, IsFoundWhileItsDriverLives) {
    const auto find = [&](const char* store) { return find_proposal(*temp.journal, real(), store).value(); };
    ASSERT_TRUE(find("postgres"));
    EXPECT_EQ(describe_proposal(*find("postgres")), "the proposal of failover postgres (execution exec-1)");
    EXPECT_FALSE(find("redis"));
    execution.facts["runner.process"] = {{"pid", 1}, {"start", 1}};
    keep();
    EXPECT_FALSE(find("postgres"));
}

TEST_F(ApproveProposal, AYesIsAnsweredAndWhatItDoesIsFollowedToItsEnd) {
    const ExecutionRecord read = execution;
    execution.state = ExecutionState::kSucceeded;
    const auto driver = drive([](const RequestRecord&) { return Json{{"summary", "approved"}}; });
    const auto ended = say_yes(read);
    ASSERT_TRUE(ended) << ended.error().to_string();
    EXPECT_EQ(ended->state, ExecutionState::kSucceeded);
    expect_nothing_left();
}

TEST_F(ApproveProposal, AYesBehindItsEndIsToldSoAtOnce) {
    const ExecutionRecord read = execution;
    execution.facts.erase(engine::kProposalFact);
    keep();
    expect_refused(read, ErrorCode::kUsage, "exec-1' does not propose it any more");
}

TEST_F(ApproveProposal, AYesThatTheDriverRefusesIsTold) {
    const auto driver = drive([](const RequestRecord&) {
        return engine::answered({}, make_error(ErrorCode::kUsage, "not any more")).answer;
    });
    expect_refused(execution, ErrorCode::kUsage, "not any more");
}

TEST_F(ApproveProposal, AYesToADeadDriverLeavesNoneForTheNextOne) {
    execution.facts["runner.process"] = {{"pid", 1}, {"start", 1}};
    keep();
    expect_refused(execution, ErrorCode::kUnknownOutcome, "has ended");
}

}  // namespace
}  // namespace aeterna::app
