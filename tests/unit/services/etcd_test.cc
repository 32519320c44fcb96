// The etcd client against a real etcd, started for this program on a loopback address; skipped without one.
#include "services/etcd.h"

#include <signal.h>

#include "../support/fake_env.h"
#include "unit/env/real_env.h"

namespace aeterna::services {
namespace {

using env::testing::Directory;
using env::testing::eventually;
using env::testing::free_endpoint;
using env::testing::real;
using env::testing::within;

class Server {
  public:
    Server() : url("http://" + free_endpoint().to_string()) {
        const auto program = real().processes.find_program("etcd");
        if (!program) return;
        env::SpawnOptions options;
        if (real().processes.effective_uid() == 0) {
            const auto user = real().processes.find_user("nobody");
            if (!user || !real().files.change_owner(directory_.path(), user->owner)) return;
            options.user = *user;
        }
        const std::string peer = "http://" + free_endpoint().to_string();
        options.argv = {*program, "--name", "one", "--data-dir", directory_.file("data"),
                        "--listen-client-urls", url, "--advertise-client-urls", url,
                        "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                        "--initial-cluster", "one=" + peer, "--unsafe-no-fsync"};
        options.log_path = directory_.file("log");
        const auto id = real().processes.spawn(options);
        if (!id) return;
        id_ = *id;
        is_up = eventually([&] {
            config::EtcdSettings settings;
            settings.endpoints = {url};
            return Etcd(settings, real()).health(1s, within(1s)).front().has_leader;
        }, 30s);
        EXPECT_TRUE(is_up) << real().files.read_tail(directory_.file("log"), 2000).value_or("");
    }
    ~Server() {
        if (id_.pid == 0) return;
        (void)real().processes.signal(id_, SIGKILL);
        real().processes.wait_gone(id_, within(10s));
    }
    [[nodiscard]] const env::ProcessId& id() const { return id_; }

    std::string url;
    bool is_up = false;

  private:
    Directory directory_;
    env::ProcessId id_;
};

class EtcdTest : public ::testing::Test {
  protected:
    static void SetUpTestSuite() { server_ = new Server(); }
    static void TearDownTestSuite() {
        delete server_;
        server_ = nullptr;
    }
    void SetUp() override {
        if (!server_->is_up) GTEST_SKIP() << "no etcd on this machine";
    }
    static Etcd client(std::vector<std::string> endpoints = {}) {
        config::EtcdSettings settings;
        settings.endpoints = endpoints.empty() ? std::vector<std::string>{server_->url + "/"} : std::move(endpoints);
        return Etcd(settings, real());
    }
    static Server* server_;
};
Server* EtcdTest::server_ = nullptr;

TEST_F(EtcdTest, CreatesOnceReadsAndRemovesByLease) {
    Etcd etcd = client();
    EXPECT_FALSE(etcd.get("/t/lock", within(5s)).value().has_value());
    const auto lease = etcd.grant_lease(60, within(5s));
    const auto other = etcd.grant_lease(60, within(5s));
    ASSERT_TRUE(lease && other) << lease.error().to_string();

    const auto first = etcd.create("/t/lock", "me", *lease, within(5s));
    ASSERT_TRUE(first) << first.error().to_string();
    EXPECT_TRUE(first->created);
    EXPECT_TRUE(etcd.create("/t/lock", "me", *lease, within(5s))->created) << "our own repeated request";
    const auto second = etcd.create("/t/lock", "you", *other, within(5s));
    ASSERT_TRUE(second);
    EXPECT_FALSE(second->created);
    EXPECT_EQ(second->present_value, "me");

    for (const bool serializable : {false, true}) {
        const auto found = etcd.get("/t/lock", within(5s), serializable).value();
        ASSERT_TRUE(found);
        EXPECT_EQ(found->value, "me");
        EXPECT_EQ(found->lease, *lease);
        EXPECT_GT(found->create_revision, 0);
        EXPECT_EQ(found->mod_revision, found->create_revision);
    }
    EXPECT_FALSE(etcd.remove_if_lease("/t/lock", *other, within(5s)).value());
    EXPECT_TRUE(etcd.get("/t/lock", within(5s)).value().has_value());
    EXPECT_TRUE(etcd.remove_if_lease("/t/lock", *lease, within(5s)).value());
    EXPECT_FALSE(etcd.get("/t/lock", within(5s)).value().has_value());
    EXPECT_TRUE(etcd.remove_if_lease("/t/lock", *lease, within(5s)).value()) << "our own repeated request";
}

// One condition that does not hold, on whatever key, keeps the key.
TEST_F(EtcdTest, RemovesOnlyIfEveryConditionHolds) {
    Etcd etcd = client();
    const auto lease = etcd.grant_lease(60, within(5s));
    const auto other = etcd.grant_lease(60, within(5s));
    ASSERT_TRUE(lease && other);
    ASSERT_TRUE(etcd.create("/t/leader", "node-1", *lease, within(5s)));
    ASSERT_TRUE(etcd.create("/t/actor", "me", *other, within(5s)));
    const auto leader = etcd.get("/t/leader", within(5s)).value().value();
    const EtcdCondition actor{"/t/actor", std::nullopt, std::nullopt, *other};
    const EtcdCondition right{"/t/leader", "node-1", leader.mod_revision, *lease};
    std::vector<EtcdCondition> wrong(3, right);
    wrong[0].value = "node-2";
    wrong[1].mod_revision = leader.mod_revision + 1;
    wrong[2].lease = *other;
    for (const EtcdCondition& condition : wrong) {
        EXPECT_FALSE(etcd.remove_if("/t/leader", {condition, actor}, within(5s)).value());
    }
    const EtcdCondition lost{"/t/actor", std::nullopt, std::nullopt, *lease};
    EXPECT_FALSE(etcd.remove_if("/t/leader", {right, lost}, within(5s)).value()) << "another one acts";
    const EtcdCondition absent{"/t/none", std::nullopt, std::nullopt, *other};
    EXPECT_FALSE(etcd.remove_if("/t/leader", {right, absent}, within(5s)).value());
    ASSERT_TRUE(etcd.get("/t/leader", within(5s)).value().has_value());
    const EtcdPut order{"/t/failover", "node-2"};
    EXPECT_FALSE(etcd.remove_if("/t/leader", {right, lost}, within(5s), order).value());
    EXPECT_FALSE(etcd.get("/t/failover", within(5s)).value().has_value());
    EXPECT_TRUE(etcd.remove_if("/t/leader", {right, actor}, within(5s), order).value());
    EXPECT_FALSE(etcd.get("/t/leader", within(5s)).value().has_value());
    EXPECT_EQ(etcd.get("/t/failover", within(5s)).value().value().value, "node-2");
    EXPECT_FALSE(etcd.remove_if("/t/leader", {right, actor}, within(5s)).value()) << "it is another key by now";
}

TEST_F(EtcdTest, AskingForTheRightToWriteChangesNothing) {
    Etcd etcd = client();
    ASSERT_TRUE(etcd.create("/t/asked", "kept", 0, within(5s)));
    const auto before = etcd.get("/t/asked", within(5s)).value().value();
    for (const char* key : {"/t/asked", "/t/not-there"}) {
        const Status allowed = etcd.check_write(key, within(5s));
        EXPECT_TRUE(allowed) << allowed.error().to_string();
    }
    const auto after = etcd.get("/t/asked", within(5s)).value();
    ASSERT_TRUE(after);
    EXPECT_EQ(after->value, "kept");
    EXPECT_EQ(after->mod_revision, before.mod_revision);
    EXPECT_FALSE(etcd.get("/t/not-there", within(5s)).value().has_value());
}

TEST_F(EtcdTest, LeasesLiveAndEnd) {
    Etcd etcd = client();
    const auto lease = etcd.grant_lease(60, within(5s));
    ASSERT_TRUE(lease);
    const auto alive = etcd.lease_time_to_live(*lease, within(5s));
    ASSERT_TRUE(alive) << alive.error().to_string();
    EXPECT_EQ(alive->granted_ttl_seconds, 60);
    EXPECT_GE(alive->ttl_seconds, 50);
    const auto kept = etcd.keep_alive(*lease, within(5s));
    EXPECT_TRUE(kept) << kept.error().to_string();
    ASSERT_TRUE(etcd.create("/t/leased", "x", *lease, within(5s)));
    const auto revoked = etcd.revoke_lease(*lease, within(5s));
    ASSERT_TRUE(revoked) << revoked.error().to_string();
    EXPECT_FALSE(etcd.get("/t/leased", within(5s)).value().has_value());
    EXPECT_EQ(etcd.lease_time_to_live(*lease, within(5s))->ttl_seconds, -1);
    EXPECT_EQ(etcd.keep_alive(*lease, within(5s)).error().code, ErrorCode::kNotFound);
    EXPECT_TRUE(etcd.revoke_lease(*lease, within(5s))) << "what has ended is revoked";
}

TEST_F(EtcdTest, ListsAPrefixOnly) {
    Etcd etcd = client();
    for (const char* key : {"/p/a", "/p/b", "/p0", "/o"}) ASSERT_TRUE(etcd.create(key, key, 0, within(5s)));
    const auto found = etcd.list("/p/", within(5s));
    ASSERT_TRUE(found);
    ASSERT_EQ((*found)->size(), 2U);
    EXPECT_EQ((**found)[0].key, "/p/a");
    EXPECT_EQ((**found)[1].value, "/p/b");
    EXPECT_EQ((*found)->front().lease, 0);
    EXPECT_GE((*etcd.list("", within(5s)))->size(), 4U);
}

TEST_F(EtcdTest, AnUnchangedListingIsTheSameObject) {
    Etcd etcd = client();
    ASSERT_TRUE(etcd.create("/q/a", "1", 0, within(5s)));
    auto first = etcd.list("/q/", within(5s));
    ASSERT_TRUE(first);
    // A lease of an earlier test that expires in between makes a new revision.
    const auto is_same = [&] {
        const auto before = first;
        first = etcd.list("/q/", within(5s));
        return first && *before == *first;
    };
    bool was_same = false;
    for (int i = 0; i < 10 && !was_same; ++i) was_same = is_same();
    EXPECT_TRUE(was_same);
    ASSERT_TRUE(etcd.create("/q/b", "2", 0, within(5s)));
    const auto grown = etcd.list("/q/", within(5s));
    ASSERT_TRUE(grown);
    EXPECT_NE(*grown, *first);
    EXPECT_EQ((*grown)->size(), 2U);
    EXPECT_EQ((*first)->size(), 1U);
    // Another question between two of the same.
    EXPECT_TRUE(etcd.get("/q/b", within(5s)));
    EXPECT_EQ((*etcd.list("/q/", within(5s)))->size(), 2U);
}

TEST_F(EtcdTest, DeadAndSilentMembersDoNotEatTheDeadline) {
    const env::Endpoint silent = free_endpoint();
    std::stop_source release;
    auto hole = real().http_listener.serve(silent, [&](const env::ServerRequest&) {
        real().clock.sleep_for(30s, release.get_token());
        return env::ServerResponse{};
    });
    ASSERT_TRUE(hole);
    const std::string dead_url = "http://" + free_endpoint().to_string();
    const std::string silent_url = "http://" + silent.to_string();
    Etcd etcd = client({dead_url, silent_url, server_->url});
    EXPECT_TRUE(etcd.get("/t/any", within(600ms))) << "the silent member gets a share only";
    EXPECT_TRUE(etcd.get("/t/any", within(200ms))) << "the member that answered is asked first";

    const auto health = etcd.health(300ms, within(5s));
    ASSERT_EQ(health.size(), 3U);
    EXPECT_FALSE(health[0].answered);
    EXPECT_FALSE(health[1].answered);
    EXPECT_TRUE(health[2].has_leader) << health[2].reason;
    EXPECT_FALSE(health[0].reason.empty());

    EXPECT_EQ(client({silent_url}).get("/t", within(100ms)).error().code, ErrorCode::kTimeout);
    EXPECT_EQ(client({dead_url}).get("/t", within(5s)).error().code, ErrorCode::kConnectionRefused);
    release.request_stop();
}

TEST_F(EtcdTest, WrongAnswersAreErrors) {
    const env::Endpoint endpoint = free_endpoint();
    std::string body;
    int status = 200;
    auto server = real().http_listener.serve(endpoint, [&](const env::ServerRequest&) {
        return env::ServerResponse{status, "application/json", body, {{"Connection", "close"}}};
    });
    ASSERT_TRUE(server);
    Etcd etcd = client({"http://" + endpoint.to_string()});
    const struct {
        int status;
        const char* body;
        ErrorCode code;
    } cases[] = {
        {200, "<html>", ErrorCode::kProtocol},
        {200, R"({"kvs":7})", ErrorCode::kProtocol},
        {200, R"({"kvs":[7]})", ErrorCode::kProtocol},
        {200, R"({"kvs":[{"key":"!"}]})", ErrorCode::kProtocol},
        {503, R"({"error":"etcdserver: no leader","message":"etcdserver: no leader","code":14})",
         ErrorCode::kUnavailable},
        {400, R"({"message":"etcdserver: authentication failed","code":3})", ErrorCode::kAuthentication},
        {401, R"({"message":"etcdserver: invalid auth token","code":16})", ErrorCode::kAuthentication},
        {403, R"({"message":"etcdserver: permission denied","code":7})", ErrorCode::kPermission},
        {500, R"({"message":"boom","code":2})", ErrorCode::kServer},
    };
    for (const auto& one : cases) {
        status = one.status;
        body = one.body;
        const auto answer = etcd.get("/t", within(5s));
        ASSERT_FALSE(answer) << one.body;
        EXPECT_EQ(answer.error().code, one.code) << one.body;
    }
    status = 503;
    body = R"({"health":"false","reason":"NO LEADER"})";
    const auto health = etcd.health(2s, within(5s)).front();
    EXPECT_TRUE(health.answered);
    EXPECT_FALSE(health.has_leader);
    EXPECT_EQ(health.reason, "NO LEADER");
}

TEST_F(EtcdTest, APausedServerIsSilence) {
    Etcd etcd = client();
    ASSERT_TRUE(real().processes.signal(server_->id(), SIGSTOP));
    const auto answer = etcd.get("/t/any", within(200ms));
    ASSERT_TRUE(real().processes.signal(server_->id(), SIGCONT));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, ErrorCode::kTimeout);
}

TEST_F(EtcdTest, ReplacesAValueOnlyUnderItsOwnLease) {
    Etcd etcd = client();
    const auto mine = etcd.grant_lease(30, within(5s)), other = etcd.grant_lease(30, within(5s));
    ASSERT_TRUE(mine && other);
    EXPECT_FALSE(etcd.put_if_lease("/t/told", "early", *mine, within(5s)).value()) << "there is no key yet";
    ASSERT_TRUE(etcd.create("/t/told", "one", *mine, within(5s)).value().created);
    EXPECT_FALSE(etcd.put_if_lease("/t/told", "stolen", *other, within(5s)).value());
    EXPECT_EQ(etcd.get("/t/told", within(5s)).value()->value, "one");
    EXPECT_TRUE(etcd.put_if_lease("/t/told", "one; two", *mine, within(5s)).value());
    const auto told = etcd.get("/t/told", within(5s)).value();
    EXPECT_EQ(told->value, "one; two");
    EXPECT_EQ(told->lease, *mine) << "it must still go with its holder";
    EXPECT_TRUE(etcd.remove_if_lease("/t/told", *mine, within(5s)).value());
    ASSERT_TRUE(etcd.revoke_lease(*mine, within(5s)));
    ASSERT_TRUE(etcd.revoke_lease(*other, within(5s)));
}

// Each login costs the server a bcrypt, which may not fit into a probe's time: one is enough.
TEST(EtcdSession, ClientsOfOneStackLogInOnce) {
    ::aeterna::testing::FakeEnv fake;
    config::EtcdSettings settings;
    settings.endpoints = {"http://one", "http://two"};
    settings.user = "aeterna";
    settings.session = std::make_shared<config::EtcdSession>();
    int logins = 0;
    std::vector<std::string> asked;
    fake.http.handler = [&](const env::HttpRequest& request) -> Result<env::HttpResponse> {
        if (request.url.starts_with("http://one")) return make_error(ErrorCode::kConnectionRefused, "nobody");
        env::HttpResponse response;
        response.status = 200;
        const bool is_login = request.url.ends_with("/v3/auth/authenticate");
        logins += is_login ? 1 : 0;
        asked.push_back(request.url);
        response.body = is_login ? R"({"token":"t"})" : R"({"kvs":[]})";
        return response;
    };
    for (int i = 0; i < 3; ++i) {
        Etcd etcd(settings, fake.env);
        EXPECT_TRUE(etcd.get("/k", fake.clock.context()));
    }
    EXPECT_EQ(logins, 1);
    EXPECT_EQ(asked.size(), 4U);
}

// An error document is as untrusted as any other: what is nested beyond reason is text, not JSON.
TEST(EtcdErrors, AreReadWithTheNestingLimit) {
    ::aeterna::testing::FakeEnv fake;
    config::EtcdSettings settings;
    settings.endpoints = {"http://one"};
    std::string body;
    fake.http.handler = [&](const env::HttpRequest&) -> Result<env::HttpResponse> {
        env::HttpResponse response;
        response.status = 400;
        response.body = body;
        return response;
    };
    Etcd etcd(settings, fake.env);
    body = R"({"code": 7, "message": "no role"})";
    const auto plain = etcd.get("/k", fake.clock.context());
    ASSERT_FALSE(plain);
    EXPECT_EQ(plain.error().code, ErrorCode::kPermission);
    const std::string deep = std::string(500, '[') + std::string(500, ']');
    body = R"({"code": 7, "message": "no role", "details": )" + deep + "}";
    const auto nested = etcd.get("/k", fake.clock.context());
    ASSERT_FALSE(nested);
    EXPECT_EQ(nested.error().code, ErrorCode::kServer);
    EXPECT_NE(nested.error().message.find("[[["), std::string::npos) << nested.error().message;
}

}  // namespace
}  // namespace aeterna::services
