// Three stand-ins in one process, joined by a network that can be cut: replica states, recovery,
// quorum, faults.
#include <gtest/gtest.h>

#include <set>

#include "../support/fake_env.h"
#include "lab/stand_in/routes.h"

namespace aeterna::lab {
namespace {

using aeterna::testing::FakeEnv;

struct Node {
    StandInConfig config;
    std::unique_ptr<Database> database;
    std::unique_ptr<Replication> replication;
    std::unique_ptr<Routes> routes;
};

class Network : public ::testing::Test {
  protected:
    void SetUp() override {
        fake_.http.handler = [this](const env::HttpRequest& request) { return deliver(request); };
        for (std::uint64_t id = 1; id <= 3; ++id) {
            StandInConfig& config = nodes_[id].config;
            config.name = "qdrant-" + std::to_string(id);
            config.storage = "/data/" + config.name;
            config.api_key = Secret("key");
            config.own_id = id;
            for (std::uint64_t peer = 1; peer <= 3; ++peer) {
                const std::string number = std::to_string(peer);
                config.peers.push_back({"qdrant-" + number, peer, "http://" + number});
            }
        }
        for (std::uint64_t id = 1; id <= 3; ++id) start(id);
        tick();
    }
    void start(std::uint64_t id) {
        Node& node = nodes_[id];
        auto database = Database::open(node.config.storage, id, fake_.files);
        ASSERT_TRUE(database) << database.error().to_string();
        node.database = std::move(*database);
        node.replication = std::make_unique<Replication>(node.config, *node.database, fake_.env);
        node.routes = std::make_unique<Routes>(node.config, *node.database, *node.replication,
                                               fake_.env, std::stop_token());
        node.replication->tick({});
    }
    void stop(std::uint64_t id) {
        Node& node = nodes_[id];
        node.routes.reset();
        node.replication.reset();
        node.database.reset();
    }
    void tick() {
        for (auto& [id, node] : nodes_) {
            if (node.replication) node.replication->tick({});
        }
    }
    Result<env::HttpResponse> deliver(const env::HttpRequest& request) {
        const auto slash = request.url.find('/', 7);
        const auto id = static_cast<std::uint64_t>(std::stoi(request.url.substr(7, slash - 7)));
        if (!nodes_[id].routes) return make_error(ErrorCode::kConnectionRefused, "refused");
        if (silent_.contains(id)) return make_error(ErrorCode::kTimeout, "silence");
        std::string target = request.url.substr(slash);
        env::ServerRequest received{
            request.method, target.substr(0, target.find('?')), {}, {}, request.body};
        if (const auto query = target.find('?'); query != std::string::npos) {
            std::string rest = target.substr(query + 1) + "&";
            for (std::size_t end = rest.find('&'); end != std::string::npos; end = rest.find('&')) {
                const std::string pair = rest.substr(0, end);
                received.query.emplace(pair.substr(0, pair.find('=')),
                                       pair.substr(pair.find('=') + 1));
                rest.erase(0, end + 1);
            }
        }
        for (const auto& [name, value] : request.headers) received.headers[name] = value;
        const auto answer = nodes_[id].routes->handle(received);
        return env::HttpResponse{answer.status, {}, answer.body};
    }
    // Status and `result` (or the body).
    std::pair<int, Json> ask(std::uint64_t id, const std::string& method, const std::string& path,
                             const std::string& body = "") {
        env::HttpRequest request;
        request.method = method;
        request.url = "http://" + std::to_string(id) + path;
        request.headers = {{"api-key", "key"}};
        request.body = body;
        const auto response = deliver(request);
        if (!response) return {0, nullptr};
        const auto parsed = parse_json(response->body, "answer");
        if (!parsed) return {response->status, response->body};
        return {response->status, parsed->contains("result") ? (*parsed)["result"] : *parsed};
    }
    void create(int factor = 2) {
        ASSERT_EQ(ask(1, "PUT", "/collections/c",
                      R"({"vectors":{"size":2,"distance":"Cosine"},"write_consistency_factor":)" +
                          std::to_string(factor) + "}")
                      .first,
                  200);
    }
    int put(std::uint64_t node, int id) {
        return ask(node, "PUT", "/collections/c/points?wait=true",
                   R"({"points":[{"id":)" + std::to_string(id) + R"(,"vector":[1,2]}]})")
            .first;
    }
    int count(std::uint64_t node) {
        return ask(node, "POST", "/collections/c/points/count", "{}").second.value("count", -1);
    }
    std::string state(std::uint64_t viewer, std::uint64_t peer) {
        return nodes_[viewer].database->read(
            [&](const DatabaseState& s) { return s.find("c")->state_of(peer); });
    }

