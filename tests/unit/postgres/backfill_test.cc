// An audit's round over a repository in memory, with nodes that cannot be reached.
#include "postgres/capture/backfill.h"

#include <gtest/gtest.h>

#include "postgres/client/wal.h"
#include "repository/log_segments.h"
#include "rig.h"

namespace aeterna::postgres {
namespace {

namespace rig = repository::testing;

class NoReplication final : public env::ReplicationConnector {
  public:
    Result<std::unique_ptr<env::ReplicationConnection>> connect(const env::SqlTarget&, const env::Context&) override {
        return make_error(ErrorCode::kConnectionRefused, "connection refused");
    }
};

class BackfillTest : public ::testing::Test {
  protected:
    BackfillTest() {
        settings_.nodes.push_back({"a", "", "a", {"127.0.0.1", 1}, "", "", ""});
        state_.begin(source_, wal_log_name({"7", 1}), 0x3000000);
    }
    void append(Lsn from, std::size_t bytes) {
        const auto log = repository::LogWriter::open(*repository_, wal_log_name({"7", 1}), rig::forever()).value();
        ASSERT_TRUE(log->append(from, repository::bytes_of(std::string(bytes, 'w')), rig::forever()));
        state_.became_durable(from + bytes);
    }
    void append_with_hole() {
        append(0x3000000, 100);
        append(0x3000200, 100);
    }
    Status go_round() { return backfill_.go_round(source_, rig::forever()); }

    const SourceView source_{"a", true, "7", 1, 0x3001000, 16 << 20};
    rig::Rig rig_;
    std::unique_ptr<repository::Repository> repository_ = rig_.open();
    NoReplication replication_;
    CaptureState state_;
    std::vector<engine::CaptureEvent> events_;
    std::optional<bool> known_when_told_;
    const engine::CaptureResources resources_{
        *repository_, replication_, {[](const std::string&) {}, [this](const engine::CaptureEvent& event) {
                                         events_.push_back(event);
                                         known_when_told_ = state_.view({}).has_hole;
                                     }}};
    Settings settings_;
    Teller teller_{resources_.voice.tell};
    Backfill backfill_{settings_, rig::real(), resources_, state_, teller_};
};

TEST_F(BackfillTest, AHoleIsKnownBeforeItIsTold) {
    append(0x3000000, 100);
    ASSERT_TRUE(go_round());
    EXPECT_EQ(state_.view({}).has_hole, false);
    append(0x3000200, 100);
    ASSERT_TRUE(go_round());
    ASSERT_EQ(events_.size(), 1U);
    EXPECT_EQ(events_.front().kind, engine::kCaptureHole);
    EXPECT_EQ(known_when_told_, true) << "else the incident would be over at once";
}

TEST_F(BackfillTest, ANodeThatCannotBeAskedKeepsItsWal) {
    append_with_hole();
    ASSERT_TRUE(go_round());
    EXPECT_EQ(state_.view({}).has_hole, true);
    EXPECT_TRUE(state_.is_held("a"));
}

TEST_F(BackfillTest, WhereTheRepositoryIsNoLongerNothingIsSaid) {
    append_with_hole();
    ASSERT_TRUE(rig_.memory.remove("config", rig::forever()));
    const Status done = go_round();
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(state_.view({}).has_hole, std::nullopt);
    EXPECT_TRUE(events_.empty());
}

TEST_F(BackfillTest, LogsThatAreGoneAreNotLogsThatHaveNotBegun) {
    ASSERT_TRUE(go_round());
    EXPECT_EQ(state_.view({}).has_hole, false) << "nothing was captured yet";
    append(0x3000000, 100);
    ASSERT_TRUE(repository::remove_log(*repository_, wal_log_name({"7", 1}), rig::forever()));
    const Status done = go_round();
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace aeterna::postgres
