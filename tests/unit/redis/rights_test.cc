// The printed ACL lines against the questions that are asked: each word is asked for, and no more than that.
#include "redis/rights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "base/strings.h"
#include "fake_servers.h"

namespace aeterna::redis::testing {
namespace {

using engine::ConfigFinding;
using Level = ConfigFinding::Level;
using ::testing::HasSubstr;

using Words = std::set<std::string>;  // "ping", "client|pause"

Words words_of(const std::string& line) {
    Words words;
    std::istringstream stream(line);
    for (std::string word; stream >> word;) {
        if (word.starts_with('+')) words.insert(word.substr(1));
    }
    return words;
}

bool is_granted(const Words& words, const Command& command, std::size_t at = 0) {
    if (words.contains(lower(command[at]))) return true;
    return at + 1 < command.size() && words.contains(lower(command[at]) + "|" + lower(command[at + 1]));
}

struct Printed {
    Words watch, act, sentinel;
};

class Rights : public ::testing::Test {
  protected:
    Rights() {
        servers.acl = [this](bool is_sentinel, const Command& command) -> std::string {
            const Words& words = is_sentinel ? at_sentinel : at_node;
            if (!is_granted(words, command)) return "-NOPERM this user has no permissions to run it\r\n";
            if (command[1] == "WHOAMI") return FakeServers::bulk("watcher");
            EXPECT_EQ(command[2], "watcher");
            return is_granted(words, command, 3) ? "+OK\r\n" : FakeServers::bulk("no permission");
        };
    }
    void stack(config::Assist assist) {
        auto settings = std::make_shared<RedisSettings>(*make_settings());
        settings->assist = assist;
        cluster = std::make_shared<Cluster>(settings, servers.env);
        std::vector<Words> lines;
        std::istringstream text(least_privilege_text(*settings));
        for (std::string line; std::getline(text, line);) {
            if (line.starts_with("user ")) lines.push_back(words_of(line));
        }
        ASSERT_EQ(lines.size(), 3U);
        printed = {lines[0], lines[1], lines[2]};
    }
    std::vector<ConfigFinding> ask_node() {
        return check_rights(*cluster, cluster->settings().nodes[0], servers.fake.clock.context());
    }
    std::vector<ConfigFinding> ask_sentinel() {
        return check_rights(*cluster, cluster->settings().sentinels[0], servers.fake.clock.context());
    }

    FakeServers servers;
    Words at_node, at_sentinel;  // what the user may do there
    Printed printed;
    std::shared_ptr<Cluster> cluster;
};

TEST_F(Rights, TheWatchersLineIsEnoughToWatch) {
    stack(config::Assist::kOff);
    at_node = printed.watch;
    const auto findings = ask_node();
    ASSERT_EQ(findings.size(), 1U);
    EXPECT_EQ(findings[0].level, Level::kWarning) << "a choice, no mistake";
    EXPECT_THAT(findings[0].message, HasSubstr("cannot switch over and assist a failover: it lacks CLIENT PAUSE"));
    EXPECT_THAT(findings[0].message, HasSubstr("PSYNC"));
}

TEST_F(Rights, WithActTheWatchersLineIsTooLittle) {
    stack(config::Assist::kAct);
    at_node = printed.watch;
    ASSERT_EQ(ask_node().size(), 1U);
    EXPECT_EQ(ask_node()[0].level, Level::kError);
    at_sentinel = printed.sentinel;
    at_sentinel.erase("sentinel|failover");
    ASSERT_EQ(ask_sentinel().size(), 1U);
    EXPECT_EQ(ask_sentinel()[0].level, Level::kError);
    EXPECT_EQ(ask_sentinel()[0].message, "the user 'watcher' cannot promote: it lacks SENTINEL FAILOVER");
}

// A word that is printed and never asked for would be missed only in a failover.
TEST_F(Rights, EveryPrintedWordIsAskedFor) {
    stack(config::Assist::kAct);
    at_node = printed.act;
    at_sentinel = printed.sentinel;
    ASSERT_EQ(ask_node().size(), 1U);
    EXPECT_EQ(ask_node()[0].level, Level::kOk) << ask_node()[0].message;
    ASSERT_EQ(ask_sentinel().size(), 1U);
    EXPECT_EQ(ask_sentinel()[0].level, Level::kOk) << ask_sentinel()[0].message;
    printed.act.erase("client|setname");  // nothing depends on it
    printed.sentinel.erase("client|setname");
    for (const std::string& word : printed.act) {
        at_node = printed.act;
        at_node.erase(word);
        EXPECT_NE(ask_node()[0].level, Level::kOk) << word;
    }
    for (const std::string& word : printed.sentinel) {
        at_sentinel = printed.sentinel;
        at_sentinel.erase(word);
        EXPECT_NE(ask_sentinel()[0].level, Level::kOk) << word;
    }
}

TEST_F(Rights, WhatCannotBeAskedIsSaidAndNotGuessed) {
    stack(config::Assist::kAct);
    at_node = printed.act;
    at_node.erase("acl|dryrun");
    ASSERT_EQ(ask_node().size(), 1U);
    EXPECT_EQ(ask_node()[0].level, Level::kWarning);
    EXPECT_THAT(ask_node()[0].message, HasSubstr("cannot be asked for"));
}

TEST_F(Rights, OnlyAStackThatActsIsToldToLetTheSentinelsBeTaught) {
    stack(config::Assist::kOff);
    EXPECT_FALSE(printed.sentinel.contains("sentinel|monitor"));
    stack(config::Assist::kAct);
    EXPECT_TRUE(printed.sentinel.contains("sentinel|monitor"));
}

}  // namespace
}  // namespace aeterna::redis::testing
