// An audit's round over a repository in memory, and a node that has nothing of what is missing, or cannot be asked.
#include "postgres/capture/backfill.h"

#include <gtest/gtest.h>

#include "postgres/client/wal.h"
#include "repository/log_segments.h"
#include "rig.h"

namespace aeterna::postgres {
namespace {

namespace rig = repository::testing;

// A walsender that has removed what it is asked for.
class EmptyServer final : public env::ReplicationConnection {
  public:
    Status start(const std::string&, const env::Context&) override { return {}; }
    Result<env::ReplicationPart> next(const env::Context&) override {
        return make_error(ErrorCode::kServer, "requested WAL segment has already been removed (SQLSTATE 58P01)");
    }
    Status send(std::string_view, const env::Context&) override { return {}; }
    Status end_copy(const env::Context&) override { return {}; }
    std::vector<std::string> take_warnings() override { return {}; }
    bool is_usable() const override { return true; }
};

class Replication final : public env::ReplicationConnector {
  public:
    bool is_up = true;
    Result<std::unique_ptr<env::ReplicationConnection>> connect(const env::SqlTarget&, const env::Context&) override {
        if (!is_up) return make_error(ErrorCode::kConnectionRefused, "connection refused");
        return std::make_unique<EmptyServer>();
    }
};

// Of cluster 7, on timeline 1.
class Replica final : public env::SqlConnector {
  public:
    bool is_up = true;
    Lsn end = 0x3001000;
    Result<std::unique_ptr<env::SqlConnection>> connect(const env::SqlTarget&, const env::Context&) override {
        if (!is_up) return make_error(ErrorCode::kConnectionRefused, "connection refused");
        return std::make_unique<Session>(*this);
    }

  private:
    class Session final : public env::SqlConnection {
      public:
        explicit Session(const Replica& replica) : replica_(replica) {}
        Result<env::SqlRows> query(const std::string&, const std::vector<std::optional<std::string>>&,
                                   const env::Context&) override {
            env::SqlRows rows;
            rows.rows = {{"f", "7", "1", format_lsn(replica_.end), "16777216"}};
            return rows;
        }
        bool is_usable() const override { return false; }  // a new one each time

      private:
        const Replica& replica_;
    };
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
    Replication replication_;
    Replica replica_;
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
    const env::Env env_{rig::real().clock,         rig::real().random, rig::real().threads,       rig::real().files,
                        rig::real().processes,     rig::real().dialer, rig::real().http,          rig::real().http_listener,
                        replica_,                  rig::real().log};
    Backfill backfill_{settings_, env_, resources_, state_, teller_};
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

TEST_F(BackfillTest, ANodeThatHasNotAnsweredKeepsItsWal) {
    append_with_hole();
    replica_.is_up = false;
    ASSERT_TRUE(go_round());
    EXPECT_EQ(state_.view({}).has_hole, true);
    EXPECT_TRUE(state_.is_held("a"));
    replica_.is_up = true;
    replication_.is_up = false;
    ASSERT_TRUE(go_round());
    EXPECT_TRUE(state_.is_held("a")) << "a look is no answer";
    replication_.is_up = true;
    replica_.end = 0x3000100;
    ASSERT_TRUE(go_round());
    EXPECT_TRUE(state_.is_held("a")) << "it is behind the hole's end and may still come to have it";
    replica_.end = 0x3001000;
    ASSERT_TRUE(go_round());
    EXPECT_FALSE(state_.is_held("a")) << "it has nothing";
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
