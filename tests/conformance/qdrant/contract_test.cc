// The contract between us and Qdrant, asked of three stand-ins and, where one is found, of three
// real servers: what the client, the monitor and the drill rely on. Faults are real: processes are
// killed and stopped.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <numeric>

#include "base/json.h"
#include "cluster.h"
#include "lab/stand_in/stand_in.h"
#include "qdrant/client/qdrant.h"
#include "qdrant/detect/monitor.h"
#include "qdrant/workload/drill_store.h"
#include "qdrant/workload/writers.h"

namespace aeterna::qdrant::testing {
namespace {

using engine::WriteOutcome;

// One running cluster per kind for the whole program.
std::map<bool, std::unique_ptr<Cluster>>& clusters() {
    static std::map<bool, std::unique_ptr<Cluster>> all;
    return all;
}

template <class Condition>
bool eventually(Condition condition, Duration limit = 30s) {
    const env::Context context = within(limit);
    while (!condition()) {
        if (real_env().clock.remaining(context) <= Duration{}) return false;
        real_env().clock.sleep_for(100ms, {});
    }
    return true;
}

class QdrantContract : public ::testing::TestWithParam<bool> {
  protected:
    static bool is_real() { return GetParam(); }

    void SetUp() override {
        auto& place = clusters()[is_real()];
        if (!place) place = Cluster::start(is_real(), is_real() ? 21 : 1);
        if (!place) GTEST_SKIP() << "no real qdrant: neither $QDRANT_BIN nor qdrant in PATH";
        cluster_ = place.get();
        ASSERT_TRUE(eventually([this] {
            for (int i = 0; i < Cluster::kNodes; ++i) {
                const auto info = client(i).cluster(within(2s));
                if (!info || info->peers.size() != 3 || info->leader == 0) return false;
                // A follower sends nothing, so its old failures stay.
                if (info->role != "Follower" && !info->send_failures.empty()) return false;
            }
            return true;
        })) << "the cluster did not form";
    }

    [[nodiscard]] Client client(int index) const {
        return {cluster_->node(index), *cluster_->settings(), real_env()};
    }
    // A raw request, for what the client never does.
    [[nodiscard]] env::HttpResponse raw(int index, const std::string& method,
                                        const std::string& path, const std::string& key,
                                        const std::string& body = "") const {
        env::HttpRequest request;
        request.method = method;
        request.url = cluster_->node(index).url + path;
        request.body = body;
        if (!body.empty()) request.headers.emplace_back("Content-Type", "application/json");
        if (!key.empty()) request.headers.emplace_back("api-key", key);
        auto response = real_env().http.send(request, within(5s));
        return response ? *response : env::HttpResponse{};
    }
    void create(const std::string& name) const {
        (void)client(0).drop_collection(name, within(10s));
        const Status created =
            client(0).create_collection(name, {kVectorSize, 1, 3, 2}, within(10s));
        ASSERT_TRUE(created) << created.error().to_string();
        ASSERT_TRUE(eventually([&] { return active_replicas(name) == 9; }))
            << "three views of three replicas";
    }
    // Summed over the nodes' views.
    [[nodiscard]] int active_replicas(const std::string& name) const {
        int active = 0;
        for (int i = 0; i < Cluster::kNodes; ++i) {
            const auto view = client(i).collection_cluster(name, within(2s));
            if (!view) continue;
            active +=
                static_cast<int>(std::count_if(view->replicas.begin(), view->replicas.end(),
                                               [](const auto& r) { return r.state == "Active"; }));
        }
        return active;
    }
    // One round of every probe, as a `status` command without `serve` does it.
    static engine::Judgement look_once(QdrantMonitor& monitor) {
        for (const engine::ProbeTask& task : monitor.probes()) task.run(within(task.timeout));
        return monitor.judge({real_env().clock.now(), real_env().clock.wall_now(), false, false});
    }
    [[nodiscard]] std::string color(QdrantMonitor& monitor) const {
        const Json color = look_once(monitor).status.extra.at("cluster_status");
        return color.is_string() ? color.get<std::string>() : "unknown";
    }

