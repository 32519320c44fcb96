// The heartbeat against a scripted server, and the rights that we ask for.
#include "postgres/client/sql.h"

#include <gtest/gtest.h>

#include <functional>

#include "fixtures.h"
#include "postgres/check_config.h"

namespace aeterna::postgres {
namespace {

class ScriptedSql final : public env::SqlConnection {
  public:
    std::function<Result<env::SqlRows>(const std::string&)> answer;
    std::vector<std::string> asked;
    std::vector<std::optional<std::string>> parameters;
    Result<env::SqlRows> query(const std::string& sql,
                               const std::vector<std::optional<std::string>>& values,
                               const env::Context&) override {
        asked.push_back(sql);
        parameters = values;
        return answer(sql);
    }
    bool is_usable() const override { return true; }
};

Result<env::SqlRows> affected(std::int64_t count) {
    env::SqlRows rows;
    rows.affected = count;
    return rows;
}

Error state(const std::string& sqlstate) {
    return make_error(ErrorCode::kServer, "no (SQLSTATE " + sqlstate + ")");
}

TEST(Beat, WritesOneRowInOneGuardedStatement) {
    ScriptedSql sql;
    sql.answer = [](const std::string&) { return affected(1); };
    EXPECT_TRUE(beat(sql, "direct", "4711", {}));
    ASSERT_EQ(sql.asked.size(), 1U);
    EXPECT_NE(sql.asked[0].find("pg_try_advisory_xact_lock"), std::string::npos);
    EXPECT_NE(sql.asked[0].find("lock_timeout"), std::string::npos);
    EXPECT_EQ(sql.parameters, (std::vector<std::optional<std::string>>{"direct", "4711"}));
}

TEST(Beat, AnEarlierOneThatStillWaitsIsNamed) {
    const Result<env::SqlRows> cases[] = {affected(0), state("55P03")};
    for (const auto& said : cases) {
        ScriptedSql sql;
        sql.answer = [&said](const std::string&) { return said; };
        const Status written = beat(sql, "direct", "", {});
        ASSERT_FALSE(written);
        EXPECT_EQ(written.error().code, ErrorCode::kUnavailable);
        EXPECT_EQ(written.error().message, "an earlier heartbeat is still waiting");
    }
}

TEST(Beat, MakesTheTableWithoutWaitingBehindOneThatHangs) {
    ScriptedSql sql;
    bool is_made = false;
    sql.answer = [&](const std::string& statement) -> Result<env::SqlRows> {
        if (statement.find("to_regnamespace") != std::string::npos) {
            env::SqlRows rows;
            rows.rows = {{"t"}};
            return rows;
        }
        if (statement.find("CREATE") != std::string::npos) {
            EXPECT_NE(statement.find("SET LOCAL lock_timeout"), std::string::npos);
            is_made = true;
            return affected(0);
        }
        return is_made ? affected(1) : state("42P01");
    };
    EXPECT_TRUE(beat(sql, "direct", "", {}));
    sql.answer = [](const std::string& statement) -> Result<env::SqlRows> {
        return state(statement.find("INSERT") != std::string::npos ? "42P01" : "55P03");
    };
    const Status written = beat(sql, "direct", "", {});
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().message, "an earlier heartbeat is still waiting");
}

TEST(LeastPrivilege, NamesTheRightsInEtcdAndPatroniToo) {
    Settings settings = testing::three_nodes();
    const std::string open = least_privilege(settings);
    for (const char* part :
         {"GRANT pg_monitor TO \"aeterna_dr\"",
          "etcdctl role grant-permission \"aeterna-dr\" --prefix read '/service/aeterna/'",
          "etcdctl role grant-permission \"aeterna-dr\" --prefix readwrite '/aeterna-dr/test/'",
          "POST /switchover", "not set here"}) {
        EXPECT_NE(open.find(part), std::string::npos) << part;
    }
    settings.etcd->user = "watcher";
    settings.patroni_user = "operator";
    const std::string named = least_privilege(settings);
    EXPECT_NE(named.find("etcdctl user grant-role \"watcher\" \"watcher\""), std::string::npos);
    EXPECT_NE(named.find("here 'operator'"), std::string::npos);
}

}  // namespace
}  // namespace aeterna::postgres
