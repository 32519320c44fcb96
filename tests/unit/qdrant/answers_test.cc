// Reading Qdrant's answers: good ones as recorded from 1.18.3, and everything a broken server or
// proxy may send.
#include "qdrant/client/answers.h"

#include <gtest/gtest.h>

namespace aeterna::qdrant {
namespace {

Json json(const std::string& text) {
    auto parsed = parse_json(text, "test");
    EXPECT_TRUE(parsed) << text;
    return parsed ? *parsed : Json();
}

constexpr const char* kCluster = R"({"status":"enabled","peer_id":1855985757255152,"peers":{
  "5467017219233734":{"uri":"http://127.0.93.12:6335/"},"1855985757255152":{"uri":"http://127.0.93.11:6335/"}},
  "raft_info":{"term":1,"commit":9,"pending_operations":0,"leader":1855985757255152,"role":"Leader","is_voter":true},
  "consensus_thread_status":{"consensus_thread_status":"working","last_update":"2026-11-23T13:07:29.129092189Z"},
  "message_send_failures":{"http://127.0.93.12:6335/":{"count":3,"latest_error":"no route\nat all","latest_error_timestamp":"t"}}})";

TEST(ParseCluster, ReadsARecordedAnswer) {
    const auto info = parse_cluster(json(kCluster));
    ASSERT_TRUE(info);
    EXPECT_TRUE(info->enabled);
    EXPECT_EQ(info->peer_id, 1855985757255152U);
    EXPECT_EQ(info->leader, info->peer_id);
    EXPECT_EQ(info->peers.at(5467017219233734U), "http://127.0.93.12:6335/");
    EXPECT_EQ(info->consensus, "working");
    EXPECT_EQ(info->send_failures.at("http://127.0.93.12:6335/"), "no route");
}

TEST(ParseCluster, KnowsStandaloneStoppedAndLeaderless) {
    EXPECT_FALSE(parse_cluster(json(R"({"status":"disabled"})"))->enabled);
    Json stopped = json(kCluster);
    stopped["consensus_thread_status"] = {{"consensus_thread_status", "stopped_with_err"},
                                          {"err", "disk"}};
    stopped["raft_info"]["leader"] = nullptr;
    const auto info = parse_cluster(stopped);
    ASSERT_TRUE(info);
    EXPECT_EQ(info->consensus, "stopped_with_err");
    EXPECT_EQ(info->consensus_error, "disk");
    EXPECT_EQ(info->leader, 0U);
}

TEST(ParseCluster, RefusesWhatMissesAnything) {
    for (const char* key : {"status", "peer_id", "peers", "raft_info", "consensus_thread_status"}) {
        Json broken = json(kCluster);
        broken.erase(key);
        EXPECT_FALSE(parse_cluster(broken)) << key;
        broken[key] = Json::array({1});
        EXPECT_FALSE(parse_cluster(broken) && std::string(key) != "raft_info") << key;
    }
    Json odd = json(kCluster);
    odd["peer_id"] = -4;
    EXPECT_FALSE(parse_cluster(odd));
    odd["peer_id"] = 1.5;
    EXPECT_FALSE(parse_cluster(odd));
    odd = json(kCluster);
    odd["peers"]["not a number"] = {{"uri", "x"}};
    EXPECT_FALSE(parse_cluster(odd));
    EXPECT_FALSE(parse_cluster(Json("text")));
    EXPECT_FALSE(parse_cluster(Json()));
}

TEST(ParseCollectionCluster, ReadsLocalAndRemoteShards) {
    const auto view = parse_collection_cluster(json(
        R"({"peer_id":1,"shard_count":1,"local_shards":[{"shard_id":0,"points_count":0,"state":"Active"}],
            "remote_shards":[{"shard_id":0,"peer_id":2,"state":"Dead"}],"shard_transfers":[{}]})"));
    ASSERT_TRUE(view);
    ASSERT_EQ(view->replicas.size(), 2U);
    EXPECT_EQ(view->replicas[0].peer_id, 1U);
    EXPECT_EQ(view->replicas[1].state, "Dead");
    EXPECT_EQ(view->transfers, 1U);
    for (const char* wrong :
         {R"({"peer_id":1,"local_shards":[]})",
          R"({"peer_id":1,"local_shards":{},"remote_shards":[]})",
          R"({"peer_id":1,"local_shards":[{"shard_id":0}],"remote_shards":[]})",
          R"({"peer_id":1,"local_shards":[],"remote_shards":[{"shard_id":0,"state":"Dead"}]})"}) {
        EXPECT_FALSE(parse_collection_cluster(json(wrong))) << wrong;
    }
}

