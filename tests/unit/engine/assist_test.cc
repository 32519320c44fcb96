#include "engine/runbook/assist.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace aeterna::engine {
namespace {

using config::Assist;

TEST(AssistParameter, IsAWordOrNone) {
    EXPECT_EQ(assist_parameter({}).value(), Assist::kOff);
    EXPECT_EQ(assist_parameter({{"assist", nullptr}}).value(), Assist::kOff);
    EXPECT_EQ(assist_parameter({{"assist", "off"}}).value(), Assist::kOff);
    EXPECT_EQ(assist_parameter({{"assist", "propose"}}).value(), Assist::kPropose);
    EXPECT_EQ(assist_parameter({{"assist", "act"}}).value(), Assist::kAct);
    for (const Json& wrong : {Json("acts"), Json(""), Json(true)}) {
        const auto refused = assist_parameter({{"assist", wrong}});
        ASSERT_FALSE(refused) << wrong;
        EXPECT_EQ(refused.error().code, ErrorCode::kUsage);
    }
}

TEST(AssistLeave, IsTheWordOrAYes) {
    const Json nothing = Json::object(), yes = {{kApprovedByFact, "ann"}};
    EXPECT_TRUE(may_act(Assist::kAct, nothing));
    EXPECT_FALSE(may_act(Assist::kPropose, nothing));
    EXPECT_TRUE(may_act(Assist::kPropose, yes));
    EXPECT_FALSE(may_act(Assist::kOff, nothing));
    EXPECT_EQ(assist_condition(Assist::kAct, "it rains"), "only if it rains");
    EXPECT_EQ(assist_condition(Assist::kPropose, "it rains"), "only if somebody says yes to the proposal, and it rains");
    EXPECT_EQ(assist_condition(Assist::kOff, "it rains"), "only with assist 'propose' or 'act'");
}

}  // namespace
}  // namespace aeterna::engine
