// Telling the tail apart, reading a server's place from its configuration, and writing `replicaof`
// into it.
#include "redis/steps/tail.h"

#include <gtest/gtest.h>

#include "../support/fake_env.h"
#include "fake_servers.h"
#include "redis/steps/rejoin.h"
#include "redis/steps/sentinel_teaching.h"
#include "redis/steps/server_files.h"

namespace aeterna::redis {
namespace {

using namespace testing;
using Commands = std::vector<Command>;

std::string encoded(const Commands& commands) {
    std::string text;
    for (const Command& command : commands) text += encode_command(command);
    return text;
}

Commands pushes(int from, int to) {
    Commands commands;
    for (int i = from; i <= to; ++i) commands.push_back({"RPUSH", "l", std::to_string(i)});
    return commands;
}

TEST(AofEnd, IsReadFromTheFirstWholeCommand) {
    const Commands commands{
        {"SELECT", "0"}, {"SET", "k", "a\r\n*1\r\n$4\r\nPING\r\n"}, {"INCR", "n"}};
    const std::string text = encoded(commands);
    EXPECT_EQ(parse_aof_end(text), commands);
    EXPECT_EQ(parse_aof_end("#TS:1700000000\r\n" + text), commands);
    EXPECT_EQ(parse_aof_end("c\r\n$1\r\nv\r\n" + text), commands);  // a command cut at its head
    EXPECT_EQ(parse_aof_end(text + "*2\r\n$4\r\nINC"), commands);   // torn by the crash
    EXPECT_TRUE(parse_aof_end("").empty());
    EXPECT_TRUE(parse_aof_end("*9999999\r\n$-5\r\n*x").empty());
}

TEST(FindTail, StartsAfterTheLastAgreement) {
    const Commands noise{{"SELECT", "0"}, {"PUBLISH", "__sentinel__:hello", "x"}, {"PING"}};
    Commands shared = pushes(1, 100);
    shared.insert(shared.end(), noise.begin(), noise.end());
    EXPECT_EQ(find_tail(pushes(1, 103), shared), pushes(101, 103));
    EXPECT_EQ(find_tail(pushes(1, 100), shared), Commands{});
    EXPECT_FALSE(find_tail(pushes(200, 300), shared));
    EXPECT_FALSE(find_tail(pushes(1, 3), noise));
    EXPECT_EQ(find_tail(pushes(90, 103), shared),
              std::nullopt);  // its file was rewritten just before
    EXPECT_EQ(find_tail(pushes(70, 103), shared), pushes(101, 103));
    // The same write again and again: nobody can say which were shared.
    EXPECT_EQ(find_tail(Commands(8, {"INCR", "n"}), Commands(5, {"INCR", "n"})), std::nullopt);
    EXPECT_EQ(describe_writes({{"RPUSH", "l", "1"}, {"rpush", "l", "2"}, {"INCR", "n"}}),
              "3 writes: incr 1, rpush 2");
}

TEST(WithReplicaof, ReplacesOnlyTheMaster) {
    const env::Endpoint master{"10.0.0.2", 6379};
    EXPECT_EQ(with_replicaof("port 1\nreplicaof 10.0.0.9 1\n# replicaof x\nSLAVEOF a 2\nsave \"\"",
                             master),
              "port 1\n# replicaof x\nsave \"\"\nreplicaof 10.0.0.2 6379\n");
    const std::string once = with_replicaof("port 1\n", master);
    EXPECT_EQ(with_replicaof(once, master), once);
    EXPECT_EQ(with_replicaof("", master), "replicaof 10.0.0.2 6379\n");
}

TEST(DataPlace, FollowsTheConfiguration) {
    const DataPlace place = data_place(
        "# dir /x\ndir \"/data/r 1\"\nappendonly yes\nappenddirname aofs\nappendfilename a.aof\n");
    EXPECT_EQ(place.directory, "/data/r 1");
    EXPECT_TRUE(place.is_aof);
    aeterna::testing::FakeFiles files;
    files.content["/data/r 1/aofs/a.aof.manifest"] = "m";
    files.content["/data/r 1/aofs/a.aof.1.base.rdb"] = "b";
    files.content["/data/r 1/aofs/a.aof.1.incr.aof"] = "i";
    files.content["/data/r 1/aofs/other"] = "o";
    files.content["/data/r 1/dump.rdb"] = "r";
    const auto paths = persistent_files(place, files);
    ASSERT_TRUE(paths);
    ASSERT_EQ(paths->size(), 3U);
    EXPECT_TRUE(paths->back().ends_with(".manifest"));
    EXPECT_EQ(persistent_files(data_place("dir /data/r 1\nappendonly no\n"), files)->front(),
              "/data/r 1/dump.rdb");
    EXPECT_FALSE(persistent_files(data_place("dir ./here\n"), files));
}

TEST(TeachingCommands, SetWhatWasThere) {
    auto settings = std::make_shared<RedisSettings>(*make_settings());
    settings->password = Secret("pw");
    const Json remembered{{"quorum", 3},
                          {"down-after-milliseconds", 30000},
                          {"failover-timeout", 60000},
                          {"parallel-syncs", 2},
                          {"notification-script", "/bin/n"}};
    const auto commands = teaching_commands(*settings, settings->nodes[1], remembered);
    const Commands expected{{"SENTINEL", "MONITOR", "m", "10.0.0.2", "6379", "3"},
                            {"SENTINEL", "SET", "m", "auth-pass", "pw"},
                            {"SENTINEL", "SET", "m", "down-after-milliseconds", "30000"},
                            {"SENTINEL", "SET", "m", "failover-timeout", "60000"},
                            {"SENTINEL", "SET", "m", "parallel-syncs", "2"},
                            {"SENTINEL", "SET", "m", "notification-script", "/bin/n"}};
    EXPECT_EQ(commands, expected);
    EXPECT_EQ(teaching_commands(*make_settings(), settings->nodes[1], Json::object()),
              (Commands{{"SENTINEL", "MONITOR", "m", "10.0.0.2", "6379", "2"}}));
}

const Json kRemembered{{"quorum", 2}, {"down-after-milliseconds", 5000}, {"failover-timeout", 60000}, {"parallel-syncs", 1}};

TEST(Teaching, ASentinelThatDiedBehindTheNameIsSetWhenItIsBack) {
    for (const std::string last : {"MONITOR", "SET m down-after-milliseconds"}) {
        FakeServers servers;
        Json facts;
        for (int n = 1; n <= 3; ++n) facts[kSentinelSettings]["sentinel-" + std::to_string(n)] = kRemembered;
        servers.on_order = [&](const std::string& order) {
            if (order.starts_with("sentinel-2 SENTINEL " + last)) servers.sentinels[2].is_refusing = true;
        };
        const auto teach = [&] { return teach_all(*servers.cluster, servers.settings->nodes[1], facts, servers.fake.clock.context()); };
        EXPECT_EQ(teach().size(), 1U);
        EXPECT_EQ(teach().size(), 1U) << "it is away still";
        servers.on_order = nullptr;
        servers.sentinels[2].is_refusing = false;
        servers.orders.clear();
        EXPECT_TRUE(teach().empty());
        EXPECT_EQ(servers.count("sentinel-2 SENTINEL SET m down-after-milliseconds 5000"), 1U) << last;
        EXPECT_EQ(servers.count("MONITOR"), 0U) << "the name it has";
        EXPECT_EQ(servers.count("sentinel-1"), 0U) << "that one has everything";
        servers.orders.clear();
        EXPECT_TRUE(teach().empty());
        EXPECT_TRUE(servers.orders.empty());
    }
}

TEST(Teaching, WhatASentinelRefusesIsSaidOnceAndNotAskedForever) {
    FakeServers servers;
    Json facts;
    for (int n = 1; n <= 3; ++n) facts[kSentinelSettings]["sentinel-" + std::to_string(n)] = kRemembered;
    facts[kSentinelSettings]["sentinel-2"]["notification-script"] = "/bin/n";
    servers.on_order = [&](const std::string& order) {
        if (order.find("notification-script") != std::string::npos) servers.next_error = "ERR Reconfiguration of scripts path is denied";
    };
    const auto teach = [&] { return teach_all(*servers.cluster, servers.settings->nodes[1], facts, servers.fake.clock.context()); };
    EXPECT_EQ(teach().size(), 1U);
    EXPECT_TRUE(teach().empty());
}

}  // namespace
}  // namespace aeterna::redis
