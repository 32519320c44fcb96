#include "engine/runbook/actor_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

// etcd that holds the key under a lease until a transaction that compares that lease removes it.
struct OneKey {
    std::string lease = "41";  // empty: nobody holds it
    int removals = 0;

    Result<env::HttpResponse> answer(const env::HttpRequest& request) {
        env::HttpResponse response;
        response.status = 200;
        response.body = R"({"succeeded": true})";
        if (request.url.ends_with("/lease/grant")) response.body = R"({"ID": "77", "TTL": "15"})";
        if (!request.url.ends_with("/kv/txn")) return response;
        const Json wanted = parse_json(request.body, "a transaction").value();
        const Json& compare = wanted["compare"][0];
        const bool is_removal = wanted["success"][0].contains("request_delete_range");
        const bool succeeds = is_removal ? compare["lease"] == lease : lease.empty();
        if (succeeds) lease = is_removal ? "" : "77";
        removals += is_removal ? 1 : 0;
        Json pairs = Json::array();
        if (!lease.empty())
            pairs.push_back({{"key", base64_encode("/aeterna-dr/toy/actor")}, {"value", base64_encode("{}")}, {"lease", lease}});
        const Json range{{"response_range", {{"kvs", pairs}}}};
        response.body = Json{{"succeeded", succeeds}, {"responses", Json::array({range})}}.dump();
        return response;
    }
};

TEST(EtcdActorLock, OfAProcessThatDiedHereIsTakenAtOnce) {
    const std::tuple<const char*, std::string, bool, bool> table[] = {
        {"it died", "41\n", false, true},
        {"it lives", "41\n", true, false},
        {"another one holds it since", "40\n", false, false},
        {"it acted elsewhere", "", false, false},
        {"nonsense", "4x", false, false},
    };
    for (const auto& [what, left, lives, is_taken] : table) {
        ::aeterna::testing::FakeEnv fake;
        OneKey etcd;
        fake.http.handler = [&](const env::HttpRequest& request) { return etcd.answer(request); };
        config::Stack stack = stack_without_etcd();
        stack.etcd = config::EtcdSettings{{"http://127.0.0.1:1"}, "", {}, {}};
        if (!left.empty()) fake.files.content["/state/actor.lease"] = left;
        const auto former = lives ? fake.files.lock("/state/actor.lock").value() : nullptr;
        const auto hold = make_actor_lock(stack, fake.env)->acquire("failover redis", fake.clock.context());
        EXPECT_EQ(hold.has_value(), is_taken) << what;
        if (!hold) EXPECT_EQ(hold.error().code, ErrorCode::kLocked) << what;
        EXPECT_EQ(etcd.lease, is_taken ? "77" : "41") << what;
        if (is_taken) EXPECT_EQ(fake.files.content["/state/actor.lease"], "77\n") << what;
        else EXPECT_EQ(fake.files.content["/state/actor.lease"], left) << what << ": the next try needs it";
    }
}

}  // namespace
}  // namespace aeterna::engine
