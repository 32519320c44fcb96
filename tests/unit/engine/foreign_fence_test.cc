#include "engine/runbook/foreign_fence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/fake_env.h"
#include "hosts/fence_marker.h"

namespace aeterna::engine {
namespace {

using ::testing::Optional;

TEST(ForeignFence, IsOneThatStandsUntilWeEnd) {
    struct Row {
        const char *node, *holder;
        bool waits_for_us;
    };
    const Row table[] = {
        {"postgres-1", "exec-20261128T100000Z-dead", true},
        {"patroni-1", "exec-20261128T100000Z-dead", true},
        {"postgres-1", hosts::kOperator, true},
        {"postgres-2", "exec-20261128T100000Z-dead", false},
        {"postgres-1", "exec-20261128T110000Z-0001", false},  // ours
        {"postgres-1", "q1-20261128T100000Z-0002", false},
        {"postgres-1", "fault-20261128T100000Z-0003", false},
    };
    for (const Row& row : table) {
        aeterna::testing::FakeEnv fake;
        const config::Host host{"host-1", "a", "local", "/fences", {}};
        const auto executor = hosts::make_executor(host, fake.env).value();
        ASSERT_TRUE(hosts::put_marker(fake.files, "/fences", {row.node, row.holder, "failover postgres", {}}));
        const auto found = find_foreign_fence(*executor, {"patroni-1", "postgres-1"}, "exec-20261128T110000Z-0001", fake.clock.context());
        if (row.waits_for_us) {
            EXPECT_THAT(found, Optional("'" + std::string(row.node) + "' is held fenced by " + row.holder + " (failover postgres)"));
        } else {
            EXPECT_EQ(found, std::nullopt) << row.node << " " << row.holder;
        }
    }
}

}  // namespace
}  // namespace aeterna::engine
