// What `config check` says of etcd: a role that is too small for what the stack file orders.
#include "postgres/check_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/fake_env.h"
#include "base/json.h"
#include "base/strings.h"
#include "fixtures.h"

namespace aeterna::postgres::testing {
namespace {

using engine::ConfigFinding;
using Level = ConfigFinding::Level;
using ::testing::HasSubstr;

constexpr const char* kLeader = "/service/aeterna/leader";
constexpr const char* kActor = "/aeterna-dr/test/actor";

// An etcd that lets `writable` keys be written and answers reads with nothing.
class EtcdRights : public ::testing::Test {
  protected:
    EtcdRights() {
        settings.etcd->user = "";
        fake.http.handler = [this](const env::HttpRequest& request) -> Result<env::HttpResponse> {
            if (!request.url.ends_with("/v3/kv/txn")) return env::HttpResponse{200, {}, R"({"kvs":[]})"};
            const Json body = *parse_json(request.body, "request");
            EXPECT_EQ(body["compare"][0]["mod_revision"], "-1") << "it must never be carried out";
            const std::string key = *base64_decode(body["success"][0]["request_put"]["key"].get<std::string>());
            asked.push_back(key);
            if (writable.contains(key)) return env::HttpResponse{200, {}, R"({"header":{}})"};
            return env::HttpResponse{403, {}, R"({"message":"etcdserver: permission denied","code":7})"};
        };
    }
    ConfigFinding ask(config::Assist assist) {
        settings.assist = assist;
        asked.clear();
        for (const ConfigFinding& finding : check_config(settings, fake.env, fake.clock.context())) {
            if (finding.subject == "etcd rights") return finding;
        }
        return {Level::kOk, "none", "", ""};
    }

    aeterna::testing::FakeEnv fake;
    Settings settings = three_nodes();
    std::set<std::string> writable{kActor, kLeader};
    std::vector<std::string> asked;
};

TEST_F(EtcdRights, ActingNeedsTheLeaderKey) {
    EXPECT_EQ(ask(config::Assist::kAct).level, Level::kOk);
    EXPECT_EQ(asked, (std::vector<std::string>{kActor, kLeader}));
    writable.erase(kLeader);
    const ConfigFinding finding = ask(config::Assist::kAct);
    EXPECT_EQ(finding.level, Level::kError);
    EXPECT_THAT(finding.message, HasSubstr("may not write '/service/aeterna/leader'"));
    EXPECT_EQ(ask(config::Assist::kPropose).level, Level::kOk) << "it never touches Patroni's keys";
}

TEST_F(EtcdRights, EveryStackNeedsItsActorLock) {
    writable.erase(kActor);
    const ConfigFinding finding = ask(config::Assist::kOff);
    EXPECT_EQ(finding.level, Level::kError);
    EXPECT_THAT(finding.message, HasSubstr(kActor));
}

TEST_F(EtcdRights, ThePrintedRoleIsLargeEnough) {
    const std::string grant = "\netcdctl role grant-permission \"aeterna-dr\" readwrite '/service/aeterna/leader'";
    settings.assist = config::Assist::kAct;
    EXPECT_THAT(least_privilege(settings), HasSubstr(grant));
    settings.assist = config::Assist::kOff;
    EXPECT_THAT(least_privilege(settings), ::testing::Not(HasSubstr(grant))) << "no more than is needed";
    EXPECT_THAT(least_privilege(settings), HasSubstr("readwrite '/service/aeterna/leader'")) << "but told";
}

}  // namespace
}  // namespace aeterna::postgres::testing