    Cluster* cluster_ = nullptr;
};

TEST_P(QdrantContract, SaysWhatItIs) {
    const auto version = client(1).version(within(5s));
    ASSERT_TRUE(version);
    EXPECT_EQ(version->is_real(), is_real());
    EXPECT_FALSE(version->version.empty());
}

TEST_P(QdrantContract, OnlyHealthIsOpenToEverybody) {
    EXPECT_EQ(raw(0, "GET", "/", "").status, 200);
    EXPECT_EQ(raw(0, "GET", "/healthz", "").status, 200);
    EXPECT_EQ(raw(0, "GET", "/livez", "").status, 200);
    EXPECT_EQ(raw(0, "GET", "/readyz", "").status, 200);
    for (const char* path : {"/cluster", "/collections", "/metrics", "/collections/x/cluster"}) {
        EXPECT_EQ(raw(0, "GET", path, "").status, 401) << path;
        EXPECT_EQ(raw(0, "GET", path, "wrong").status, 401) << path;
    }
    const Client stranger(cluster_->node(0).url, Secret("wrong"), {}, real_env());
    const auto refused = stranger.cluster(within(5s));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kAuthentication);
}

TEST_P(QdrantContract, TellsItsPeersAndItsLeader) {
    std::map<std::uint64_t, int> leaders;
    for (int i = 0; i < Cluster::kNodes; ++i) {
        const auto info = client(i).cluster(within(5s));
        ASSERT_TRUE(info) << info.error().to_string();
        EXPECT_TRUE(info->enabled);
        EXPECT_EQ(info->consensus, "working");
        EXPECT_TRUE(info->peers.contains(info->peer_id));
        EXPECT_EQ(host_of_url(info->peers.at(info->peer_id)), host_of_url(cluster_->node(i).url));
        ++leaders[info->leader];
    }
    EXPECT_EQ(leaders.size(), 1U) << "all name the same leader";
}

TEST_P(QdrantContract, ManagesCollections) {
    create("contract-life");
    const Status again =
        client(1).create_collection("contract-life", {kVectorSize, 1, 3, 2}, within(10s));
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, ErrorCode::kAlreadyExists);
    const auto names = client(2).collections(within(5s));
    ASSERT_TRUE(names);
    EXPECT_EQ(std::count(names->begin(), names->end(), "contract-life"), 1);
    const auto info = client(2).collection("contract-life", within(5s));
    ASSERT_TRUE(info) << info.error().to_string();
    EXPECT_EQ(info->replication_factor, 3U);
    EXPECT_EQ(info->status, "green");
    EXPECT_EQ(*client(1).drop_collection("contract-life", within(10s)), true);
    EXPECT_EQ(*client(1).drop_collection("contract-life", within(10s)), false);
    EXPECT_TRUE(eventually([this] {
        const auto gone = client(2).collection("contract-life", within(5s));
        return !gone && gone.error().code == ErrorCode::kNotFound;
    }));
}

TEST_P(QdrantContract, AliasesFollowTheirCollection) {
    create("contract-alias");
    const std::string key = cluster_->settings()->api_key.reveal();
    const auto made = raw(
        0, "POST", "/collections/aliases", key,
        R"({"actions":[{"create_alias":{"collection_name":"contract-alias","alias_name":"live"}}]})");
    ASSERT_EQ(made.status, 200) << made.body;
    ASSERT_TRUE(client(0).upsert("live", 1, vector_of(1), within(5s)));
    EXPECT_EQ(*client(0).count("contract-alias", within(5s)), 1U);
    EXPECT_NE(raw(0, "GET", "/collections/contract-alias/aliases", key).body.find("\"live\""),
              std::string::npos);
    ASSERT_TRUE(client(0).drop_collection("contract-alias", within(10s)));
    EXPECT_EQ(raw(0, "GET", "/aliases", key).body.find("\"live\""), std::string::npos);
}

TEST_P(QdrantContract, WritesReadsAndSearches) {
    create("contract-points");
    for (std::uint64_t id = 1; id <= 25; ++id) {
        const Status written = client(static_cast<int>(id % 3))
                                   .upsert("contract-points", id, vector_of(id), within(5s));
        ASSERT_TRUE(written) << written.error().to_string();
    }
    for (int i = 0; i < Cluster::kNodes; ++i) {
        EXPECT_EQ(*client(i).count("contract-points", within(5s)), 25U);
        const auto first =
            client(i).scroll("contract-points", std::nullopt, 10, "majority", within(5s));
        ASSERT_TRUE(first) << first.error().to_string();
        EXPECT_EQ(first->ids.size(), 10U);
        EXPECT_EQ(first->next, 11U);
        const auto last = client(i).scroll("contract-points", 21, 10, "", within(5s));
        ASSERT_TRUE(last);
        EXPECT_EQ(last->ids, (std::vector<std::uint64_t>{21, 22, 23, 24, 25}));
        EXPECT_EQ(last->next, std::nullopt);
        for (std::uint64_t id : {1U, 13U, 25U}) {
            const auto hits = client(i).query("contract-points", vector_of(id), 3, within(5s));
            ASSERT_TRUE(hits) << hits.error().to_string();
            ASSERT_EQ(hits->size(), 3U);
            EXPECT_EQ(hits->front(), id);
        }
    }
    (void)client(0).drop_collection("contract-points", within(10s));
}

