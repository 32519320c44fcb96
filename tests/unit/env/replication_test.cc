// The replication protocol against a real PostgreSQL server; skipped without one.
#include "env/posix/replication.h"

#include <fmt/format.h>

#include "sql_server.h"

namespace aeterna::env::testing {
namespace {

using Kind = ReplicationPart::Kind;

class ReplicationTest : public SqlServerTest {
  protected:
    static std::unique_ptr<ReplicationConnection> connected(const SqlTarget& target) {
        auto session = make_libpq_replication_connector()->connect(target, within(10s));
        EXPECT_TRUE(session) << session.error().to_string();
        return session ? std::move(*session) : nullptr;
    }
    static void sql(const SqlTarget& target, const std::string& text) {
        auto session = real().sql.connect(target, within(10s));
        ASSERT_TRUE(session);
        const auto done = (*session)->query(text, {}, within(30s));
        ASSERT_TRUE(done) << done.error().to_string();
    }
};

// Reads parts until one is of `kind`, which is returned; the bytes of CopyData on the way are counted.
ReplicationPart until(ReplicationConnection& session, Kind kind, std::size_t* bytes = nullptr) {
    while (true) {
        auto part = session.next(within(20s));
        EXPECT_TRUE(part) << part.error().to_string();
        if (!part) return {};
        if (part->kind == Kind::kCopyData && bytes != nullptr) *bytes += part->data.size();
        if (part->kind == kind) return std::move(*part);
        if (part->kind == Kind::kEnd) {
            ADD_FAILURE() << "the command ended";
            return {};
        }
    }
}

// A stream of WAL mixes data (w) and keepalives (k) as it likes.
void until_message(ReplicationConnection& session, char type) {
    while (true) {
        const auto part = session.next(within(20s));
        ASSERT_TRUE(part) << part.error().to_string();
        ASSERT_EQ(part->kind, Kind::kCopyData);
        if (part->data.front() == type) return;
    }
}

TEST_F(ReplicationTest, AnswersCommandsWithRows) {
    const auto session = connected(server_->target);
    ASSERT_TRUE(session);
    const auto system = ask(*session, "IDENTIFY_SYSTEM", within(10s));
    ASSERT_TRUE(system) << system.error().to_string();
    EXPECT_EQ(system->columns, (std::vector<std::string>{"systemid", "timeline", "xlogpos", "dbname"}));
    EXPECT_EQ(system->first(1), "1");
    const auto slot = ask(*session, "CREATE_REPLICATION_SLOT " + replication_name("a_slot") + " PHYSICAL", within(10s));
    ASSERT_TRUE(slot) << slot.error().to_string();
    EXPECT_EQ(slot->first(0), "a_slot");
    EXPECT_EQ(ask(*session, "READ_REPLICATION_SLOT a_slot", within(10s))->first(0), "physical");
    EXPECT_EQ(ask(*session, "SHOW wal_segment_size", within(10s))->first(0), "16MB");
    // Timeline 1 has no history file; the session goes on after an error.
    EXPECT_EQ(ask(*session, "TIMELINE_HISTORY 1", within(10s)).error().code, ErrorCode::kServer);
    const auto wrong = ask(*session, "NO SUCH COMMAND", within(10s));
    ASSERT_FALSE(wrong);
    EXPECT_NE(wrong.error().message.find("0A000"), std::string::npos) << wrong.error().to_string();
    EXPECT_TRUE(ask(*session, "DROP_REPLICATION_SLOT a_slot", within(10s)));
}

TEST_F(ReplicationTest, PullsABaseBackup) {
    const auto session = connected(server_->target);
    ASSERT_TRUE(session);
    ASSERT_TRUE(session->start(fmt::format("BASE_BACKUP (LABEL {}, CHECKPOINT 'fast', WAIT false, MANIFEST 'yes')",
                                           replication_literal("it's \\ a label")),
                               within(10s)));
    EXPECT_EQ(session->start("IDENTIFY_SYSTEM", within(1s)).error().code, ErrorCode::kUsage);
    const auto begin = until(*session, Kind::kRows);
    EXPECT_EQ(begin.rows.columns, (std::vector<std::string>{"recptr", "tli"}));
    EXPECT_EQ(until(*session, Kind::kRows).rows.columns, (std::vector<std::string>{"spcoid", "spclocation", "size"}));
    until(*session, Kind::kCopyBegin);
    EXPECT_EQ(session->send("x", within(1s)).error().code, ErrorCode::kUsage);
    std::size_t bytes = 0;
    until(*session, Kind::kCopyEnd, &bytes);
    EXPECT_GT(bytes, 10u << 20);
    EXPECT_EQ(until(*session, Kind::kRows).rows.columns, (std::vector<std::string>{"recptr", "tli"}));
    until(*session, Kind::kEnd);
    EXPECT_TRUE(ask(*session, "IDENTIFY_SYSTEM", within(10s)));
}

TEST_F(ReplicationTest, ADeadlineOrAStopCostsAStreamNothing) {
    const auto session = connected(server_->target);
    ASSERT_TRUE(session);
    const auto system = ask(*session, "IDENTIFY_SYSTEM", within(10s));
    ASSERT_TRUE(system);
    ASSERT_TRUE(session->start("START_REPLICATION PHYSICAL " + *system->first(2) + " TIMELINE 1", within(10s)));
    until(*session, Kind::kCopyBegin);
    // An idle server is silent after its first words; a stream that goes on fails this test by its time only.
    auto part = session->next(within(100ms));
    while (part) part = session->next(within(100ms));
    EXPECT_EQ(part.error().code, ErrorCode::kTimeout);
    std::stop_source stop;
    stop.request_stop();
    EXPECT_EQ(session->next(within(10s, stop.get_token())).error().code, ErrorCode::kCancelled);
    EXPECT_TRUE(session->is_usable());
    // A standby status update (r, three positions, time, "answer at once"): the server answers with a keepalive.
    std::string update(34, '\0');
    update[0] = 'r';
    update[33] = '\1';
    ASSERT_TRUE(session->send(update, within(10s)));
    until_message(*session, 'k');
    sql(server_->target, "SELECT pg_switch_wal() FROM (SELECT pg_logical_emit_message(true, 'x', 'y')) AS written");
    until_message(*session, 'w');
    ASSERT_TRUE(session->end_copy(within(10s)));
    until(*session, Kind::kCopyEnd);
    until(*session, Kind::kEnd);
    EXPECT_TRUE(ask(*session, "IDENTIFY_SYSTEM", within(10s)));
}

TEST_F(ReplicationTest, TheEndOfATimelineNamesTheNext) {
    SqlServer standby([](const std::string& data_directory) {
        ASSERT_TRUE(real().files.write_durable(data_directory + "/standby.signal", "", 0644));
    });
    ASSERT_TRUE(standby.is_up);
    const auto session = connected(standby.target);
    ASSERT_TRUE(session);
    ASSERT_TRUE(session->start("START_REPLICATION PHYSICAL 0/1000000 TIMELINE 1", within(10s)));
    until(*session, Kind::kCopyBegin);
    sql(standby.target, "SELECT pg_promote()");
    std::size_t bytes = 0;
    until(*session, Kind::kCopyEnd, &bytes);
    EXPECT_GT(bytes, 1u << 20);
    const auto next = until(*session, Kind::kRows);
    EXPECT_EQ(next.rows.columns, (std::vector<std::string>{"next_tli", "next_tli_startpos"}));
    EXPECT_EQ(next.rows.first(0), "2");
    until(*session, Kind::kEnd);
    const auto history = ask(*session, "TIMELINE_HISTORY 2", within(10s));
    ASSERT_TRUE(history) << history.error().to_string();
    EXPECT_EQ(history->first(0), "00000002.history");
}

TEST_F(ReplicationTest, ARoleWithoutTheRightIsToldApart) {
    sql(server_->target, "CREATE ROLE mere LOGIN PASSWORD 'right'");
    SqlTarget target = server_->target;
    target.user = "mere";
    const auto refused = make_libpq_replication_connector()->connect(target, within(10s));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kPermission) << refused.error().to_string();
    target.password = Secret("wrong");
    EXPECT_EQ(make_libpq_replication_connector()->connect(target, within(10s)).error().code,
              ErrorCode::kAuthentication);
}

TEST_F(ReplicationTest, AKilledWalsenderEndsTheSession) {
    const auto session = connected(server_->target);
    ASSERT_TRUE(session);
    ASSERT_TRUE(session->start("BASE_BACKUP (CHECKPOINT 'fast', WAIT false)", within(10s)));
    until(*session, Kind::kCopyBegin);
    // One that waits for its client is cut off; one that does not says goodbye, which ends the copy in good form first.
    sql(server_->target,
        "DO $$ BEGIN FOR i IN 1..2000 LOOP PERFORM pg_stat_clear_snapshot(), pg_sleep(0.01); "
        "IF EXISTS (SELECT 1 FROM pg_stat_activity WHERE backend_type = 'walsender' AND wait_event = 'ClientWrite') THEN RETURN; END IF; "
        "END LOOP; RAISE 'it never waited for its client'; END $$");
    sql(server_->target, "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_replication");
    auto part = session->next(within(20s));
    while (part) {
        ASSERT_NE(part->kind, Kind::kCopyEnd);
        part = session->next(within(20s));
    }
    EXPECT_TRUE(part.error().code == ErrorCode::kUnavailable || part.error().code == ErrorCode::kConnectionLost)
        << part.error().to_string();
    EXPECT_EQ(part.error().effect, Effect::kUnknown);
    EXPECT_FALSE(session->is_usable());
    EXPECT_EQ(session->next(within(1s)).error().code, ErrorCode::kConnectionLost);
}

}  // namespace
}  // namespace aeterna::env::testing
