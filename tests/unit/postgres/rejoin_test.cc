// Waiting for a replaced primary that somebody holds down.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/fake_env.h"
#include "fixtures.h"
#include "postgres/steps/steps.h"

namespace aeterna::postgres {
namespace {

using namespace testing;
using ::testing::HasSubstr;

struct Held {
    Settings settings = three_nodes();
    aeterna::testing::FakeEnv fake;
    Json facts{{"old_primary", "postgres-1"}, {"new_primary", "postgres-2"}};
    engine::StepContext step{fake.clock.context(10min), facts, [](const std::string&) {}, 17};

    explicit Held(const char* marker) {
        settings.hosts = {{"host-1", "a", "local", "/fences",
                           {{"patroni-1", "/patroni.pid", {}}, {"postgres-1", "/data/postmaster.pid", {}}}}};
        step.context.run_id = "exec-2";
        fake.files.content[marker] = R"({"reason":"failover postgres","since":"2026-11-28T10:00:00Z"})";
    }
    // What it ends with, and after how long.
    std::pair<Error, Duration> wait() {
        const MonoTime begun = fake.clock.now();
        const Status ended = make_await_rejoin({settings, fake.env, "", ""})->apply(step);
        EXPECT_FALSE(ended);
        return {ended ? Error() : ended.error(), fake.clock.now() - begun};
    }
};

TEST(AwaitRejoin, AFenceThatStandsUntilWeEndIsNotWaitedFor) {
    for (const char* marker : {"/fences/postgres-1/exec-1", "/fences/patroni-1/operator"}) {
        Held held(marker);
        const auto [error, took] = held.wait();
        EXPECT_EQ(error.code, ErrorCode::kAwaitingApproval);
        EXPECT_THAT(error.message, HasSubstr("is held fenced by"));
        EXPECT_LT(took, 10s);
        EXPECT_EQ(held.facts["await_rejoin.rejoin"], "pending");
    }
}

TEST(AwaitRejoin, ADrillsFenceIsWaitedForUntilTheBudgetEnds) {
    Held held("/fences/postgres-1/q1-1");
    const auto [error, took] = held.wait();
    EXPECT_EQ(error.code, ErrorCode::kAwaitingApproval);
    EXPECT_THAT(error.message, HasSubstr("proposed next step: start Patroni on 'host-1'"));
    EXPECT_GE(took, 5min);
}

}  // namespace
}  // namespace aeterna::postgres