TEST_P(QdrantContract, AnswersInItsEnvelope) {
    create("contract-raw");
    const std::string key = cluster_->settings()->api_key.reveal();
    const std::string point =
        R"({"points":[{"id":7,"vector":[1,0,0,0,0,0,0,2],"payload":{"a":"b"}}]})";
    const auto lazy =
        parse_json(raw(0, "PUT", "/collections/contract-raw/points", key, point).body, "lazy");
    ASSERT_TRUE(lazy);
    EXPECT_EQ((*lazy)["status"], "ok");
    EXPECT_EQ((*lazy)["result"]["status"], "acknowledged");
    ASSERT_TRUE(
        eventually([&] { return client(0).count("contract-raw", within(5s)).value_or(0) == 1; }));
    const auto read =
        parse_json(raw(0, "GET", "/collections/contract-raw/points/7", key).body, "read");
    ASSERT_TRUE(read);
    EXPECT_EQ((*read)["result"]["payload"]["a"], "b");
    EXPECT_NEAR((*read)["result"]["vector"][7].get<double>(), 0.894427, 1e-5)
        << "Cosine vectors are normalised";
    EXPECT_EQ(raw(0, "GET", "/collections/contract-raw/points/8", key).status, 404);
    EXPECT_EQ(raw(0, "POST", "/collections/contract-raw/points/delete?wait=true", key,
                  R"({"points":[7]})")
                  .status,
              200);
    EXPECT_EQ(*client(1).count("contract-raw", within(5s)), 0U);
    EXPECT_EQ(raw(0, "PUT", "/collections/contract-raw/points", key, "{nonsense").status, 400);
    (void)client(0).drop_collection("contract-raw", within(10s));
}

TEST_P(QdrantContract, RejectsWhatIsCertainlyNotDone) {
    create("contract-reject");
    const Status narrow = client(0).upsert("contract-reject", 1, {1, 2, 3}, within(5s));
    EXPECT_EQ(classify_write(narrow), WriteOutcome::kFail) << narrow.error().to_string();
    const Status nowhere = client(0).upsert("contract-none", 1, vector_of(1), within(5s));
    EXPECT_EQ(classify_write(nowhere), WriteOutcome::kFail) << nowhere.error().to_string();
    const Client stranger(cluster_->node(0).url, Secret("wrong"), {}, real_env());
    EXPECT_EQ(classify_write(stranger.upsert("contract-reject", 1, vector_of(1), within(5s))),
              WriteOutcome::kFail);
    EXPECT_EQ(*client(0).count("contract-reject", within(5s)), 0U);
    (void)client(0).drop_collection("contract-reject", within(10s));
}

TEST_P(QdrantContract, IsGreenAfterOneRound) {
    create("contract-green");
    QdrantMonitor monitor(cluster_->settings(), real_env());
    const engine::Judgement judgement = look_once(monitor);
    EXPECT_EQ(judgement.status.extra.at("cluster_status"), "Green")
        << (judgement.status.reasons.empty() ? "" : judgement.status.reasons.front());
    EXPECT_EQ(judgement.status.health, engine::Health::kOk);
    ASSERT_EQ(judgement.status.nodes.size(), 3U);
    for (const engine::NodeStatus& node : judgement.status.nodes) {
        EXPECT_EQ(node.state, "running");
        EXPECT_EQ(node.server, is_real() ? "real" : "stand-in");
    }
    for (const engine::Finding& finding : judgement.findings) {
        EXPECT_NE(finding.state, engine::FindingState::kFiring) << finding.detector;
    }
    (void)client(0).drop_collection("contract-green", within(10s));
}

TEST_P(QdrantContract, DrillsFromPrepareToCleanUp) {
    const auto store = make_drill_store(cluster_->settings(), real_env());
    EXPECT_EQ(store->server(), is_real() ? "real" : "stand-in");
    for (int round = 0; round < 2; ++round) {  // prepare is idempotent and leaves it empty
        const Status prepared = store->prepare("drill/1", within(20s));
        ASSERT_TRUE(prepared) << prepared.error().to_string();
        EXPECT_TRUE(store->read_back("drill/1", within(5s))->empty());
        auto paths = store->paths("drill/1");
        ASSERT_TRUE(paths);
        ASSERT_EQ(paths->size(), 4U);
        std::vector<std::uint64_t> sent;
        for (std::uint64_t id = 1; id <= 40; ++id) {
            const auto reply = (*paths)[id % 4].writer->write(id, within(5s));
            ASSERT_EQ(reply.outcome, WriteOutcome::kOk) << reply.error;
            sent.push_back(id);
        }
        const auto found = store->read_back("drill/1", within(10s));
        ASSERT_TRUE(found) << found.error().to_string();
        EXPECT_EQ(*found, sent);
    }
    ASSERT_TRUE(store->clean_up("drill/1", within(10s)));
    EXPECT_FALSE(store->read_back("drill/1", within(5s)));
    EXPECT_TRUE(store->clean_up("drill/1", within(10s))) << "twice equals once";
}

