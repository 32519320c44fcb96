// What Patroni and etcd say, in the forms of 3.0.2 and 4.x, and wrong.
#include <gtest/gtest.h>

#include "postgres/client/dcs.h"
#include "postgres/client/patroni.h"
#include "postgres/client/sql.h"
#include "postgres/detect/probes.h"

namespace aeterna::postgres {
namespace {

TEST(PatroniNode, Debian302Primary) {
    const auto node = parse_patroni_node(
        R"({"state":"running","postmaster_start_time":"2026-11-23 13:08:27+00:00","role":"master","server_version":150020,
            "xlog":{"location":67109048},"timeline":2,"replication":[{"usename":"replicator","application_name":"postgres-2",
            "client_addr":"127.0.0.2","state":"streaming","sync_state":"async","sync_priority":0}],"dcs_last_seen":1763903347,
            "database_system_identifier":"7575","patroni":{"version":"3.0.2","scope":"aeterna"}})");
    ASSERT_TRUE(node);
    EXPECT_TRUE(node->claims_primary());
    EXPECT_EQ(node->location, 67109048);
    EXPECT_EQ(node->timeline, 2);
    ASSERT_EQ(node->replication.size(), 1u);
    EXPECT_EQ(node->replication[0].application_name, "postgres-2");
    EXPECT_EQ(node->patroni_version, "3.0.2");
}

TEST(PatroniNode, Version4ReplicaAndStoppedServer) {
    const auto replica = parse_patroni_node(
        R"({"state":"streaming","role":"replica","xlog":{"received_location":10,"replayed_location":9,
            "replayed_timestamp":null,"paused":false},"replication_state":"streaming","sync_standby":true,"pause":true})");
    ASSERT_TRUE(replica);
    EXPECT_TRUE(replica->is_running());
    EXPECT_FALSE(replica->claims_primary());
    EXPECT_EQ(replica->replayed, 9);
    EXPECT_TRUE(replica->paused && replica->is_sync_standby);

    const auto stopped =
        parse_patroni_node(R"({"state":"stopped","role":"master","cluster_unlocked":true})");
    ASSERT_TRUE(stopped);
    EXPECT_FALSE(stopped->claims_primary());
    EXPECT_TRUE(stopped->cluster_unlocked);
    EXPECT_EQ(stopped->timeline, std::nullopt);
}

TEST(Patroni, WrongDocumentsAreErrors) {
    for (const char* text : {"", "null", "[]", "7", "{}", "<html>502</html>",
                             R"({"role":"master"})", R"({"state":7})"}) {
        EXPECT_FALSE(parse_patroni_node(text)) << text;
    }
    for (const char* text :
         {"", "{}", R"({"members":{}})", R"({"members":[{}]})", R"({"members":[3]})"}) {
        EXPECT_FALSE(parse_patroni_cluster(text)) << text;
    }
    for (const char* text : {"{}", "[[1]]", R"([["1",2]])", "[7]"})
        EXPECT_FALSE(parse_patroni_history(text)) << text;
    for (const char* text : {"[]", "x"}) {
        EXPECT_FALSE(parse_patroni_config(text)) << text;
        EXPECT_FALSE(parse_sync_key(text)) << text;
        EXPECT_FALSE(parse_failover_key(text)) << text;
    }
    // Wrong types of single members are as if absent.
    const auto node = parse_patroni_node(
        R"({"state":"running","xlog":[],"timeline":"x","replication":{},"pause":"y"})");
    ASSERT_TRUE(node);
    EXPECT_EQ(node->timeline, std::nullopt);
    EXPECT_FALSE(node->paused);
}

TEST(PatroniCluster, LagMayBeUnknown) {
    const auto cluster = parse_patroni_cluster(
        R"({"members":[{"name":"a","role":"leader","state":"running","timeline":3},
            {"name":"b","role":"sync_standby","state":"streaming","lag":0,"tags":{"nofailover":true}},
            {"name":"c","role":"replica","state":"start failed","lag":"unknown"}],
            "pause":true,"scheduled_switchover":{"at":"2026-11-24T00:00:00+00:00"}})");
    ASSERT_TRUE(cluster);
    EXPECT_EQ(cluster->leader, "a");
    EXPECT_EQ(cluster->members[1].lag_bytes, 0);
    EXPECT_TRUE(cluster->members[1].nofailover);
    EXPECT_EQ(cluster->members[2].lag_bytes, std::nullopt);
    EXPECT_TRUE(cluster->paused);
    EXPECT_FALSE(cluster->scheduled_switchover.empty());
}