TEST(ParseCollection, TellsARedOptimizer) {
    const auto info =
        parse_collection(json(R"({"status":"red","optimizer_status":{"error":"No space left"},
        "points_count":7,"config":{"params":{"replication_factor":2}}})"));
    ASSERT_TRUE(info);
    EXPECT_EQ(info->optimizer_error, "No space left");
    EXPECT_EQ(info->replication_factor, 2U);
    EXPECT_FALSE(parse_collection(json("{}")));
}

TEST(ParsePoints, RefusesWhatCannotBeOurs) {
    EXPECT_EQ(parse_scroll(json(R"({"points":[{"id":3}],"next_page_offset":4})"))->next, 4U);
    EXPECT_FALSE(
        parse_scroll(json(R"({"points":[{"id":"550e8400-e29b-41d4-a716-446655440000"}]})")));
    EXPECT_FALSE(parse_scroll(json(R"({"points":[],"next_page_offset":"x"})")));
    EXPECT_FALSE(parse_scroll(json(R"({"points":{}})")));
    EXPECT_FALSE(parse_query(json(R"([{"id":1}])"))) << "the legacy search's form";
    EXPECT_EQ(parse_query(json(R"({"points":[{"id":1,"score":0.5}]})"))->front(), 1U);
}

struct EnvelopeCase {
    int status;
    const char* body;
    ErrorCode code;
    Effect effect;
};

TEST(ParseEnvelope, MapsEveryStatusToACodeAndAnEffect) {
    const EnvelopeCase cases[] = {
        {400, R"({"status":{"error":"Wrong input"},"time":0})", ErrorCode::kServer, Effect::kNone},
        {401, "Invalid API key or JWT", ErrorCode::kAuthentication, Effect::kNone},
        {403, "{}", ErrorCode::kPermission, Effect::kNone},
        {404, R"({"status":{"error":"Not found"}})", ErrorCode::kNotFound, Effect::kNone},
        {408, "", ErrorCode::kTimeout, Effect::kUnknown},
        {409, "", ErrorCode::kAlreadyExists, Effect::kNone},
        {429, "", ErrorCode::kServer, Effect::kNone},
        {500, R"({"status":{"error":"Service internal error"}})", ErrorCode::kServer,
         Effect::kUnknown},
        {503, R"({"status":"already_in_progress"})", ErrorCode::kUnavailable, Effect::kUnknown},
        {502, "<html>proxy</html>", ErrorCode::kServer, Effect::kUnknown},
        {302, "", ErrorCode::kServer, Effect::kUnknown},
        {200, "not json", ErrorCode::kProtocol, Effect::kNone},
        {200, R"({"status":"ok"})", ErrorCode::kProtocol, Effect::kNone},
        {200, "[]", ErrorCode::kProtocol, Effect::kNone},
    };
    for (const EnvelopeCase& item : cases) {
        const auto result = parse_envelope({item.status, {}, item.body}, "GET /x");
        ASSERT_FALSE(result) << item.status;
        EXPECT_EQ(result.error().code, item.code) << item.status << " " << item.body;
        EXPECT_EQ(result.error().effect, item.effect) << item.status;
    }
    EXPECT_TRUE(*parse_envelope({200, {}, R"({"result":true,"status":"ok","time":0.1})"}, "x"));
}

TEST(ParseEnvelope, KeepsAServersTextShortAndOnOneLine) {
    const std::string huge(1 << 20, 'x');
    const auto result = parse_envelope({500, {}, huge + "\nsecond"}, "GET /x");
    ASSERT_FALSE(result);
    EXPECT_LT(result.error().message.size(), 400U);
    EXPECT_EQ(result.error().message.find('\n'), std::string::npos);
}

TEST(ParseVersion, OnlyTheRealTitleIsReal) {
    EXPECT_TRUE(
        parse_version(json(R"({"title":"qdrant - vector search engine","version":"1.18.3"})"))
            ->is_real());
    EXPECT_FALSE(
        parse_version(json(R"({"title":"aeterna-dr qdrant stand-in","version":"0"})"))->is_real());
    EXPECT_FALSE(parse_version(json(R"({"title":"x"})")));
}

}  // namespace
}  // namespace aeterna::qdrant