TEST_P(QdrantContract, AKilledNodeStaysActiveUntilAWriteAndThenRecovers) {
    create("contract-kill");
    ASSERT_TRUE(client(0).upsert("contract-kill", 1, vector_of(1), within(5s)));
    const auto victim = client(2).cluster(within(5s));
    ASSERT_TRUE(victim);
    cluster_->kill(2);
    QdrantMonitor monitor(cluster_->settings(), real_env());
    const engine::Judgement before = look_once(monitor);
    EXPECT_EQ(before.status.extra.at("cluster_status"), "Yellow")
        << "the silent peer's replica counts as lost";
    EXPECT_EQ(before.status.nodes[2].state, "refused");
    const auto down =
        std::find_if(before.findings.begin(), before.findings.end(), [](const auto& finding) {
            return finding.detector == "qdrant.node_down" && finding.subject == "qdrant-3";
        });
    ASSERT_NE(down, before.findings.end());
    EXPECT_EQ(down->state, engine::FindingState::kFiring) << "a refusal is strong evidence";
    EXPECT_EQ(active_replicas("contract-kill"), 6) << "nobody wrote: it is still Active everywhere";

    const Status written = client(0).upsert("contract-kill", 2, vector_of(2), within(30s));
    EXPECT_TRUE(written) << written.error().to_string();
    EXPECT_TRUE(eventually([this] { return active_replicas("contract-kill") == 4; }))
        << "Dead in both views";
    const engine::Judgement dead = look_once(monitor);
    EXPECT_EQ(dead.status.extra.at("cluster_status"), "Yellow");
    EXPECT_TRUE(std::any_of(dead.events.begin(), dead.events.end(),
                            [](const auto& event) { return event.kind == "replica.dead"; }));

    cluster_->launch(2);
    EXPECT_TRUE(eventually([this] { return active_replicas("contract-kill") == 9; }, 60s))
        << "it recovers by itself";
    EXPECT_EQ(*client(2).count("contract-kill", within(5s)), 2U);
    EXPECT_TRUE(eventually([&] { return color(monitor) == "Green"; }, 60s));
    (void)client(0).drop_collection("contract-kill", within(10s));
}

TEST_P(QdrantContract, WritesAndReadsBackWithANodeDown) {
    const auto store = make_drill_store(cluster_->settings(), real_env());
    ASSERT_TRUE(store->prepare("down", within(20s)));
    auto paths = store->paths("down");
    ASSERT_TRUE(paths);
    std::vector<std::uint64_t> acknowledged;
    for (std::uint64_t id = 1; id <= 40; ++id) {
        if (id == 20) cluster_->kill(0);
        const auto reply = paths->front().writer->write(id, within(30s));
        EXPECT_EQ(reply.outcome, WriteOutcome::kOk) << id << ": " << reply.error;
        if (reply.outcome == WriteOutcome::kOk) acknowledged.push_back(id);
    }
    EXPECT_EQ((*paths)[1].writer->write(100, within(1s)).outcome, WriteOutcome::kFail)
        << "refused: certainly not done";
    const auto found = store->read_back("down", within(10s));
    ASSERT_TRUE(found) << found.error().to_string();
    EXPECT_EQ(*found, acknowledged);
    cluster_->launch(0);
    QdrantMonitor monitor(cluster_->settings(), real_env());
    EXPECT_TRUE(eventually([&] { return color(monitor) == "Green"; }, 60s));
    ASSERT_TRUE(store->clean_up("down", within(10s)));
}

