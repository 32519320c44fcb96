// libpq against a real PostgreSQL server, started for this program on a loopback address; skipped without one.
#include "sql_server.h"

namespace aeterna::env::testing {
namespace {

class SqlTest : public SqlServerTest {};

TEST_F(SqlTest, QueriesWithParametersAndNulls) {
    auto session = real().sql.connect(server_->target, within(10s));
    ASSERT_TRUE(session) << session.error().to_string();
    const auto rows = (*session)->query("SELECT $1::int + 1 AS next, $2::text AS nothing", {"41", std::nullopt}, within(10s));
    ASSERT_TRUE(rows) << rows.error().to_string();
    EXPECT_EQ(rows->columns, (std::vector<std::string>{"next", "nothing"}));
    EXPECT_EQ(rows->first(0), "42");
    EXPECT_EQ(rows->first(1), std::nullopt);
    ASSERT_TRUE((*session)->query("CREATE TEMP TABLE t (n int)", {}, within(10s)));
    EXPECT_EQ((*session)->query("INSERT INTO t SELECT generate_series(1, 3)", {}, within(10s))->affected, 3);
    const std::string big(3 << 20, 'x');
    EXPECT_EQ((*session)->query("SELECT length($1)", {big}, within(20s))->first(), std::to_string(big.size()));
}

TEST_F(SqlTest, ErrorsAreToldApartBySqlstate) {
    auto session = real().sql.connect(server_->target, within(10s));
    ASSERT_TRUE(session);
    const auto wrong = (*session)->query("SELECT * FROM no_such_table", {}, within(10s));
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().code, ErrorCode::kServer);
    EXPECT_NE(wrong.error().message.find("42P01"), std::string::npos);
    EXPECT_TRUE((*session)->is_usable());
    ASSERT_TRUE((*session)->query("SET default_transaction_read_only = on", {}, within(10s)));
    EXPECT_EQ((*session)->query("CREATE TABLE t (n int)", {}, within(10s)).error().code, ErrorCode::kReadOnly);
}

TEST_F(SqlTest, WrongPasswordsAndRefusalsAreToldApart) {
    SqlTarget target = server_->target;
    target.password = Secret("wrong");
    const auto denied = real().sql.connect(target, within(10s));
    ASSERT_FALSE(denied);
    EXPECT_EQ(denied.error().code, ErrorCode::kAuthentication) << denied.error().to_string();
    EXPECT_EQ(denied.error().to_string().find("wrong"), std::string::npos);
    target.password = Secret();
    EXPECT_EQ(real().sql.connect(target, within(10s)).error().code, ErrorCode::kAuthentication);
    target.endpoint = free_endpoint();
    EXPECT_EQ(real().sql.connect(target, within(10s)).error().code, ErrorCode::kConnectionRefused);
}

// Link-local without an interface: EINVAL before any packet, as behind a route that drops.
TEST(Sql, AKernelThatSendsNothingIsNoAnswerOfTheServer) {
    env::SqlTarget target;
    target.endpoint = {"fe80::1", 5432};
    target.user = target.database = "nobody";
    const auto nowhere = real().sql.connect(target, within(10s));
    ASSERT_FALSE(nowhere);
    EXPECT_EQ(nowhere.error().code, ErrorCode::kUnreachable) << nowhere.error().to_string();
}

TEST_F(SqlTest, AStatementPastItsDeadlineKillsTheSession) {
    auto session = real().sql.connect(server_->target, within(10s));
    ASSERT_TRUE(session);
    const auto late = (*session)->query("SELECT pg_sleep(60)", {}, within(100ms));
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code, ErrorCode::kTimeout);
    EXPECT_EQ(late.error().effect, Effect::kUnknown);
    EXPECT_FALSE((*session)->is_usable());
    EXPECT_EQ((*session)->query("SELECT 1", {}, within(1s)).error().code, ErrorCode::kConnectionLost);
}

TEST_F(SqlTest, ATerminatedSessionIsDead) {
    auto victim = real().sql.connect(server_->target, within(10s));
    auto killer = real().sql.connect(server_->target, within(10s));
    ASSERT_TRUE(victim && killer);
    const auto pid = (*victim)->query("SELECT pg_backend_pid()", {}, within(10s))->first();
    ASSERT_TRUE((*killer)->query("SELECT pg_terminate_backend($1::int, 10000)", {pid}, within(20s)));
    const auto answer = (*victim)->query("SELECT 1", {}, within(10s));
    ASSERT_FALSE(answer);
    EXPECT_TRUE(answer.error().code == ErrorCode::kUnavailable || answer.error().code == ErrorCode::kConnectionLost)
        << answer.error().to_string();
    EXPECT_EQ(answer.error().effect, Effect::kUnknown);
    EXPECT_FALSE((*victim)->is_usable());
}

TEST_F(SqlTest, AStoppedServerIsSilence) {
    ASSERT_TRUE(real().processes.signal(server_->id(), SIGSTOP));
    const auto session = real().sql.connect(server_->target, within(200ms));
    ASSERT_TRUE(real().processes.signal(server_->id(), SIGCONT));
    ASSERT_FALSE(session);
    EXPECT_EQ(session.error().code, ErrorCode::kTimeout);
}

}  // namespace
}  // namespace aeterna::env::testing
