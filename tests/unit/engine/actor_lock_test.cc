#include "engine/runbook/actor_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "../support/fake_env.h"
#include "base/json.h"
#include "base/strings.h"
#include "engine/runbook/shared_actor_lock.h"

namespace aeterna::engine {
namespace {

using ::testing::HasSubstr;

config::Stack stack_without_etcd() {
    config::Stack stack;
    stack.name = "toy";
    stack.state_directory = "/state";
    return stack;
}

TEST(FileActorLock, IsHeldByOneAndSaysWhy) {
    ::aeterna::testing::FakeEnv fake;
    fake.files.content["/proc/sys/kernel/hostname"] = "box\n";
    const config::Stack stack = stack_without_etcd();
    const std::unique_ptr<ActorLock> first = make_actor_lock(stack, fake.env);
    const std::unique_ptr<ActorLock> second = make_actor_lock(stack, fake.env);
    {
        const auto hold = first->acquire("failover redis (exec-1)", fake.clock.context());
        ASSERT_TRUE(hold) << hold.error().to_string();
        EXPECT_TRUE((*hold)->is_held());
        const auto refused = second->acquire("other", fake.clock.context());
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, ErrorCode::kLocked);
        EXPECT_EQ(refused.error().message,
                  "another aeterna-dr acts on stack 'toy': failover redis (exec-1) "
                  "(host box, pid 4711, since 2026-03-01T10:00:00.000Z)");
    }
    EXPECT_TRUE(second->acquire("other", fake.clock.context()));
    EXPECT_FALSE(fake.files.exists("/state/actor.json"));
}

TEST(EtcdActorLock, SilenceIsATimeOut) {
    for (const ErrorCode code : {ErrorCode::kTimeout, ErrorCode::kDeadline}) {
        ::aeterna::testing::FakeEnv fake;
        fake.http.handler = [&](const env::HttpRequest&) -> Result<env::HttpResponse> {
            return make_error(code, "no answer");
        };
        config::Stack stack = stack_without_etcd();
        stack.etcd = config::EtcdSettings{{"http://127.0.0.1:1"}, "", {}, {}};
        const auto refused = make_actor_lock(stack, fake.env)->acquire("failover", fake.clock.context());
        ASSERT_FALSE(refused);
        EXPECT_EQ(exit_code(refused.error().code), 8);
        EXPECT_THAT(refused.error().message, HasSubstr("etcd does not grant the actor lock"));
        EXPECT_THAT(refused.error().hint, HasSubstr("without the lock nothing is done"));
    }
}

TEST(EtcdActorLock, AnEtcdThatRefusesIsUnavailable) {
    ::aeterna::testing::FakeEnv fake;
    config::Stack stack = stack_without_etcd();
    stack.etcd = config::EtcdSettings{{"http://127.0.0.1:1"}, "", {}, {}};
    const auto refused = make_actor_lock(stack, fake.env)->acquire("failover", fake.clock.context());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
    EXPECT_THAT(refused.error().hint, HasSubstr("quorum"));
}

TEST(SharedActorLock, TellsOthersEveryIntentThatIsPresent) {
    ::aeterna::testing::FakeEnv fake;
    const config::Stack stack = stack_without_etcd();
    SharedActorLock shared(make_actor_lock(stack, fake.env));
    const std::unique_ptr<ActorLock> other = make_actor_lock(stack, fake.env);
    const auto told = [&] { return other->acquire("other", fake.clock.context()).error().message; };
    auto first = shared.acquire("failover postgres (exec-1)", fake.clock.context());
    ASSERT_TRUE(first);
    EXPECT_THAT(told(), HasSubstr(": failover postgres (exec-1) ("));
    auto second = shared.acquire("failover redis (exec-2)", fake.clock.context());
    ASSERT_TRUE(second);
    EXPECT_THAT(told(), HasSubstr(": failover postgres (exec-1); failover redis (exec-2) ("));
    first->reset();
    EXPECT_THAT(told(), HasSubstr(": failover redis (exec-2) ("));
    EXPECT_TRUE((*second)->is_held());
    second->reset();
    EXPECT_TRUE(other->acquire("other", fake.clock.context()));
}

TEST(EtcdActorLock, WritesANewIntentUnderItsOwnLease) {
    ::aeterna::testing::FakeEnv fake;
    std::stop_source stop;
    std::vector<Json> transactions;
    fake.http.handler = [&](const env::HttpRequest& request) -> Result<env::HttpResponse> {
        env::HttpResponse response;
        response.status = 200;
        response.body = R"({"succeeded": true})";
        if (request.url.ends_with("/lease/grant")) response.body = R"({"ID": "7", "TTL": "15"})";
        if (request.url.ends_with("/kv/txn")) {
            transactions.push_back(parse_json(request.body, "a transaction").value());
            if (transactions.size() == 2) stop.request_stop();
        }
        return response;
    };
    config::Stack stack = stack_without_etcd();
    stack.etcd = config::EtcdSettings{{"http://127.0.0.1:1"}, "", {}, {}};
    const auto hold = make_actor_lock(stack, fake.env)->acquire("failover postgres", fake.clock.context());
    ASSERT_TRUE(hold) << hold.error().to_string();
    (*hold)->tell("failover postgres; failover redis");
    fake.threads.last->body(stop.get_token());
    ASSERT_EQ(transactions.size(), 2U);
    const Json& put = transactions[1]["success"][0]["request_put"];
    EXPECT_EQ(transactions[1]["compare"][0]["target"], "LEASE");
    EXPECT_EQ(transactions[1]["compare"][0]["lease"], "7");
    EXPECT_EQ(put["lease"], "7") << "without its lease the key would outlive us";
    EXPECT_THAT(base64_decode(put["value"].get<std::string>()).value(),
                HasSubstr(R"("intent":"failover postgres; failover redis")"));
}

// etcd that holds the key under a lease until that is revoked.
struct OneKey {
    std::string lease = "41";  // empty: nobody holds it
    std::set<std::string> revoked{};

