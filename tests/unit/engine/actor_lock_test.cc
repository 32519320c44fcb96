#include "engine/runbook/actor_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/fake_env.h"

namespace aeterna::engine {
namespace {

using ::testing::HasSubstr;

config::Stack stack_without_etcd() {
    config::Stack stack;
    stack.name = "toy";
    stack.state_directory = "/state";
    return stack;
}

TEST(FileActorLock, IsHeldByOneAndSaysWhy) {
    ::aeterna::testing::FakeEnv fake;
    fake.files.content["/proc/sys/kernel/hostname"] = "box\n";
    const config::Stack stack = stack_without_etcd();
    const std::unique_ptr<ActorLock> first = make_actor_lock(stack, fake.env);
    const std::unique_ptr<ActorLock> second = make_actor_lock(stack, fake.env);
    {
        const auto hold = first->acquire("failover redis (exec-1)", fake.clock.context());
        ASSERT_TRUE(hold) << hold.error().to_string();
        EXPECT_TRUE((*hold)->is_held());
        const auto refused = second->acquire("other", fake.clock.context());
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, ErrorCode::kLocked);
        EXPECT_EQ(refused.error().message,
                  "another aeterna-dr acts on stack 'toy': failover redis (exec-1) "
                  "(host box, pid 4711, since 2026-03-01T10:00:00.000Z)");
    }
    EXPECT_TRUE(second->acquire("other", fake.clock.context()));
    EXPECT_FALSE(fake.files.exists("/state/actor.json"));
}

TEST(EtcdActorLock, SilentEtcdIsUnavailable) {
    ::aeterna::testing::FakeEnv fake;
    config::Stack stack = stack_without_etcd();
    stack.etcd = config::EtcdSettings{{"http://127.0.0.1:1"}, "", {}, {}};
    const auto refused = make_actor_lock(stack, fake.env)->acquire("failover", fake.clock.context());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
    EXPECT_THAT(refused.error().hint, HasSubstr("quorum"));
}

}  // namespace
}  // namespace aeterna::engine
