// What the monitor tells the isolation guard, and what its probe of the disks finds.
#include "postgres/detect/monitor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

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

// Of a dead server: its pid file is gone. Only what lies on a file system of its own is named, and what cannot be measured is
// left out.
TEST(DiskProbe, FindsWalAndTablespacesOnFileSystemsOfTheirOwn) {
    aeterna::testing::FakeEnv fake;
    Settings settings = three_nodes();
    settings.hosts = {{"host-1", "a", "local", "/fences", {{"postgres-1", "/data/postmaster.pid", {}}}}};
    fake.files.content = {{"/data/pg_tblspc/16384/PG_15", ""}, {"/data/pg_tblspc/16385/PG_15", ""}};
    fake.files.rooms = {{"/data", {500, 1, 1000}}, {"/data/pg_wal", {20, 2, 100}},
                        {"/data/pg_tblspc/16384", {500, 1, 1000}}, {"/data/pg_tblspc/16385", {9, 3, 10}}};
    PostgresMonitor monitor(settings, fake.env);
    const auto probes = monitor.probes();
    const auto probe = std::find_if(probes.begin(), probes.end(), [](const auto& one) { return one.name == "postgres-1 disk"; });
    ASSERT_NE(probe, probes.end());
    EXPECT_EQ(std::count_if(probes.begin(), probes.end(), [](const auto& one) { return one.name.ends_with(" disk"); }), 1);
    probe->run({});
    std::vector<std::pair<std::string, std::uint64_t>> found;
    monitor.board().post([&](Snapshot& seen) {
        const auto& disks = seen.nodes["postgres-1"].disks.value;
        if (!disks) return;
        for (const DiskView& disk : *disks) found.emplace_back(disk.path, disk.room.free_bytes);
    });
    EXPECT_THAT(found, ::testing::ElementsAre(std::pair("/data", 500), std::pair("/data/pg_wal", 20),
                                            std::pair("/data/pg_tblspc/16385", 9)));
}

}  // namespace
}  // namespace aeterna::postgres
