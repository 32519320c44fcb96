// INFO, ROLE, SENTINEL replies and events, right and wrong.
#include <gtest/gtest.h>

#include "redis/client/connection.h"
#include "redis/client/info.h"
#include "redis/client/sentinel.h"

namespace aeterna::redis {
namespace {

Reply parse(const std::string& bytes) {
    Parser parser;
    parser.feed(bytes);
    auto reply = parser.next();
    EXPECT_TRUE(reply && *reply) << bytes;
    return reply && *reply ? **reply : Reply{};
}

// A flat array of texts, as RESP2 sends it.
Reply texts(const std::vector<std::string>& parts) {
    return parse(encode_command(parts));
}

TEST(Info, ReadsAMaster) {
    const auto info = parse_node_info(
        "# Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\nuptime_in_seconds:5\r\n\r\n# Replication\r\nrole:master\r\n"
        "connected_slaves:2\r\nslave0:ip=10.0.0.2,port=6379,state=online,offset=99,lag=1\r\n"
        "slave1:ip=10.0.0.3,port=x,state=wait_bgsave\r\nmaster_repl_offset:120\r\nkeyspace_hits:3\r\nkeyspace_misses:4\r\n"
        "rdb_last_bgsave_status:err\r\naof_last_write_status:ok\r\nloading:1\r\nnonsense\r\n:\r\n");
    ASSERT_TRUE(info);
    EXPECT_TRUE(info->is_master);
    EXPECT_TRUE(info->is_loading);
    EXPECT_EQ(info->run_id, "abc");
    EXPECT_EQ(info->master_offset, 120);
    ASSERT_EQ(info->replicas.size(), 2U);
    EXPECT_EQ(info->replicas[0].address.to_string(), "10.0.0.2:6379");
    EXPECT_EQ(info->replicas[0].offset, 99);
    EXPECT_EQ(info->replicas[1].address.port, 0);
    EXPECT_FALSE(info->is_rdb_ok);
    EXPECT_TRUE(info->is_aof_write_ok);
    EXPECT_FALSE(info->follows);
}

TEST(Info, ReadsAReplicaAndRefusesOthers) {
    const auto info = parse_node_info(
        "role:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6379\r\nmaster_link_status:down\r\n"
        "master_link_down_since_seconds:12\r\nslave_repl_offset:80\r\nslave_priority:0\r\n");
    ASSERT_TRUE(info);
    EXPECT_EQ(info->follows->to_string(), "10.0.0.1:6379");
    EXPECT_FALSE(info->is_link_up);
    EXPECT_EQ(info->link_down_seconds, 12);
    EXPECT_EQ(info->replica_priority, 0);
    for (const char* wrong : {"", "role:sentinel\r\n", "<html>", "role:\r\n"})
        EXPECT_EQ(parse_node_info(wrong).error().code, ErrorCode::kProtocol) << wrong;
}

TEST(RoleReply, ReadsEachKindAndRefusesNonsense) {
    EXPECT_TRUE(parse_role(parse("*3\r\n$6\r\nmaster\r\n:12\r\n*0\r\n"))->is_master());
    const auto replica = parse_role(parse("*5\r\n$5\r\nslave\r\n$8\r\n10.0.0.1\r\n:6379\r\n$9\r\nconnected\r\n:7\r\n"));
    ASSERT_TRUE(replica);
    EXPECT_TRUE(replica->is_connected_replica());
    EXPECT_EQ(replica->follows.to_string(), "10.0.0.1:6379");
    EXPECT_EQ(replica->offset, 7);
    EXPECT_EQ(parse_role(parse("*2\r\n$8\r\nsentinel\r\n*0\r\n"))->kind, Role::Kind::kSentinel);
    for (const char* wrong : {"*0\r\n", "+OK\r\n", "*1\r\n+master\r\n", "*2\r\n+slave\r\n+x\r\n", "*1\r\n:1\r\n",
                              "*2\r\n+boss\r\n:1\r\n", "$-1\r\n"})
        EXPECT_FALSE(parse_role(parse(wrong))) << wrong;
}

TEST(Sentinel, ReadsTheMasterFlatAndAsMap) {
    const std::vector<std::string> parts = {"name", "m", "ip", "10.0.0.1", "port", "6379", "flags", "s_down,o_down,master",
                                            "last-ok-ping-reply", "1500", "down-after-milliseconds", "5000", "quorum", "2",
                                            "num-other-sentinels", "2", "o-down-time", "300", "failover-timeout", "60000"};
    Reply flat = texts(parts);
    Reply map = flat;
    map.kind = Reply::Kind::kMap;
    for (const Reply& reply : {flat, map}) {
        const auto view = parse_master_view(reply);
        ASSERT_TRUE(view);
        EXPECT_TRUE(view->is_down());
        EXPECT_TRUE(view->has_flag("o_down"));
        EXPECT_EQ(view->address.to_string(), "10.0.0.1:6379");
        EXPECT_EQ(view->down_after_ms, 5000);
        EXPECT_EQ(view->o_down_ms, 300);
    }
    EXPECT_FALSE(parse_master_view(texts({"name", "m"})));
    EXPECT_FALSE(parse_master_view(parse("+OK\r\n")));
    EXPECT_FALSE(parse_master_view(parse("*2\r\n:1\r\n:2\r\n")));
}

TEST(Sentinel, ReadsAddressesAndReplicas) {
    EXPECT_EQ((*parse_master_address(texts({"10.0.0.1", "6379"})))->to_string(), "10.0.0.1:6379");
    EXPECT_FALSE(*parse_master_address(parse("*-1\r\n")));
    EXPECT_FALSE(parse_master_address(texts({"10.0.0.1", "99999"})));
    EXPECT_FALSE(parse_master_address(texts({"10.0.0.1"})));
    EXPECT_TRUE(parse_replica_views(parse("*0\r\n"))->empty());
    EXPECT_FALSE(parse_replica_views(parse("*1\r\n:1\r\n")));
    Reply list = parse("*0\r\n");
    list.elements.push_back(texts({"ip", "10.0.0.2", "port", "6379", "slave-priority", "7", "master-link-status", "ok"}));
    const auto views = parse_replica_views(list);
    ASSERT_TRUE(views);
    EXPECT_EQ(views->front().priority, 7);
    EXPECT_TRUE(views->front().is_link_ok);
}

TEST(Sentinel, OpinionFailsWithTheServersOwnError) {
    std::vector<Reply> replies(5, parse("-ERR No such master with that name\r\n"));
    const auto opinion = opinion_from_replies(replies, "sentinel-1");
    ASSERT_FALSE(opinion);
    EXPECT_EQ(opinion.error().code, ErrorCode::kNotFound);
    EXPECT_FALSE(opinion_from_replies({}, "sentinel-1"));
}

TEST(Sentinel, ReadsEvents) {
    const SentinelEvent odown = parse_event("+odown", "master m 10.0.0.1 6379 #quorum 2/2");
    EXPECT_EQ(odown.master_name, "m");
    EXPECT_EQ(odown.address.to_string(), "10.0.0.1:6379");
    const SentinelEvent sdown = parse_event("+sdown", "slave x 10.0.0.2 6379 @ m 10.0.0.1 6379");
    EXPECT_EQ(sdown.kind, "slave");
    EXPECT_EQ(sdown.master_name, "m");
    const SentinelEvent change = parse_event("+switch-master", "m 10.0.0.1 6379 10.0.0.2 6379");
    EXPECT_EQ(change.previous.to_string(), "10.0.0.1:6379");
    EXPECT_EQ(change.address.to_string(), "10.0.0.2:6379");
    EXPECT_TRUE(parse_event("+new-epoch", "7").master_name.empty());
    EXPECT_TRUE(parse_event("+switch-master", "m 10.0.0.1").address.host.empty());
    EXPECT_TRUE(event_from_message(texts({"pmessage", "*", "+odown", "master m 10.0.0.1 6379"})));
    EXPECT_FALSE(event_from_message(texts({"psubscribe", "*", "1"})));
    EXPECT_FALSE(event_from_message(parse("+PONG\r\n")));
}

TEST(Sentinel, MajorityNeedsMoreThanHalfOfTheVoters) {
    const env::Endpoint a{"10.0.0.1", 1};
    const env::Endpoint b{"10.0.0.2", 1};
    EXPECT_EQ(majority_address({a, b, a}, 3), a);
    EXPECT_EQ(majority_address({a}, 3), std::nullopt);
    EXPECT_EQ(majority_address({a, b}, 2), std::nullopt);
    EXPECT_EQ(majority_address({}, 0), std::nullopt);
}

TEST(ErrorWords, AreToldApart) {
    const std::pair<const char*, ErrorCode> table[] = {
        {"NOAUTH Authentication required.", ErrorCode::kAuthentication},
        {"WRONGPASS invalid", ErrorCode::kAuthentication},
        {"NOPERM this user", ErrorCode::kPermission},
        {"READONLY You can't write", ErrorCode::kReadOnly},
        {"LOADING Redis is loading", ErrorCode::kUnavailable},
        {"MASTERDOWN Link", ErrorCode::kUnavailable},
        {"NOREPLICAS Not enough", ErrorCode::kUnavailable},
        {"MISCONF Redis is", ErrorCode::kUnavailable},
        {"ERR max number of clients reached", ErrorCode::kUnavailable},
        {"ERR No such master with that name", ErrorCode::kNotFound},
        {"ERR syntax error", ErrorCode::kServer},
        {"", ErrorCode::kServer},
        {"READONLYISH", ErrorCode::kServer},
    };
    for (const auto& [text, code] : table) EXPECT_EQ(code_of_error_word(text), code) << text;
}

}  // namespace
}  // namespace aeterna::redis
