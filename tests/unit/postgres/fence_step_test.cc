// What becomes of the markers of a fence that kills nobody. Nobody answers in this cluster, so nothing can be proven anew.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/fake_env.h"
#include "fixtures.h"
#include "postgres/steps/steps.h"

namespace aeterna::postgres {
namespace {

using namespace testing;
using ::testing::HasSubstr;

constexpr const char* kAgentMarker = "/fences/patroni-1/exec-1";

struct Proven {
    Settings settings = three_nodes();
    aeterna::testing::FakeEnv fake;
    Json facts{{"old_primary", "postgres-1"}, {"assist", "proven"}};
    std::stop_source stop;
    std::string told;
    engine::StepContext step{{fake.clock.now() + 40s, stop.get_token(), "exec-1"},
                             facts,
                             [this](const std::string& line) { told += line + "\n"; },
                             17};

    Proven() {
        settings.hosts = {{"host-1", "a", "local", "/fences",
                           {{"patroni-1", "/patroni.pid", {}, true}, {"postgres-1", "/postmaster.pid", {}, true}}}};
    }
    // By this process, just now, when nothing ran.
    void prove() {
        facts["prove_loss"] = {{"by", fake.processes.own_pid()}, {"at_ns", fake.clock.now().time_since_epoch().count()}, {"ran", Json::array()}};
    }
    void start_agent() {
        fake.files.content["/patroni.pid"] = "50\n";
        fake.processes.alive = {50};
    }
    void mark() { fake.files.content[kAgentMarker] = R"({"reason":"failover","since":"2026-11-28T10:00:00Z"})"; }
    bool is_marked() const { return fake.files.content.contains(kAgentMarker); }
    Status apply() { return make_fence({settings, fake.env, "", "", config::Assist::kAct})->apply(step); }
};

TEST(FenceStep, WhatItHasSparedIsLetGoWhereTheLossIsNotProvenAnyMore) {
    Proven proven;
    proven.prove();
    proven.start_agent();
    const Status applied = proven.apply();
    EXPECT_TRUE(applied) << applied.error().to_string();
    EXPECT_THAT(proven.told, HasSubstr("not fenced: process 50 of 'patroni-1' was started after the look"));
    EXPECT_EQ(proven.facts["assist"], "refused");
    EXPECT_FALSE(proven.is_marked());
    EXPECT_FALSE(proven.facts.contains("fenced"));
    EXPECT_TRUE(proven.fake.processes.alive.contains(50));
}

// It may have killed somebody, who is to be started again once somebody leads.
TEST(FenceStep, WhatAFormerLifeHasFencedStays) {
    Proven proven;
    proven.mark();
    const Status applied = proven.apply();
    EXPECT_TRUE(applied) << applied.error().to_string();
    EXPECT_EQ(proven.facts["assist"], "refused");
    EXPECT_TRUE(proven.is_marked());
    EXPECT_EQ(proven.facts["fenced"], Json({"patroni-1", "postgres-1"}));
}

TEST(FenceStep, WhatEndsItBehindItsMarkersIsNotWithoutEffect) {
    for (const bool is_marked : {true, false}) {
        Proven proven;
        if (is_marked) proven.mark();
        proven.stop.request_stop();
        const Status applied = proven.apply();
        ASSERT_FALSE(applied);
        EXPECT_EQ(applied.error().code, ErrorCode::kCancelled);
        EXPECT_EQ(applied.error().effect, is_marked ? Effect::kPartial : Effect::kNone);
    }
}

}  // namespace
}  // namespace aeterna::postgres
