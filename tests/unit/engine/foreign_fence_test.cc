#include "engine/runbook/foreign_fence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../env/real_env.h"
#include "../support/fake_env.h"
#include "hosts/fence_marker.h"

namespace aeterna::engine {
namespace {

using env::testing::Directory;
using env::testing::real;
using ::testing::HasSubstr;

constexpr const char* kOther = "exec-20261128T100000Z-dead";
constexpr const char* kOwn = "exec-20261128T110000Z-0001";

struct Waiting {
    Json facts = Json::object();
    StepContext step{{MonoTime::max(), {}, kOwn}, facts, [](const std::string&) {}, 17};
};

TEST(ForeignFence, IsOneThatStandsUntilWeEnd) {
    struct Row {
        const char *node, *holder;
        bool is_in_etcd, waits_for_us;
    };
    const Row table[] = {
        {"postgres-1", kOther, true, true},
        {"patroni-1", kOther, true, true},
        {"postgres-1", hosts::kOperator, true, true},
        {"postgres-1", hosts::kOperator, false, true},
        {"postgres-1", kOther, false, false},  // a lock file of ours keeps no other machine from acting
        {"postgres-2", kOther, true, false},
        {"postgres-1", kOwn, true, false},
        {"postgres-1", "q1-20261128T100000Z-0002", true, false},
        {"postgres-1", "fault-20261128T100000Z-0003", true, false},
    };
    for (const Row& row : table) {
        aeterna::testing::FakeEnv fake;
        const config::Host host{"host-1", "a", "local", "/fences", {{"patroni-1", "/p", {}, true}, {"postgres-1", "/s", {}, true}}};
        const auto executor = hosts::make_executor(host, fake.env).value();
        ASSERT_TRUE(hosts::put_marker(fake.files, "/fences", {row.node, row.holder, "failover postgres", {}}));
        Waiting waiting;
        if (!row.is_in_etcd) waiting.step.actor_lease.reset();
        ForeignFenceWatch watch;
        const Status free = watch.look(*executor, {"patroni-1", "postgres-1"}, waiting.step, fake.clock.now());
        ASSERT_EQ(free.has_value(), !row.waits_for_us) << row.node << " " << row.holder;
        if (free) continue;
        EXPECT_EQ(free.error().code, ErrorCode::kAwaitingApproval);
        EXPECT_EQ(free.error().message, "redundancy is not restored: '" + std::string(row.node) + "' is held fenced by " +
                                            row.holder + " (failover postgres)");
        EXPECT_THAT(free.error().hint, HasSubstr("'aeterna-dr unfence " + std::string(row.node) + " --holder " + row.holder + "'"));
        EXPECT_TRUE(watch.look(*executor, {"postgres-1"}, waiting.step, fake.clock.now() + 999ms)) << "once a second";
    }
}

// Left by somebody who died: what runs needs no start, and comes back in spite of it.
TEST(ForeignFence, AMarkerOfANodeThatRunsHoldsNobodyDown) {
    const Directory directory;
    const auto server = real().processes.spawn({{"sleep", "1000"}, {}, true, "/", "", {}});
    ASSERT_TRUE(server);
    ASSERT_TRUE(real().files.write_durable(directory.file("server"), std::to_string(server->pid) + "\n"));
    const config::Host host{"host-1", "a", "local", directory.file("fences"), {{"redis-1", directory.file("server"), {}, true}}};
    const auto executor = hosts::make_executor(host, real()).value();
    ASSERT_TRUE(hosts::put_marker(real().files, directory.file("fences"), {"redis-1", kOther, "failover redis", {}}));
    Waiting waiting;
    EXPECT_TRUE(ForeignFenceWatch().look(*executor, {"redis-1"}, waiting.step, real().clock.now()));
    ASSERT_TRUE(real().processes.signal(*server, SIGKILL));
    EXPECT_TRUE(env::testing::eventually([&] { return !real().processes.is_alive(*server); }));
    EXPECT_FALSE(ForeignFenceWatch().look(*executor, {"redis-1"}, waiting.step, real().clock.now()));
}

}  // namespace
}  // namespace aeterna::engine
