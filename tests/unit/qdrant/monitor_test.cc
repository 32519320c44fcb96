// Probes against a scripted server, and what the monitor makes of it.
#include "qdrant/detect/monitor.h"

#include <gtest/gtest.h>

#include "../support/fake_env.h"
#include "seen_builder.h"

namespace aeterna::qdrant::testing {
namespace {

SettingsPointer three_nodes(const std::string& prometheus = "") {
    auto settings = std::make_shared<Settings>();
    settings->stack_name = "test";
    settings->api_key = Secret("key");
    settings->prometheus_url = prometheus;
    for (const auto& [name, url] : urls())
        settings->nodes.push_back({name, url, "host-" + name.substr(7), "a"});
    return settings;
}

std::string path_of(const std::string& url) { return url.substr(url.find('/', 8)); }

// A healthy node's answers with `collections` collections.
env::HttpResponse serve(const std::string& url, int collections) {
    const std::string path = path_of(url);
    const std::string id = url.substr(std::string("http://127.0.0.").size(), 1);
    if (path == "/")
        return {200, {}, R"({"title":"qdrant - vector search engine","version":"1.18.3"})"};
    if (path == "/readyz") return {200, {}, "all shards are ready"};
    if (path == "/cluster") {
        return {200,
                {},
                R"({"result":{"status":"enabled","peer_id":)" + id +
                    R"(,"peers":{"1":{"uri":"http://127.0.0.1:6335/"},
            "2":{"uri":"http://127.0.0.2:6335/"},"3":{"uri":"http://127.0.0.3:6335/"}},"raft_info":{"leader":1,"role":"Leader"},
            "consensus_thread_status":{"consensus_thread_status":"working"},"message_send_failures":{}},"status":"ok","time":0})"};
    }
    if (path == "/collections") {
        Json list = Json::array();
        for (int i = 0; i < collections; ++i) list.push_back({{"name", "c" + std::to_string(i)}});
        return {200, {}, dump_json({{"result", {{"collections", list}}}})};
    }
    if (path.ends_with("/cluster")) {
        return {200,
                {},
                R"({"result":{"peer_id":)" + id +
                    R"(,"local_shards":[{"shard_id":0,"state":"Active"}],"remote_shards":[]}})"};
    }
    return {200, {}, R"({"result":{"status":"green","optimizer_status":"ok"}})"};
}

void run_all(QdrantMonitor& monitor, const aeterna::testing::FakeEnv& fake) {
    for (const engine::ProbeTask& task : monitor.probes())
        task.run(fake.clock.context(task.timeout));
}

engine::Judgement judge(QdrantMonitor& monitor, const aeterna::testing::FakeEnv& fake) {
    return monitor.judge({fake.clock.now(), fake.clock.wall_now(), false, false});
}

TEST(Monitor, OneRoundTellsGreenAndSendsTheKeyOnlyInItsHeader) {
    aeterna::testing::FakeEnv fake;
    fake.http.handler = [](const env::HttpRequest& request) -> Result<env::HttpResponse> {
        EXPECT_EQ(request.url.find("key"), std::string::npos);
        EXPECT_EQ(request.headers.at(0), (std::pair<std::string, std::string>{"api-key", "key"}));
        return serve(request.url, 1);
    };
    QdrantMonitor monitor(three_nodes(), fake.env);
    EXPECT_EQ(judge(monitor, fake).status.extra.at("cluster_status"), Json(nullptr))
        << "nothing seen yet";
    run_all(monitor, fake);
    const engine::Judgement judgement = judge(monitor, fake);
    EXPECT_EQ(judgement.status.extra.at("cluster_status"), "Green");
    EXPECT_EQ(judgement.status.nodes[0].note, "1.18.3, raft leader");
    EXPECT_EQ(judgement.status.nodes[0].server, "real");
    EXPECT_TRUE(monitor.reach()[0].answered);
}

TEST(Monitor, ManyCollectionsAreLookedAtInTurnNotAllAtOnce) {
    aeterna::testing::FakeEnv fake;
    int calls = 0;
    fake.http.handler = [&calls](const env::HttpRequest& request) -> Result<env::HttpResponse> {
        calls += path_of(request.url).ends_with("/cluster") && path_of(request.url) != "/cluster"
                     ? 1
                     : 0;
        return serve(request.url, 100);
    };
    QdrantMonitor monitor(three_nodes(), fake.env);
    const auto tasks = monitor.probes();
    for (std::size_t round = 1; round <= 4; ++round) {
        calls = 0;
        tasks[1].run(fake.clock.context());
        EXPECT_EQ(calls, static_cast<int>(kCollectionsPerRound));
        const auto seen = monitor.board().snapshot().nodes.at("qdrant-1").collections;
        EXPECT_EQ(seen.views.size(), std::min<std::size_t>(100, round * kCollectionsPerRound));
        EXPECT_EQ(seen.total, 100U);
    }
}

struct BrokenCase {
    const char* name;
    Result<env::HttpResponse> response;
    const char* state;
    bool answered;
};