TEST(PatroniConfig, DefaultsOldAndNewNames) {
    const auto empty = parse_patroni_config("{}");
    ASSERT_TRUE(empty);
    EXPECT_EQ(empty->ttl, 30);
    EXPECT_EQ(empty->primary_start_timeout, 300);
    const auto config = parse_patroni_config(
        R"({"ttl":20,"master_start_timeout":10,"synchronous_mode":"quorum","pause":true,"postgresql":{"use_pg_rewind":true}})");
    ASSERT_TRUE(config);
    EXPECT_EQ(config->primary_start_timeout, 10);
    EXPECT_TRUE(config->synchronous_mode && config->paused && config->use_pg_rewind);
}

TEST(Dcs, KeysOfOneCluster) {
    const std::string prefix = "/service/aeterna/";
    const DcsView view = parse_dcs(
        prefix,
        {{prefix + "leader", "postgres-1", 1, 5, 77},
         {prefix + "members/postgres-2",
          R"({"role":"replica","state":"running","xlog_location":42,"timeline":1})", 1, 1, 7},
         {prefix + "members/postgres-3", "garbage", 1, 1, 7},
         {prefix + "sync", R"({"leader":"postgres-1","sync_standby":"postgres-2, postgres-3"})", 1,
          1, 0},
         {prefix + "failover", "{}", 1, 1, 0},
         {prefix + "config", R"({"ttl":30})", 1, 1, 0},
         {prefix + "failsafe", R"({"postgres-1":"http://x"})", 1, 1, 0},
         {prefix + "initialize", "7575", 1, 1, 0},
         {prefix + "status", R"({"optime":4711,"slots":{"postgres_2":4700}})", 1, 1, 0},
         {"/service/other/leader", "z", 1, 1, 0}});
    ASSERT_TRUE(view.leader);
    EXPECT_EQ(view.leader->member, "postgres-1");
    EXPECT_EQ(view.leader->lease, 77);
    EXPECT_EQ(view.members.at("postgres-2").location, 42);
    EXPECT_EQ(view.sync->standbys, (std::vector<std::string>{"postgres-2", "postgres-3"}));
    EXPECT_FALSE(view.failover);
    EXPECT_EQ(view.failsafe, std::vector<std::string>{"postgres-1"});
    EXPECT_EQ(view.system_identifier, "7575");
    EXPECT_EQ(view.unreadable.size(), 1u);
    EXPECT_EQ(view.last_leader_position, 4711);
    EXPECT_EQ(parse_dcs(prefix, {{prefix + "optime/leader", "42", 1, 1, 0}}).last_leader_position, 42);
}

TEST(Patroni, WhatAnActionsStatusMeans) {
    EXPECT_EQ(action_outcome(200), ActionOutcome::kDone);
    EXPECT_EQ(action_outcome(202), ActionOutcome::kScheduled);
    EXPECT_EQ(action_outcome(412), ActionOutcome::kImpossible);
    EXPECT_EQ(action_outcome(503), ActionOutcome::kUnknown);
    EXPECT_EQ(action_outcome(0), ActionOutcome::kUnknown);
}

TEST(Patroni, VersionsThatStealTheKey) {
    EXPECT_TRUE(is_version_before("3.0.2", 3, 2));
    EXPECT_FALSE(is_version_before("3.2.0", 3, 2));
    EXPECT_FALSE(is_version_before("4.1.5", 3, 2));
    EXPECT_FALSE(is_version_before("", 3, 2));
}

TEST(Exporter, SamplesAreJoinedByInstance) {
    services::PrometheusSample up{{{"instance", "a:1"}}, 0, 1}, pg_up{{{"instance", "a:1"}}, 0, 0};
    const ExporterView view = merge_exporter_samples({up}, {pg_up});
    ASSERT_EQ(view.samples.size(), 1u);
    EXPECT_EQ(view.samples[0].up, 1.0);
    EXPECT_EQ(view.samples[0].pg_up, 0.0);
    EXPECT_TRUE(merge_exporter_samples({}, {}).samples.empty());
}

}  // namespace
}  // namespace aeterna::postgres