TEST_P(QdrantContract, APausedNodeIsSilentAndTheClientPathGoesAround) {
    const auto store = make_drill_store(cluster_->settings(), real_env());
    ASSERT_TRUE(store->prepare("pause", within(20s)));
    auto paths = store->paths("pause");
    ASSERT_TRUE(paths);
    cluster_->pause(1);
    QdrantMonitor monitor(cluster_->settings(), real_env());
    const engine::Judgement seen = look_once(monitor);
    EXPECT_EQ(seen.status.nodes[1].state, "unreachable");
    EXPECT_EQ(seen.status.extra.at("cluster_status"), "Yellow");
    const auto direct = (*paths)[2].writer->write(1, within(1s));
    EXPECT_EQ(direct.outcome, WriteOutcome::kUnknown) << "silence tells nothing";
    cluster_->resume(1);
    EXPECT_TRUE(eventually([&] { return color(monitor) == "Green"; }, 60s));
    const auto reply = (*paths)[0].writer->write(2, within(5s));
    EXPECT_EQ(reply.outcome, WriteOutcome::kOk) << reply.error;
    ASSERT_TRUE(store->clean_up("pause", within(10s)));
}

TEST_P(QdrantContract, IsRedWithoutAMajority) {
    create("contract-red");
    ASSERT_TRUE(client(0).upsert("contract-red", 1, vector_of(1), within(5s)));
    cluster_->kill(1);
    cluster_->kill(2);
    QdrantMonitor monitor(cluster_->settings(), real_env());
    EXPECT_EQ(color(monitor), "Red");
    const Status lonely = client(0).upsert("contract-red", 2, vector_of(2), within(10s));
    EXPECT_EQ(classify_write(lonely), WriteOutcome::kUnknown) << "one replica may have taken it";
    EXPECT_EQ(*client(0).count("contract-red", within(5s)) >= 1, true) << "reads go on";
    cluster_->launch(1);
    cluster_->launch(2);
    EXPECT_TRUE(eventually([&] { return color(monitor) == "Green"; }, 60s));
    (void)client(0).drop_collection("contract-red", within(10s));
}

TEST_P(QdrantContract, NoNodeAtAllIsRedToo) {
    for (int i = 0; i < Cluster::kNodes; ++i) cluster_->kill(i);
    QdrantMonitor monitor(cluster_->settings(), real_env());
    EXPECT_EQ(color(monitor), "Red");
    for (const engine::Reach& reach : monitor.reach())
        EXPECT_TRUE(reach.answered) << "their kernel refused: not isolated";
    for (int i = 0; i < Cluster::kNodes; ++i) cluster_->launch(i);
    EXPECT_TRUE(eventually([&] { return color(monitor) == "Green"; }, 60s));
}

INSTANTIATE_TEST_SUITE_P(StandIn, QdrantContract, ::testing::Values(false));
INSTANTIATE_TEST_SUITE_P(Real, QdrantContract, ::testing::Values(true));

// What only a stand-in can be told to do.
TEST(StandInFaults, A503IsSeenAsUnavailableAndEndsWithTheFault) {
    auto& place = clusters()[false];
    if (!place) place = Cluster::start(false, 1);
    const auto switch_fault = [&](int index, const std::string& body) {
        env::HttpRequest request;
        request.method = "POST";
        request.url = place->node(index).url + "/stand-in/faults";
        request.headers = {{"api-key", place->settings()->api_key.reveal()}};
        request.body = body;
        const auto done = real_env().http.send(request, within(5s));
        ASSERT_TRUE(done && done->status == 200);
    };
    QdrantMonitor monitor(place->settings(), real_env());
    const auto look = [&monitor]() {
        for (const engine::ProbeTask& task : monitor.probes()) task.run(within(task.timeout));
        return monitor.judge({real_env().clock.now(), real_env().clock.wall_now(), false, false});
    };
    ASSERT_TRUE(eventually([&] { return look().status.extra.at("cluster_status") == "Green"; }));
    switch_fault(0, R"({"status":503})");
    engine::Judgement seen = look();
    EXPECT_EQ(seen.status.nodes[0].state, "unavailable");
    EXPECT_EQ(seen.status.extra.at("cluster_status"), "Yellow");
    switch_fault(1, R"({"status":503})");
    switch_fault(2, R"({"status":503})");
    EXPECT_EQ(look().status.extra.at("cluster_status"), "Red") << "the seed's signal on every node";
    for (int i = 0; i < 3; ++i) switch_fault(i, "{}");
    EXPECT_EQ(look().status.extra.at("cluster_status"), "Green");
}

}  // namespace
}  // namespace aeterna::qdrant::testing

int main(int argc, char** argv) {
    if (argc == 3 && std::string(argv[1]) == "--stand-in") {
        const auto served =
            aeterna::lab::run_stand_in(argv[2], aeterna::qdrant::testing::real_env(), {});
        if (!served) std::cerr << served.error().to_string() << '\n';
        return served ? 0 : 1;
    }
    ::testing::InitGoogleTest(&argc, argv);
    const int failed = RUN_ALL_TESTS();
    aeterna::qdrant::testing::clusters().clear();
    return failed;
}
