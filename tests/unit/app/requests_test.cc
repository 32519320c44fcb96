// What people ask through the journal reaches whom it concerns, once; and a dead drill is closed
// with its report.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../engine/temp_journal.h"
#include "../env/real_env.h"
#include "app/cli/drill_abort.h"
#include "app/daemon/orphans.h"
#include "app/daemon/request_desk.h"

namespace aeterna::app {
namespace {

using engine::RequestRecord;
using engine::testing::TempJournal;
using env::testing::eventually;
using env::testing::real;
using env::testing::within;
using ::testing::HasSubstr;

RequestRecord request(const std::string& id, std::string_view kind,
                      Duration age = Duration::zero()) {
    const WallTime at =
        real().clock.wall_now() - std::chrono::duration_cast<WallTime::duration>(age);
    return {id, std::string(kind), "subject-of-" + id, "ann", at, Json()};
}

TEST(RequestDesk, HandsOutEachRequestToServeOnceAndLeavesTheDrills) {
    TempJournal temp;
    RequestDesk desk(*temp.journal, real());
    ASSERT_TRUE(temp.reopen()->put_request(request("req-1", engine::kCloseIncident)));
    ASSERT_TRUE(temp.journal->put_request(request("req-2", engine::kAbortDrill)));
    std::vector<RequestRecord> taken;
    const auto take = [&] {
        for (RequestRecord& one : desk.take()) taken.push_back(std::move(one));
    };
    ASSERT_TRUE(eventually([&] {
        take();
        return !taken.empty();
    }));
    // A second request shows that a further look came and that the first was not handed out again.
    ASSERT_TRUE(temp.journal->put_request(request("req-3", engine::kAckIncident)));
    ASSERT_TRUE(eventually([&] {
        take();
        return taken.size() >= 2;
    }));
    ASSERT_EQ(taken.size(), 2U);
    EXPECT_EQ(taken[0].id, "req-1");
    EXPECT_EQ(taken[1].id, "req-3");
    EXPECT_EQ(taken[1].requester, "ann");
}

TEST(RequestDesk, TellsWhoAskedTooLongAgoThatItIsTooLate) {
    TempJournal temp;
    RequestDesk desk(*temp.journal, real());
    ASSERT_TRUE(temp.journal->put_request(request("req-old", engine::kCloseIncident, 2 * kRequestLife)));
    ASSERT_TRUE(
        eventually([&] { return !temp.journal->request("req-old").value()->answer.is_null(); }));
    EXPECT_EQ(temp.journal->request("req-old").value()->answer["code"], "deadline");
    EXPECT_TRUE(desk.take().empty());
}

TEST(AbortWatch, StopsTheDrillThatIsAskedToAndNoLaterOne) {
    TempJournal temp;
    ASSERT_TRUE(temp.journal->put_request(request("req-earlier", engine::kAbortDrill, 1min)));
    const AbortWatch watch(*temp.journal, real(), {});
    ASSERT_TRUE(temp.journal->put_request(request("req-close", engine::kCloseIncident)));
    EXPECT_FALSE(watch.token().stop_requested());
    ASSERT_TRUE(temp.reopen()->put_request(request("req-now", engine::kAbortDrill)));
    ASSERT_TRUE(eventually([&] { return watch.token().stop_requested(); }));
    EXPECT_EQ(watch.requester(), "ann");
    ASSERT_TRUE(
        eventually([&] { return !temp.journal->request("req-now").value()->answer.is_null(); }));
    EXPECT_TRUE(temp.journal->request("req-earlier").value()->answer.is_null())
        << "meant for another drill";
    EXPECT_TRUE(temp.journal->request("req-close").value()->answer.is_null()) << "meant for serve";
}

TEST(AbortWatch, PassesOnTheSessionsOwnStop) {
    TempJournal temp;
    std::stop_source stop;
    const AbortWatch watch(*temp.journal, real(), stop.get_token());
    stop.request_stop();
    EXPECT_TRUE(watch.token().stop_requested());
    EXPECT_EQ(watch.requester(), "");
}

TEST(Orphans, ADeadDrillIsClosedAndItsPostMortemWritten) {
    TempJournal temp;
    OpenStack open;
    open.stack.name = "test";
    open.stack.state_directory = temp.directory;
    engine::DrillRecord drill;
    drill.id = "q1-dead";
    drill.drill = "q1";
    drill.state = "running";
    drill.started_at = real().clock.wall_now();
    ASSERT_TRUE(temp.journal->put_drill(drill));
    const auto ended = end_orphans(
        open, *temp.journal, [](const std::string&) {}, real(), within(10s));
    ASSERT_TRUE(ended) << ended.error().to_string();
    EXPECT_EQ(ended->closed, std::vector<std::string>{"q1-dead"});
    const auto closed = temp.journal->drill("q1-dead").value().value();
    EXPECT_EQ(closed.state, "aborted");
    EXPECT_EQ(closed.scorecard["verdict"], "unknown");
    const auto text = real().files.read(closed.scorecard["post_mortem"].get<std::string>());
    ASSERT_TRUE(text);
    EXPECT_THAT(*text, HasSubstr("q1-dead"));
}

}  // namespace
}  // namespace aeterna::app
