// The cluster status: one table row per thing that can be wrong.
#include "qdrant/detect/verdict.h"

#include <gtest/gtest.h>

#include <functional>

#include "seen_builder.h"

namespace aeterna::qdrant::testing {
namespace {

struct Case {
    const char* name;
    std::function<void(Seen&, engine::JudgeContext&)> change;
    std::optional<Color> color;
    const char* reason;  // part of the first reason
};

TEST(ClusterStatus, Table) {
    const Case cases[] = {
        {"all well", [](Seen&, auto&) {}, Color::kGreen, ""},
        {"one refused", [](Seen& s, auto&) { fail_node(s, 3, Answer::kRefused); }, Color::kYellow,
         "qdrant-3 is refused"},
        {"one silent", [](Seen& s, auto&) { fail_node(s, 3, Answer::kSilent); }, Color::kYellow,
         "qdrant-3"},
        {"one says 503", [](Seen& s, auto&) { fail_node(s, 2, Answer::kUnavailable); },
         Color::kYellow, "qdrant-2 is unavailable"},
        {"one talks nonsense", [](Seen& s, auto&) { fail_node(s, 2, Answer::kWrong); },
         Color::kYellow, "wrong answer"},
        {"two gone: no majority",
         [](Seen& s, auto&) {
             fail_node(s, 2, Answer::kRefused);
             fail_node(s, 3, Answer::kSilent);
         },
         Color::kRed, "no majority"},
        {"all say 503",
         [](Seen& s, auto&) {
             for (int n = 1; n <= 3; ++n) fail_node(s, n, Answer::kUnavailable);
         },
         Color::kRed, "503"},
        {"all refuse",
         [](Seen& s, auto&) {
             for (int n = 1; n <= 3; ++n) fail_node(s, n, Answer::kRefused);
         },
         Color::kRed, "no node serves"},
        {"all deny our key",
         [](Seen& s, auto&) {
             for (int n = 1; n <= 3; ++n) fail_node(s, n, Answer::kDenied);
         },
         std::nullopt, "api key"},
        {"one not asked yet", [](Seen& s, auto&) { s.nodes["qdrant-2"] = {}; }, std::nullopt,
         "asked"},
        {"collections not asked yet", [](Seen& s, auto&) { s.nodes["qdrant-2"].collections = {}; },
         std::nullopt, "asked"},
        {"isolated", [](Seen&, auto& c) { c.isolated = true; }, std::nullopt, "isolated"},
        {"all observations old are silence", [](Seen&, auto& c) { c.now += 30s; }, Color::kRed,
         "no node serves"},
        {"old ones count for nothing after a stall",
         [](Seen&, auto& c) {
             c.now += 30s;
             c.stalled = true;
         },
         std::nullopt, "asked"},
        {"one observation old", [](Seen& s, auto&) { s.nodes["qdrant-3"].api.at -= 30s; },
         Color::kYellow, "no fresh answer"},
        {"dead replica", [](Seen& s, auto&) { set_replica(s, 2, "Dead"); }, Color::kYellow,
         "Dead on qdrant-2"},
        {"partial replica", [](Seen& s, auto&) { set_replica(s, 2, "Partial"); }, Color::kYellow,
         "Partial on qdrant-2"},
        {"one of three believes it dead", [](Seen& s, auto&) { set_replica(s, 2, "Dead", 1); },
         Color::kGreen, ""},
        {"no readable replica",
         [](Seen& s, auto&) {
             for (int p = 1; p <= 3; ++p) set_replica(s, p, "Dead");
         },
         Color::kRed, "shard 0 of 'c' has no readable replica"},
        {"the only readable one is on a silent node",
         [](Seen& s, auto&) {
             set_replica(s, 1, "Dead");
             set_replica(s, 2, "Dead");
             fail_node(s, 3, Answer::kSilent);
         },
         Color::kRed, "Active on qdrant-3"},
        {"consensus stopped",
         [](Seen& s, auto&) { s.nodes["qdrant-1"].api.cluster->consensus = "stopped"; },
         Color::kYellow, "consensus thread is stopped"},
        {"one without a leader",
         [](Seen& s, auto&) { s.nodes["qdrant-1"].api.cluster->leader = 0; }, Color::kYellow,
         "1 of 3"},
        {"nobody knows a leader",
         [](Seen& s, auto&) {
             for (auto& [n, node] : s.nodes) node.api.cluster->leader = 0;
         },
         Color::kRed, "3 of 3"},
        {"red collection",
         [](Seen& s, auto&) {
             s.nodes["qdrant-1"].collections.views[0].info = {"red", "disk full", 0, 3};
         },
         Color::kYellow, "disk full"},
        {"yellow collection is only optimizing",
         [](Seen& s, auto&) { s.nodes["qdrant-1"].collections.views[0].info.status = "yellow"; },
         Color::kGreen, ""},
        {"data plane says 503",
         [](Seen& s, auto&) { s.nodes["qdrant-1"].collections.is_unavailable = true; },
         Color::kYellow, "qdrant-1 is unavailable"},
        {"a stranger among the peers that cannot be reached",
         [](Seen& s, auto&) {
             for (auto& [n, node] : s.nodes) {
                 node.api.cluster->peers[999] = "http://10.9.9.9:6335";
                 node.api.cluster->send_failures["http://10.9.9.9:6335"] = "timeout";
             }
         },
         Color::kYellow, "peer 999"},
        {"a stranger that a follower could not reach when it was leader",
         [](Seen& s, auto&) {
             s.nodes["qdrant-2"].api.cluster->peers[999] = "http://10.9.9.9:6335";
             s.nodes["qdrant-2"].api.cluster->send_failures["http://10.9.9.9:6335"] = "timeout";
         },
         Color::kGreen, ""},
        {"no collections at all",
         [](Seen& s, auto&) {
             for (auto& [n, node] : s.nodes) node.collections.views.clear();
         },
         Color::kGreen, ""},
    };
    for (const Case& item : cases) {
        Seen seen = healthy();
        engine::JudgeContext context = at();
        item.change(seen, context);
        const Verdict verdict = cluster_status(seen, urls(), context);
        EXPECT_EQ(verdict.color, item.color) << item.name;
        const std::string first = verdict.reasons.empty() ? "" : verdict.reasons.front();
        EXPECT_NE(first.find(item.reason), std::string::npos) << item.name << ": '" << first << "'";
        EXPECT_EQ(verdict.color == Color::kGreen, verdict.reasons.empty()) << item.name;
    }
}

TEST(ClusterStatus, NamesANodeThatNeverAnsweredByItsPeerUri) {
    Seen seen = healthy();
    seen.nodes["qdrant-3"] = {};
    seen.nodes["qdrant-3"].api = {kNow, Answer::kSilent, "", std::nullopt};
    const Verdict verdict = cluster_status(seen, urls(), at());
    ASSERT_EQ(verdict.replicas.size(), 3U);
    EXPECT_EQ(verdict.replicas[2].node, "qdrant-3");
    EXPECT_FALSE(verdict.replicas[2].is_serving)
        << "silent, though still Active in the others' eyes";
    EXPECT_EQ(verdict.color, Color::kYellow);
}

TEST(ClusterStatus, AStandaloneNodeNeedsNoMajority) {
    Seen seen;
    NodeSeen& node = seen.nodes["qdrant-1"];
    node.api = {kNow, Answer::kServing, "", ClusterInfo{}};
    node.collections.at = kNow;
    node.collections.views = {{"c", {55, {{0, 55, "Active"}}, 0}, {"green", "", 1, 1}}};
    EXPECT_EQ(cluster_status(seen, urls(), at()).color, Color::kGreen);
}

TEST(ClusterStatus, KeepsTheListOfReasonsShort) {
    Seen seen = healthy(kNow, 500);
    for (int s = 0; s < 500; ++s) set_replica(seen, 1, "Dead", 0, s);
    EXPECT_LE(cluster_status(seen, urls(), at()).reasons.size(), 20U);
}

TEST(ClusterStatus, ALateRedReasonIsNotCutOff) {
    Seen seen = healthy(kNow, 100);
    for (int s = 0; s < 100; ++s) set_replica(seen, 1, "Dead", 0, s);
    for (int p = 1; p <= 3; ++p) set_replica(seen, p, "Dead", 0, 99);
    const Verdict verdict = cluster_status(seen, urls(), at());
    EXPECT_EQ(verdict.color, Color::kRed);
    EXPECT_NE(verdict.reasons.front().find("shard 99 of 'c' has no readable replica"),
              std::string::npos);
}

}  // namespace
}  // namespace aeterna::qdrant::testing