    FakeEnv fake_;
    std::map<std::uint64_t, Node> nodes_;
    std::set<std::uint64_t> silent_;
};

TEST_F(Network, EveryNodeHasEveryWrite) {
    create();
    for (int id = 1; id <= 6; ++id) EXPECT_EQ(put(static_cast<std::uint64_t>(id % 3 + 1), id), 200);
    for (std::uint64_t n = 1; n <= 3; ++n) EXPECT_EQ(count(n), 6) << n;
}

TEST_F(Network, ADeadPeerStaysActiveUntilAWriteAndThenPullsWhatItMissed) {
    create();
    put(1, 1);
    stop(3);
    tick();
    EXPECT_EQ(state(1, 3), "Active") << "nobody has written";
    EXPECT_EQ(ask(1, "GET", "/cluster").second["message_send_failures"].size(), 1U);
    EXPECT_EQ(put(1, 2), 200);
    EXPECT_EQ(state(1, 3), "Dead");
    EXPECT_EQ(state(2, 3), "Dead") << "in everyone's view";
    EXPECT_EQ(put(2, 3), 200);
    start(3);
    tick();
    for (std::uint64_t viewer = 1; viewer <= 3; ++viewer)
        EXPECT_EQ(state(viewer, 3), "Active") << viewer;
    stop(1);
    stop(2);
    EXPECT_EQ(count(3), 3) << "its own copy";
}

TEST_F(Network, AnEmptyDiskIsFilledFromAnActivePeer) {
    create();
    for (int id = 1; id <= 1200; ++id) ASSERT_EQ(put(1, id), 200);  // more than two pages
    stop(2);
    ASSERT_TRUE(fake_.files.remove_tree("/data/qdrant-2"));
    start(2);
    EXPECT_EQ(count(2), 1200);
    EXPECT_EQ(state(1, 2), "Active");
    stop(1);
    stop(3);
    EXPECT_EQ(nodes_[2].database->read([](const auto& s) { return s.find("c")->count(); }), 1200U);
}

TEST_F(Network, ANodeThatIsNotReadableLetsAnotherAnswer) {
    create();
    put(1, 1);
    const Json dead = {
        {"op", "replicas"}, {"name", "c"}, {"states", {{"2", Json::array({"Dead", 1U << 30})}}}};
    put(1, 2);
    ASSERT_TRUE(nodes_[2].database->apply(dead));
    stop(3);
    EXPECT_EQ(count(2), 2) << "by node 1";
    stop(1);
    EXPECT_EQ(ask(2, "POST", "/collections/c/points/count", "{}").first, 500);
}

TEST_F(Network, WithoutAMajorityNothingIsAcknowledgedAndNobodyIsMarked) {
    create();
    stop(2);
    stop(3);
    nodes_[1].replication->tick({});
    EXPECT_EQ(ask(1, "GET", "/cluster").second["raft_info"]["leader"], 0);
    EXPECT_EQ(put(1, 1), 500);
    EXPECT_EQ(state(1, 2), "Active");
    EXPECT_EQ(ask(1, "PUT", "/collections/d", R"({"vectors":{"size":2,"distance":"Dot"}})").first,
              503);
    EXPECT_EQ(count(1), 1) << "the refused write may be there: its outcome was unknown";
}

TEST_F(Network, ACollectionMadeWhileAPeerWasAwayReachesIt) {
    stop(3);
    create();
    put(1, 1);
    start(3);
    tick();
    EXPECT_EQ(state(1, 3), "Active");
    stop(1);
    stop(2);
    EXPECT_EQ(count(3), 1);
}

TEST_F(Network, SwitchedFaultsAreSeenAndEnd) {
    create();
    EXPECT_EQ(ask(1, "POST", "/stand-in/faults", R"({"status":503})").first, 200);
    EXPECT_EQ(ask(1, "GET", "/collections").first, 503);
    EXPECT_EQ(ask(1, "GET", "/readyz").first, 503);
    EXPECT_EQ(ask(1, "GET", "/healthz").first, 200);
    EXPECT_EQ(put(2, 1), 200) << "peers are spared";
    EXPECT_EQ(state(2, 1), "Active");
    EXPECT_EQ(ask(1, "POST", "/stand-in/faults", R"({"status":503,"internal":true})").first, 200);
    EXPECT_EQ(put(2, 2), 200);
    EXPECT_EQ(state(2, 1), "Dead");
    const MonoTime before = fake_.clock.now();
    EXPECT_EQ(ask(1, "POST", "/stand-in/faults", R"({"delay_ms":1500})").first, 200);
    EXPECT_EQ(ask(1, "GET", "/collections").first, 200);
    EXPECT_EQ(fake_.clock.now() - before, 1500ms);
    EXPECT_EQ(ask(1, "POST", "/stand-in/faults", R"({"status":200})").first, 400);
    EXPECT_EQ(ask(1, "POST", "/stand-in/faults", "{}").first, 200);
}

TEST_F(Network, NothingIsSilentlyIgnored) {
    create();
    const std::pair<const char*, const char*> cases[] = {
        {"/collections/c/points/scroll", R"({"filter":{"must":[]}})"},
        {"/collections/c/points/scroll", R"({"order_by":"x"})"},
        {"/collections/c/points/query", R"({"query":[1,2,3]})"},
        {"/collections/c/points", R"({"ids":"x"})"},
        {"/collections/c/cluster", R"({"drop_replica":{}})"},
        {"/collections/aliases", R"({"actions":[{"x":1}]})"},
    };
    for (const auto& [path, body] : cases)
        EXPECT_EQ(ask(1, "POST", path, body).first, 400) << path << body;
    EXPECT_EQ(ask(1, "POST", "/collections/c/snapshots", "{}").first, 404);
    EXPECT_EQ(ask(1, "PUT", "/collections/d", R"({"vectors":{"a":{"size":2}}})").first, 400);
    EXPECT_EQ(
        ask(1, "PUT", "/collections/d", R"({"vectors":{"size":2,"distance":"Euclid"}})").first,
        400);
    EXPECT_EQ(
        ask(1, "PUT", "/collections/c/points", R"({"points":[{"id":1,"vector":{"a":[1,2]}}]})")
            .first,
        400);
    EXPECT_EQ(
        ask(1, "PUT", "/collections/c/points", R"({"points":[{"id":-1,"vector":[1,2]}]})").first,
        400);
}

TEST(StandInConfig, RefusesWhatIsWrong) {
    aeterna::testing::FakeFiles files;
    files.content["/key"] = "k\n";
    const auto load = [&files](const std::string& text) {
        files.content["/c.json"] = text;
        return load_stand_in_config("/c.json", files);
    };
    const std::string good =
        R"({"name":"a","listen":"127.0.0.1:6333","storage":"/s","api_key_file":"/key",
        "peers":[{"name":"a","peer_id":1,"url":"http://127.0.0.1:6333"}]})";
    const auto config = load(good);
    ASSERT_TRUE(config) << config.error().to_string();
    EXPECT_EQ(config->api_key.reveal(), "k");
    EXPECT_EQ(config->majority(), 1U);
    const std::pair<const char*, const char*> breaks[] = {
        {R"("name":"a","listen")", R"("name":"b","listen")"},
        {"127.0.0.1:6333\",", "nowhere\","},
        {R"("peer_id":1)", R"("peer_id":0)"},
        {R"("peer_id":1)", R"("peer_id":256)"},
        {"\"storage\":\"/s\",", ""},
        {"/key", "/missing"},
        {"\"peers\"", "\"others\""},
    };
    for (const auto& [from, to] : breaks) {
        std::string text = good;
        text.replace(text.find(from), std::string(from).size(), to);
        EXPECT_FALSE(load(text)) << text;
    }
    EXPECT_FALSE(load("nonsense"));
}

}  // namespace
}  // namespace aeterna::lab
