#include "report/metrics.h"

#include <gtest/gtest.h>

#include "samples.h"

namespace aeterna::report {
namespace {

MetricsInput input(const app::StatusView& view) {
    MetricsInput metrics;
    metrics.status = view.status;
    metrics.version = "0.1.0";
    metrics.probes = {{"redis", "redis-1 RESP", std::chrono::microseconds(1170)}};
    metrics.detectors = {{"redis", "redis.master_down"}, {"redis", "redis.odown"}};
    return metrics;
}

bool has(const std::string& text, const std::string& line) {
    return text.find("\n" + line + "\n") != std::string::npos;
}

TEST(Metrics, Golden) {
    app::samples::expect_golden("metrics-down.txt", render_metrics(input(app::samples::redis_master_down())));
}

TEST(Metrics, ClusterStatusIsWholeOrAbsent) {
    MetricsInput metrics = input(app::samples::healthy());
    metrics.status.stores[2].extra["cluster_status"] = "Red";
    const std::string red = render_metrics(metrics);
    EXPECT_TRUE(has(red, "aeterna_qdrant_cluster_status{stack=\"lab\",status=\"Red\"} 1")) << red;
    EXPECT_TRUE(has(red, "aeterna_qdrant_cluster_status{stack=\"lab\",status=\"Green\"} 0"));
    EXPECT_TRUE(has(red, "aeterna_qdrant_cluster_status{stack=\"lab\",status=\"Yellow\"} 0"));
    for (const Json& unknown : {Json(nullptr), Json("Unknown"), Json(1)}) {
        metrics.status.stores[2].extra["cluster_status"] = unknown;
        EXPECT_EQ(render_metrics(metrics).find("cluster_status"), std::string::npos) << unknown;
    }
}

TEST(Metrics, TheMissRatioIsANumberOrAbsent) {
    MetricsInput metrics = input(app::samples::healthy());
    for (engine::StoreStatus& store : metrics.status.stores) store.extra["cache_miss_ratio"] = nullptr;
    EXPECT_EQ(render_metrics(metrics).find("cache_miss"), std::string::npos);
    for (engine::StoreStatus& store : metrics.status.stores)
        if (store.store == "redis") store.extra["cache_miss_ratio"] = 0.25;
    EXPECT_TRUE(has(render_metrics(metrics), "aeterna_redis_cache_miss_ratio 0.2500"));
}

TEST(Metrics, CaptureIsOneOfThreeOrAbsent) {
    MetricsInput metrics = input(app::samples::healthy());
    EXPECT_EQ(render_metrics(metrics).find("aeterna_capture"), std::string::npos);
    metrics.status.stores[0].capture = "behind";
    metrics.status.stores[0].rpo_now_seconds = 400.5;
    const std::string text = render_metrics(metrics);
    const std::string store = metrics.status.stores[0].store;
    EXPECT_TRUE(has(text, "aeterna_capture{store=\"" + store + "\",state=\"behind\"} 1")) << text;
    EXPECT_TRUE(has(text, "aeterna_capture{store=\"" + store + "\",state=\"running\"} 0"));
    EXPECT_TRUE(has(text, "aeterna_rpo_now_seconds{store=\"" + store + "\"} 400.500"));
}

TEST(Metrics, UnknownNodesAreAbsentAndDeadOnesZero) {
    MetricsInput metrics = input(app::samples::healthy());
    metrics.status.stores[1].nodes[0].state = "unknown";
    metrics.status.stores[1].nodes[1].state = "stopped";
    metrics.status.stores[1].nodes[2].state = "syncing";
    const std::string text = render_metrics(metrics);
    EXPECT_EQ(text.find("aeterna_node_up{store=\"redis\",node=\"redis-1\""), std::string::npos);
    EXPECT_TRUE(has(text, "aeterna_node_up{store=\"redis\",node=\"redis-2\",kind=\"redis\"} 0"));
    EXPECT_TRUE(has(text, "aeterna_node_up{store=\"redis\",node=\"redis-3\",kind=\"redis\"} 1"));
}

TEST(Metrics, MaintenanceAssistAndFences) {
    const std::string text = render_metrics(input(app::samples::in_maintenance()));
    EXPECT_TRUE(has(text, "aeterna_maintenance{store=\"postgres\"} 0"));
    EXPECT_TRUE(has(text, "aeterna_maintenance{store=\"redis\"} 1"));
    EXPECT_TRUE(has(text, "aeterna_assist{store=\"redis\",assist=\"act\"} 1"));
    EXPECT_TRUE(has(text, "aeterna_assist{store=\"redis\",assist=\"off\"} 0"));
    EXPECT_TRUE(has(text, "aeterna_assist{store=\"qdrant\",assist=\"off\"} 1"));
    EXPECT_TRUE(has(text, "aeterna_node_fenced{store=\"redis\",node=\"redis-3\"} 1"));
    EXPECT_TRUE(has(text, "aeterna_node_fenced{store=\"redis\",node=\"redis-1\"} 0"));
}

TEST(Metrics, LabelsAreEscaped) {
    MetricsInput metrics = input(app::samples::healthy());
    metrics.version = "a\"b\\c\nd";
    EXPECT_TRUE(has(render_metrics(metrics), "aeterna_build_info{version=\"a\\\"b\\\\c\\nd\"} 1"));
}

}  // namespace
}  // namespace aeterna::report
