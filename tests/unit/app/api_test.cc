#include "app/daemon/api.h"

#include <gtest/gtest.h>

#include "app/daemon/policy.h"
#include "app/daemon/watcher.h"
#include "base/json.h"
#include "samples.h"

namespace aeterna::app {
namespace {

ApiInput input(Duration age) {
    ApiInput api;
    api.stack = "lab";
    api.now = MonoTime(std::chrono::hours(1));
    auto snapshot = std::make_shared<Snapshot>();
    snapshot->status = samples::redis_master_down().status;
    snapshot->judged_at = api.now - std::chrono::duration_cast<MonoTime::duration>(age);
    api.snapshot = snapshot;
    return api;
}

env::ServerRequest request(const std::string& path, const std::string& method = "GET") {
    env::ServerRequest get;
    get.method = method;
    get.path = path;
    return get;
}

TEST(Api, StatusRoundTrips) {
    const auto response = answer(request("/status"), input(Duration{}));
    ASSERT_EQ(response.status, 200);
    const auto document = parse_json(response.body, "test");
    ASSERT_TRUE(document);
    EXPECT_EQ((*document)["schema_version"], 1);
    EXPECT_EQ((*document)["stack"], "lab");
    const auto status = engine::stack_status_from_json(*document);
    ASSERT_TRUE(status) << status.error().to_string();
    EXPECT_EQ(status->stack, "lab");
    EXPECT_EQ(status->incidents.size(), 1U);
    EXPECT_EQ(status->stores.size(), 3U);
}

TEST(Api, MetricsTellHowLongTheProbesTook) {
    ApiInput api = input(Duration{});
    api.probes = {{"redis", "redis-1 RESP", std::chrono::microseconds(1170)}};
    const auto response = answer(request("/metrics"), api);
    ASSERT_EQ(response.status, 200);
    EXPECT_NE(response.body.find(R"(probe_duration_seconds{store="redis",probe="redis-1 RESP"} 0.00117)"), std::string::npos)
        << response.body;
}

TEST(Api, AnUnreadableJournalIsNotShownAsNoIncidents) {
    ApiInput blind = input(Duration{});
    EXPECT_EQ(answer(request("/incidents"), blind).status, 200);
    blind.incidents.reset();
    EXPECT_EQ(answer(request("/incidents"), blind).status, 503);
}

TEST(Api, StaleOrMissingJudgementIsNotShownAsThePresent) {
    ApiInput never = input(Duration{});
    never.snapshot.reset();
    for (const char* path : {"/status", "/healthz", "/metrics"}) {
        EXPECT_EQ(answer(request(path), input(std::chrono::seconds(1))).status, 200) << path;
        EXPECT_EQ(answer(request(path), input(std::chrono::seconds(6))).status, 503) << path;
        EXPECT_EQ(answer(request(path), never).status, 503) << path;
    }
    EXPECT_EQ(answer(request("/incidents"), never).status, 200);
}

TEST(Api, WrongPathsAndMethods) {
    EXPECT_EQ(answer(request("/"), input(Duration{})).status, 404);
    EXPECT_EQ(answer(request("/status/x"), input(Duration{})).status, 404);
    EXPECT_EQ(answer(request("/status", "POST"), input(Duration{})).status, 405);
}

TEST(Healthy, NeedsEveryStoreAndNoCriticalIncident) {
    engine::StackStatus status = samples::healthy().status;
    EXPECT_TRUE(is_healthy(status));
    status.incidents = samples::redis_master_down().status.incidents;
    EXPECT_FALSE(is_healthy(status));
    status.incidents[0].severity = "degraded";
    EXPECT_TRUE(is_healthy(status));
    status.isolated = true;
    EXPECT_FALSE(is_healthy(status));
    status.isolated = false;
    status.stores[0].health = engine::Health::kUnknown;
    EXPECT_FALSE(is_healthy(status));
    status.stores.clear();
    EXPECT_FALSE(is_healthy(status));
}

TEST(Policy, OnlyANodeIsAnOldPrimary) {
    const engine::StackStatus status = samples::redis_master_down().status;
    engine::IncidentSummary incident = status.incidents[0];
    EXPECT_EQ(reaction_parameters(incident, &status.stores[1]), (Json{{"old_primary", "redis-1"}}));
    incident.subject = "aeterna-master";
    EXPECT_EQ(reaction_parameters(incident, &status.stores[1]), Json::object());
    EXPECT_EQ(reaction_parameters(incident, nullptr), Json::object());
}

}  // namespace
}  // namespace aeterna::app