    Result<env::HttpResponse> answer(const env::HttpRequest& request) {
        env::HttpResponse response;
        response.status = 200;
        const Json wanted = parse_json(request.body, "a request").value();
        const auto asks = [&](const char* path) { return request.url.ends_with(path); };
        const std::string id = find_string(wanted, "ID").value_or("");
        if (asks("/lease/grant")) response.body = R"({"ID": "77", "TTL": "15"})";
        if (asks("/lease/keepalive")) response.body = Json{{"result", {{"TTL", revoked.contains(id) ? "0" : "15"}}}}.dump();
        if (asks("/kv/range")) response.body = Json{{"kvs", pairs()}}.dump();
        if (asks("/lease/revoke")) {
            revoked.insert(id);
            if (lease == id) lease.clear();
            response.body = "{}";
        }
        if (!asks("/kv/txn")) return response;
        const bool is_removal = wanted["success"][0].contains("request_delete_range");
        const bool succeeds = is_removal ? wanted["compare"][0]["lease"] == lease : lease.empty();
        if (succeeds) lease = is_removal ? "" : "77";
        const Json range{{"response_range", {{"kvs", pairs()}}}};
        response.body = Json{{"succeeded", succeeds}, {"responses", Json::array({range})}}.dump();
        return response;
    }
    Json pairs() const {
        Json all = Json::array();
        if (!lease.empty())
            all.push_back({{"key", base64_encode("/aeterna-dr/toy/actor")}, {"value", base64_encode("{}")}, {"lease", lease}});
        return all;
    }
};

constexpr const char* kBootFile = "/proc/sys/kernel/random/boot_id";

TEST(EtcdActorLock, OfAProcessThatDiedHereIsTakenAtOnce) {
    const std::tuple<const char*, std::string, bool, bool> table[] = {
        {"it died", "41 boot-1\n", false, true},
        {"it lives", "41 boot-1\n", true, false},
        {"another one holds it since", "40 boot-1\n", false, false},
        {"it acted elsewhere", "", false, false},
        {"another boot, or another machine that sees these files", "41 boot-2\n", false, false},
        {"no boot", "41\n", false, false},
        {"nonsense", "4x boot-1", false, false},
    };
    for (const auto& [what, left, lives, is_taken] : table) {
        ::aeterna::testing::FakeEnv fake;
        OneKey etcd;
        fake.http.handler = [&](const env::HttpRequest& request) { return etcd.answer(request); };
        config::Stack stack = stack_without_etcd();
        stack.etcd = config::EtcdSettings{{"http://127.0.0.1:1"}, "", {}, {}};
        fake.files.content[kBootFile] = "boot-1\n";
        if (!left.empty()) fake.files.content["/state/actor.lease"] = left;
        const auto former = lives ? fake.files.lock("/state/actor.lock").value() : nullptr;
        const auto hold = make_actor_lock(stack, fake.env)->acquire("failover redis", fake.clock.context());
        EXPECT_EQ(hold.has_value(), is_taken) << what;
        if (!hold) EXPECT_EQ(hold.error().code, ErrorCode::kLocked) << what;
        EXPECT_EQ(etcd.lease, is_taken ? "77" : "41") << what;
        EXPECT_EQ(etcd.revoked.contains("41"), is_taken) << what << ": its keepalive must fail then, and only then";
        if (is_taken) EXPECT_EQ(fake.files.content["/state/actor.lease"], "77 boot-1\n") << what;
        else EXPECT_EQ(fake.files.content["/state/actor.lease"], left) << what << ": the next try needs it";
    }
}

TEST(EtcdActorLock, AMachineWithoutABootIdLeavesNoMark) {
    ::aeterna::testing::FakeEnv fake;
    OneKey etcd{""};
    fake.http.handler = [&](const env::HttpRequest& request) { return etcd.answer(request); };
    config::Stack stack = stack_without_etcd();
    stack.etcd = config::EtcdSettings{{"http://127.0.0.1:1"}, "", {}, {}};
    const auto hold = make_actor_lock(stack, fake.env)->acquire("failover redis", fake.clock.context());
    ASSERT_TRUE(hold) << hold.error().to_string();
    EXPECT_FALSE(fake.files.exists("/state/actor.lease"));
}

TEST(EtcdActorLock, WhoeverLostTheKeyOrItsLeaseHoldsItNoMore) {
    const std::tuple<const char*, std::function<void(OneKey&)>, bool> table[] = {
        {"nothing happened", [](OneKey&) {}, true},
        {"its lease was revoked", [](OneKey& etcd) { etcd.revoked.insert("77"); }, false},
        {"another one has the key, and its lease lives", [](OneKey& etcd) { etcd.lease = "78"; }, false},
        {"the key is gone, and its lease lives", [](OneKey& etcd) { etcd.lease.clear(); }, false},
    };
    for (const auto& [what, change, is_held] : table) {
        ::aeterna::testing::FakeEnv fake;
        OneKey etcd{""};
        std::stop_source stop;
        int renewals = 0;
        fake.http.handler = [&](const env::HttpRequest& request) {
            renewals += request.url.ends_with("/lease/keepalive") ? 1 : 0;
            if (renewals == 2 || request.url.ends_with("/kv/range")) stop.request_stop();
            return etcd.answer(request);
        };
        config::Stack stack = stack_without_etcd();
        stack.etcd = config::EtcdSettings{{"http://127.0.0.1:1"}, "", {}, {}};
        const auto hold = make_actor_lock(stack, fake.env)->acquire("failover redis", fake.clock.context());
        ASSERT_TRUE(hold) << hold.error().to_string();
        EXPECT_TRUE((*hold)->is_held());
        change(etcd);
        fake.threads.last->body(stop.get_token());
        EXPECT_EQ((*hold)->is_held(), is_held) << what;
    }
}

}  // namespace
}  // namespace aeterna::engine