TEST(Monitor, EveryKindOfBrokenServerHasItsWord) {
    const BrokenCase cases[] = {
        {"refused", make_error(ErrorCode::kConnectionRefused, "x"), "refused", true},
        {"silent", make_error(ErrorCode::kTimeout, "x"), "unreachable", false},
        {"no route", make_error(ErrorCode::kUnreachable, "x"), "unreachable", false},
        {"503", env::HttpResponse{503, {}, "{}"}, "unavailable", true},
        {"401", env::HttpResponse{401, {}, "Invalid API key"}, "unauthorised", true},
        {"500", env::HttpResponse{500, {}, "{}"}, "wrong answer", true},
        {"html", env::HttpResponse{200, {}, "<html>"}, "wrong answer", true},
        {"other json", env::HttpResponse{200, {}, R"({"a":[1,2,{"b":null}]})"}, "wrong answer",
         true},
        {"huge", make_error(ErrorCode::kProtocol, "answer too large"), "wrong answer", true},
    };
    for (const BrokenCase& item : cases) {
        aeterna::testing::FakeEnv fake;
        fake.http.handler = [&item](const env::HttpRequest& request) {
            const bool is_second = request.url.starts_with("http://127.0.0.2");
            return is_second ? item.response : Result<env::HttpResponse>(serve(request.url, 1));
        };
        QdrantMonitor monitor(three_nodes(), fake.env);
        run_all(monitor, fake);
        const engine::Judgement judgement = judge(monitor, fake);
        EXPECT_EQ(judgement.status.nodes[1].state, item.state) << item.name;
        EXPECT_EQ(judgement.status.nodes[0].state, "running") << item.name;
        EXPECT_EQ(monitor.reach()[1].answered, item.answered) << item.name;
    }
}

TEST(Monitor, TellsWhatChangedOnce) {
    aeterna::testing::FakeEnv fake;
    QdrantMonitor monitor(three_nodes(), fake.env);
    const auto post = [&](const std::function<void(Seen&)>& change) {
        fake.clock.advance(3s);
        Seen seen = healthy(fake.clock.now());
        change(seen);
        monitor.board().post([&seen](Seen& place) { place = seen; });
        std::vector<std::string> kinds;
        for (const auto& event : judge(monitor, fake).events)
            kinds.push_back(event.kind + " " + event.subject);
        return kinds;
    };
    using Kinds = std::vector<std::string>;
    EXPECT_EQ(post([](Seen&) {}), Kinds{});
    const auto killed = [](Seen& s) { fail_node(s, 3, Answer::kRefused); };
    EXPECT_EQ(post(killed), (Kinds{"node.down qdrant-3", "status.changed qdrant"}));
    EXPECT_EQ(post(killed), Kinds{});
    EXPECT_EQ(post([&](Seen& s) {
                  killed(s);
                  set_replica(s, 3, "Dead");
              }),
              Kinds{"replica.dead qdrant-3"});
    post([](Seen& s) { set_replica(s, 3, "Partial"); });
    const Kinds back = post([](Seen&) {});
    EXPECT_EQ(std::count(back.begin(), back.end(), "replica.active qdrant-3"), 1);
    EXPECT_EQ(std::count(back.begin(), back.end(), "status.changed qdrant"), 1);
}

TEST(Monitor, AfterOurOwnStallOldLooksCountForNothingUntilRenewed) {
    aeterna::testing::FakeEnv fake;
    fake.http.handler = [](const env::HttpRequest& request) { return serve(request.url, 1); };
    QdrantMonitor monitor(three_nodes(), fake.env);
    run_all(monitor, fake);
    const MonoTime before = fake.clock.now();
    fake.clock.advance(30s);
    EXPECT_EQ(monitor.judge({fake.clock.now(), fake.clock.wall_now(), false, true})
                  .status.extra.at("cluster_status"),
              Json(nullptr));
    fake.clock.advance(100ms);
    // What was asked before the stall and timed out in it.
    monitor.board().post([&](Seen& seen) {
        for (auto& [name, node] : seen.nodes) {
            node.api = {fake.clock.now(), Answer::kSilent, "no answer", std::nullopt, before};
        }
    });
    EXPECT_EQ(judge(monitor, fake).status.extra.at("cluster_status"), Json(nullptr));
    run_all(monitor, fake);
    EXPECT_EQ(judge(monitor, fake).status.extra.at("cluster_status"), "Green");
}

TEST(Monitor, ReadsItsOwnMetricBack) {
    aeterna::testing::FakeEnv fake;
    fake.http.handler = [](const env::HttpRequest& request) -> Result<env::HttpResponse> {
        if (!request.url.starts_with("http://prom")) return serve(request.url, 1);
        return env::HttpResponse{
            200, {}, R"({"status":"success","data":{"resultType":"vector","result":[
            {"metric":{"status":"Red","stack":"other"},"value":[1,"1"]},
            {"metric":{"status":"Red"},"value":[1,"1"]},
            {"metric":{"status":"Green","stack":"test"},"value":[1,"0"]},
            {"metric":{"status":"Yellow","stack":"test"},"value":[1,"1"]}]}})"};
    };
    QdrantMonitor monitor(three_nodes("http://prom"), fake.env);
    run_all(monitor, fake);
    EXPECT_EQ(monitor.board().snapshot().metric->status, "Yellow");
    EXPECT_EQ(own_metric(*three_nodes("http://prom")), R"(aeterna_qdrant_cluster_status{stack="test"})");
}

}  // namespace
}  // namespace aeterna::qdrant::testing
