#include "app/cli/check_assist.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "toy_store.h"

namespace aeterna::app {
namespace {

using config::Assist;
using Level = engine::ConfigFinding::Level;
using ::testing::HasSubstr;

class CheckAssist : public ::testing::Test {
  protected:
    CheckAssist() {
        auto root = config::Section::parse("redis: {}", "t.yaml");
        stack.stores.push_back(config::StoreSection{"redis", {}, {}, *root});
        stack.hosts.resize(1);
        stack.hosts[0].name = "host-1";
        stack.hosts[0].executor = "local";
        for (const char* node : {"agent-1", "redis-1", "redis-2"}) {
            config::HostProcess process;
            process.node = node;
            process.honours_fence = true;
            stack.hosts[0].processes.push_back(process);
        }
    }
    [[nodiscard]] std::vector<engine::ConfigFinding> ask(Assist assist) {
        stack.stores[0].assist = assist;
        return check_assist(stack, store);
    }

    config::Stack stack;
    ToyStore store;
};

TEST_F(CheckAssist, SaysWhatTheWordImplies) {
    EXPECT_THAT(ask(Assist::kOff).at(0).message, HasSubstr("nothing is fenced"));
    EXPECT_THAT(ask(Assist::kPropose).at(0).message, HasSubstr("names the steps"));
    EXPECT_THAT(ask(Assist::kAct).at(0).message, HasSubstr("without a question; the same failure of the same node is "
                                                           "only proposed for during 10 min"));
    EXPECT_EQ(ask(Assist::kAct).back().message, "redis-1, redis-2 can be fenced");
}

TEST_F(CheckAssist, NamesWhatCannotBeFenced) {
    stack.hosts[0].processes[0].honours_fence = false;
    auto findings = ask(Assist::kAct);
    ASSERT_EQ(findings.size(), 3U);
    EXPECT_EQ(findings[1].level, Level::kWarning);
    EXPECT_EQ(findings[1].subject, "fence redis-1");
    EXPECT_EQ(findings[1].message,
              "nothing would keep 'agent-1' from being started again: its death would be waited for");
    EXPECT_EQ(findings[2].message, "redis-2 can be fenced");
    EXPECT_EQ(ask(Assist::kOff).size(), 2U) << "no complaint where nothing is asked for";
    stack.hosts[0].executor = "none";
    EXPECT_EQ(ask(Assist::kAct).back().message, "no node can be fenced from here");
}

TEST_F(CheckAssist, AStoreWithoutAFailoverHasNoUseForIt) {
    store.infos.clear();
    EXPECT_TRUE(ask(Assist::kOff).empty());
    const auto findings = ask(Assist::kAct);
    ASSERT_EQ(findings.size(), 1U);
    EXPECT_EQ(findings[0].level, Level::kWarning);
}

}  // namespace
}  // namespace aeterna::app
