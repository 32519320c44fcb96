// What the monitor tells the isolation guard.
#include "postgres/detect/monitor.h"

#include <gtest/gtest.h>

#include "../support/fake_env.h"
#include "fixtures.h"

namespace aeterna::postgres {
namespace {

using namespace testing;

std::size_t count_answered(PostgresMonitor& monitor) {
    const auto all = monitor.reach();
    return static_cast<std::size_t>(
        std::count_if(all.begin(), all.end(), [](const auto& reach) { return reach.answered; }));
}

TEST(Reach, AnAnswerAgesAndASilentVantageNeverAnswered) {
    aeterna::testing::FakeEnv fake;
    const Settings settings = three_nodes();
    PostgresMonitor monitor(settings, fake.env);
    EXPECT_EQ(count_answered(monitor), 0U) << "nothing tried yet";
    const MonoTime at = fake.clock.now();
    post_sql(monitor.board(), "postgres-1", sql_view(true), at, at);
    post_sql(monitor.board(), "postgres-2", refused(), at, at);
    post_sql(monitor.board(), "postgres-3", silence(), at, at);
    monitor.board().post([&](Snapshot& seen) {
        fold(seen.nodes["postgres-1"].rest, Result<PatroniNode>(rest_view(true)), at, at);
        fold(seen.client, Result<ClientView>(ClientView{"postgres-1", false, true}), at, at);
        fold(seen.etcd_health, Result<std::vector<services::EtcdMemberHealth>>(etcd_health(2)), at,
             at);
    });
    EXPECT_EQ(count_answered(monitor), 6U) << "a refusal is an answer too";
    fake.clock.advance(kSqlRhythm.stale_after() + 1ms);
    EXPECT_EQ(count_answered(monitor), 3U) << "client path and etcd may take longer";
    fake.clock.advance(kEtcdHealthRhythm.stale_after());
    EXPECT_EQ(count_answered(monitor), 0U);
    for (const auto& reach : monitor.reach()) {
        const bool was_asked =
            reach.vantage == "patroni-1 REST" || !reach.vantage.starts_with("patroni");
        EXPECT_EQ(reach.tried, was_asked) << reach.vantage;
    }
}

}  // namespace
}  // namespace aeterna::postgres
