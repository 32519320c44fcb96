#include "engine/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace aeterna::engine {
namespace {

StackStatus sample() {
    StackStatus status;
    status.healthy = true;
    status.assist = "act";
    status.paused = true;
    status.maintenance = {{"maint-1", "", "new disks", from_unix_us(1'772'366'400'000'000)},
                          {"maint-2", "qdrant", "", from_unix_us(1'772'362'800'000'000)}};
    status.watcher = "serve";
    status.at = from_unix_us(1'772'359'200'123'000);
    StoreStatus store;
    store.store = "qdrant";
    store.health = Health::kDegraded;
    store.nodes.push_back({"qdrant-1", "qdrant", "peer", "running", std::nullopt, false, "stand-in", "a", "slow"});
    store.nodes.push_back({"qdrant-2", "qdrant", "peer", "running", 42, true, "real", "b", ""});
    store.assist = "propose";
    store.paused = true;
    store.reasons = {"qdrant-3 REST: no answer"};
    store.extra["cluster_status"] = "Yellow";
    store.extra["health"] = "a store must not overwrite the contract";
    status.stores.push_back(store);
    status.incidents.push_back({"inc-1", "qdrant.peer_down", "qdrant", "qdrant-3", "degraded", "open", "down", {"r"},
                                status.at, std::nullopt});
    return status;
}

TEST(Status, HasEveryMemberOfTheContract) {
    const Json document = to_json(sample());
    for (const char* key : {"healthy", "assist", "paused", "isolated", "watcher", "stores", "incidents", "maintenance"}) {
        EXPECT_TRUE(document.contains(key)) << key;
    }
    const Json& store = document["stores"]["qdrant"];
    EXPECT_EQ(store["health"], "degraded");
    EXPECT_EQ(store["cluster_status"], "Yellow");
    for (const char* key : {"primary", "rpo_now_seconds", "rto_forecast_seconds"}) {
        ASSERT_TRUE(store.contains(key)) << key;
        EXPECT_TRUE(store[key].is_null()) << key;
    }
    EXPECT_EQ(store["capture"], "none");
    EXPECT_EQ(document["assist"], "act");
    EXPECT_EQ(store["assist"], "propose");
    EXPECT_EQ(store["paused"], true);
    EXPECT_TRUE(document["maintenance"][0]["store"].is_null()) << "every store";
    const Json& node = store["nodes"][0];
    for (const char* key : {"name", "kind", "role", "state", "lag_bytes", "fenced", "server", "site", "note"}) {
        EXPECT_TRUE(node.contains(key)) << key;
    }
    EXPECT_TRUE(node["lag_bytes"].is_null());
    EXPECT_EQ(store["nodes"][1]["lag_bytes"], 42);
    EXPECT_TRUE(document["incidents"][0]["closed_at"].is_null());
}

TEST(Status, SurvivesTheWayThroughJson) {
    const Json document = to_json(sample());
    const Result<StackStatus> read = stack_status_from_json(parse_json(dump_json(document), "test").value());
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(to_json(*read), document);
    EXPECT_EQ(read->stores[0].extra.size(), 1u);
}

TEST(Status, RefusesWrongDocuments) {
    const std::vector<std::string> broken = {"/healthy", "/at", "/stores/qdrant/health", "/stores/qdrant/nodes",
                                             "/stores/qdrant/nodes/0/name", "/incidents/0/opened_at", "/incidents",
                                             "/maintenance", "/maintenance/0/until"};
    for (const std::string& path : broken) {
        Json document = to_json(sample());
        document[Json::json_pointer(path)] = 17;
        const Result<StackStatus> read = stack_status_from_json(document);
        ASSERT_FALSE(read) << path;
        EXPECT_EQ(read.error().code, ErrorCode::kProtocol);
    }
    EXPECT_FALSE(stack_status_from_json(Json::array()));
    EXPECT_FALSE(stack_status_from_json(Json(nullptr)));
}

}  // namespace
}  // namespace aeterna::engine
