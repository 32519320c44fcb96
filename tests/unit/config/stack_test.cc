#include "config/stack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/fake_env.h"

namespace aeterna::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kFile = "/etc/aeterna-dr/production.yaml";
constexpr const char* kStack = R"(name: production
state_directory: state
objectives: {rto: 20m, rpo: 4m}
etcd:
  endpoints: [http://10.0.0.1:2379, https://10.0.0.2:2379]
  user: root
  password_file: etcd.password
  ca_file: ca.pem
prometheus:
  url: http://10.0.0.10:9090
serve:
  listen: 127.0.0.1:9464
hosts:
  - name: host-1
    site: a
    executor: local
    processes:
      - {node: patroni-1, pid_file: /run/patroni.pid, start: [systemctl, start, patroni]}
  - {name: host-2, site: b}
stores:
  postgres:
    objectives: {rto: 5m, rpo: 1m}
    approvals: [heartbeat, drill]
    scope: aeterna
  redis: {master_name: m}
)";

Result<Stack> load(testing::FakeFiles& files, const std::string& text) {
    files.content[kFile] = text;
    files.content["/etc/aeterna-dr/etcd.password"] = "etcd-secret\n";
    return load_stack(kFile, files);
}

TEST(Stack, ReadsTheCommonPartAndLeavesTheRestToTheStores) {
    testing::FakeFiles files;
    Result<Stack> stack = load(files, kStack);
    ASSERT_TRUE(stack) << stack.error().to_string();
    EXPECT_EQ(stack->name, "production");
    EXPECT_EQ(stack->file, kFile);
    EXPECT_EQ(stack->state_directory, "/etc/aeterna-dr/state");
    EXPECT_EQ(stack->objectives.rto, std::chrono::minutes(20));
    ASSERT_TRUE(stack->etcd);
    EXPECT_EQ(stack->etcd->password.reveal(), "etcd-secret");
    EXPECT_EQ(stack->etcd->tls.ca_file, "/etc/aeterna-dr/ca.pem");
    EXPECT_EQ(stack->prometheus_url, "http://10.0.0.10:9090");
    EXPECT_EQ(stack->serve_listen, (env::Endpoint{"127.0.0.1", 9464}));
    ASSERT_EQ(stack->hosts.size(), 2u);
    EXPECT_EQ(stack->hosts[1].executor, "none");
    EXPECT_EQ(stack->host_of("patroni-1"), &stack->hosts[0]);
    EXPECT_EQ(stack->host_of("patroni-2"), nullptr);
    EXPECT_THAT(stack->hosts[0].processes[0].start, ElementsAre("systemctl", "start", "patroni"));

    StoreSection* postgres = &stack->stores[0];
    EXPECT_EQ(postgres->objectives.rpo, std::chrono::minutes(1));
    EXPECT_TRUE(postgres->is_approved("drill"));
    EXPECT_FALSE(postgres->is_approved("failover"));
    const StoreSection* redis = stack->find_store("redis");
    ASSERT_NE(redis, nullptr);
    EXPECT_EQ(redis->objectives.rto, std::chrono::minutes(20));  // the overall one
    EXPECT_FALSE(redis->is_approved("drill"));

    const Status unread = postgres->settings.finish();
    ASSERT_FALSE(unread);
    EXPECT_THAT(unread.error().message, HasSubstr(":24: unknown key 'scope'"));
}

TEST(Stack, IsFinishedOnceTheStoresHaveReadTheirs) {
    testing::FakeFiles files;
    Result<Stack> stack = load(files, kStack);
    ASSERT_TRUE(stack);
    EXPECT_EQ(stack->stores[0].settings.required_text("scope"), "aeterna");
    stack->stores[0].settings.claim("scope", "node name", "patroni-1");
    EXPECT_EQ(stack->stores[1].settings.required_text("master_name"), "m");
    const Status finished = stack->stores[0].settings.finish();
    EXPECT_TRUE(finished) << finished.error().message;
}

TEST(Stack, Defaults) {
    testing::FakeFiles files;
    files.environment["HOME"] = "/home/ops";
    Result<Stack> stack = load(files, "name: mini\nstores: {redis: {}}\n");
    ASSERT_TRUE(stack) << stack.error().to_string();
    EXPECT_EQ(stack->state_directory, "/home/ops/.local/state/aeterna-dr/mini");
    EXPECT_EQ(stack->objectives.rto, std::chrono::minutes(15));
    EXPECT_EQ(stack->objectives.rpo, std::chrono::minutes(5));
    EXPECT_FALSE(stack->etcd);
    EXPECT_FALSE(stack->serve_listen);
}

TEST(Stack, AssistIsOffUnlessTheStoreSaysOtherwise) {
    testing::FakeFiles files;
    const auto stack = load(files, "name: s\nstores:\n  a: {}\n  b: {assist: off}\n  c: {assist: propose}\n"
                                   "  d: {assist: act, assist_cooldown: 3m}\n");
    ASSERT_TRUE(stack) << stack.error().to_string();
    EXPECT_EQ(stack->stores[0].assist, Assist::kOff);
    EXPECT_EQ(stack->stores[0].assist_cooldown, std::chrono::minutes(10));
    EXPECT_EQ(stack->stores[1].assist, Assist::kOff);
    EXPECT_EQ(stack->stores[2].assist, Assist::kPropose);
    EXPECT_EQ(stack->stores[3].assist, Assist::kAct);
    EXPECT_EQ(stack->stores[3].assist_cooldown, std::chrono::minutes(3));
    EXPECT_EQ(stack->strongest_assist(), Assist::kAct);
    EXPECT_FALSE(assist_from_name("on"));
}

TEST(Stack, RefusesWhatCannotBe) {
    const std::string good = "name: s\nstores: {redis: {}}\n";
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"name: Prod\nstores: {redis: {}}\n", ":1: 'Prod' is no stack name"},
        {"name: ../x\nstores: {redis: {}}\n", "is no stack name"},
        {"name: s\n", "'stores' must name at least one store"},
        {"name: s\nstores: {Redis: {}}\n", "'Redis' is no store name"},
        {"name: s\nstores: {redis: {objectives: {rto: 5m}}}\n", "missing key 'rpo' in objectives"},
        {"name: s\nstores: {redis: {objectives: {rto: 0s, rpo: 1m}}}\n", "'rto' must be more than zero"},
        {"name: s\nstores: {redis: {approvals: drill}}\n", "'approvals' must be a list"},
        {"name: s\nstores:\n  redis:\n    assist: yes\n", ":4: 'assist' must be one of off, propose, act, not 'yes'"},
        {"name: s\nstores: {redis: {assist: Act}}\n", "'assist' must be one of off, propose, act"},
        {"name: s\nstores: {redis: {assist: [act]}}\n", "'assist' must be a plain value"},
        {"name: s\nstores: {redis: {assist_cooldown: 25h}}\n", "'assist_cooldown' must be between 0s and 24h"},
        {"name: s\nstores: {redis: {assist_cooldown: 10}}\n", "'assist_cooldown'"},
        {good + "assist: act\n", ":3: unknown key 'assist'"},
        {good + "hosts: [{name: a}, {name: a}]\n", ":3: duplicate host 'a'"},
        {good + "hosts:\n - {name: a, processes: [{node: n, pid_file: p}]}\n"
                " - {name: b, processes: [{node: n, pid_file: p}]}\n",
         ":5: node 'n' is listed twice"},
        {good + "hosts: [{name: a, processes: [{node: n}]}]\n", "missing key 'pid_file'"},
        {good + "hosts: [{name: a, executor: ssh}]\n", "'executor' must be one of local, none"},
        {good + "etcd: {endpoints: []}\n", "'endpoints' must name at least one etcd server"},
        {good + "etcd: {endpoints: ['10.0.0.1:2379']}\n", "is no http(s) address"},
        {good + "prometheus: {url: 'ftp://x'}\n", "'url': 'ftp://x' is no http(s) address"},
        {good + "etcd: {endpoints: ['http://']}\n", ":3: 'endpoints': 'http://' is no http(s) address"},
        {good + "etcd: {endpoints: ['http://a:1', 'http://a:1/']}\n", ":3: the etcd endpoint 'http://a:1' is used twice"},
        {"name: s\nstores:\n  redis:\n    approvals: [failver, drill]\n", ":4: 'failver' is nothing that can be approved"},
        {"name: s\nstores: {redis: {approvals: [all]}}\n", "'all' is nothing that can be approved"},
        {good + "hosts: [{name: a, processes: [{node: 'a/../b', pid_file: p}]}]\n", ":3: 'a/../b' is no node name"},
        {good + "lab: {directory: /}\n", ":3: '/' is no lab's directory"},
        {good + "lab: {directory: here}\n", ":3: 'here' is no lab's directory"},
        {good + "state_directry: /x\n", ":3: unknown key 'state_directry'"},
        {good + "serve: {listen: 127.0.0.1:1, port: 2}\n", "unknown key 'port'"},
    };
    for (const auto& [text, expected] : cases) {
        testing::FakeFiles files;
        const Result<Stack> stack = load(files, text);
        ASSERT_FALSE(stack) << text;
        EXPECT_EQ(stack.error().code, ErrorCode::kConfiguration);
        EXPECT_THAT(stack.error().message, HasSubstr(expected)) << text;
        EXPECT_FALSE(stack.error().hint.empty()) << text;
    }
}

// A lab's hosts list what no store knows; elsewhere such a process is a slip of the pen.
TEST(Stack, AProcessOfNoStoresNodeIsRefused) {
    const std::string text = "name: s\nhosts:\n  - {name: a, processes: [{node: redis-9, pid_file: p}]}\nstores: {redis: {}}\n";
    testing::FakeFiles files;
    auto stack = load(files, text);
    ASSERT_TRUE(stack);
    const Status wrong = stack->stores[0].settings.finish();
    ASSERT_FALSE(wrong);
    EXPECT_THAT(wrong.error().message, HasSubstr(":3: 'redis-9' is the name of no store's node or agent"));
    auto lab = load(files, text + "lab: {directory: /var/tmp/lab}\n");
    ASSERT_TRUE(lab);
    EXPECT_TRUE(lab->stores[0].settings.finish());
}

TEST(Stack, ANodeIsHeldWhereItsStarterHonoursMarkers) {
    testing::FakeFiles files;
    const auto stack = load(files, R"(name: s
hosts:
  - name: a
    processes:
      - {node: redis-1, pid_file: p, fence: marker}
      - {node: sentinel-1, pid_file: q}
stores: {redis: {}}
)");
    ASSERT_TRUE(stack) << stack.error().to_string();
    EXPECT_TRUE(stack->hosts[0].can_hold("redis-1"));
    EXPECT_FALSE(stack->hosts[0].can_hold("sentinel-1"));
    EXPECT_FALSE(stack->hosts[0].can_hold("redis-2"));
}

TEST(Stack, EveryWordThatIsUsedCanBeApproved) {
    testing::FakeFiles files;
    const auto stack = load(files, "name: s\nstores: {redis: {approvals: [heartbeat, failover, switchover, drill, fence, unfence]}}\n");
    EXPECT_TRUE(stack) << stack.error().to_string();
}

TEST(Stack, AMissingFileSaysWhereStacksAreLookedFor) {
    testing::FakeFiles files;
    const Result<Stack> stack = load_stack("/nowhere.yaml", files);
    ASSERT_FALSE(stack);
    EXPECT_EQ(stack.error().code, ErrorCode::kConfiguration);
    EXPECT_THAT(stack.error().hint, HasSubstr("/etc/aeterna-dr/NAME.yaml"));
}

TEST(Stack, PathOfTheStackFile) {
    testing::FakeFiles files;
    EXPECT_EQ(resolve_stack_path("", files), "/etc/aeterna-dr/stack.yaml");
    EXPECT_EQ(resolve_stack_path("prod", files), "/etc/aeterna-dr/prod.yaml");
    EXPECT_EQ(resolve_stack_path("./prod", files), "./prod");
    EXPECT_EQ(resolve_stack_path("lab.yaml", files), "lab.yaml");
    files.environment["AETERNA_DR_STACK"] = "west";
    EXPECT_EQ(resolve_stack_path("", files), "/etc/aeterna-dr/west.yaml");
    EXPECT_EQ(resolve_stack_path("prod", files), "/etc/aeterna-dr/prod.yaml");
}

TEST(Stack, StateDirectoryOfTheEnvironment) {
    testing::FakeFiles files;
    EXPECT_EQ(default_state_directory(files), "/var/lib/aeterna-dr");
    files.environment["HOME"] = "/h";
    EXPECT_EQ(default_state_directory(files), "/h/.local/state/aeterna-dr");
    files.environment["XDG_STATE_HOME"] = "relative";
    EXPECT_EQ(default_state_directory(files), "/h/.local/state/aeterna-dr");
    files.environment["XDG_STATE_HOME"] = "/x";
    EXPECT_EQ(default_state_directory(files), "/x/aeterna-dr");
    files.environment["STATE_DIRECTORY"] = "/var/lib/a:/var/lib/b";
    EXPECT_EQ(default_state_directory(files), "/var/lib/a");
}

TEST(Stack, KeepsTheJournalForAYearAndABitUnlessTold) {
    testing::FakeFiles files;
    EXPECT_EQ(load(files, kStack)->journal_keep, std::chrono::hours(24 * 400));
    EXPECT_EQ(load(files, std::string(kStack) + "journal: {keep: 30d}\n")->journal_keep, std::chrono::hours(24 * 30));
    const auto hasty = load(files, std::string(kStack) + "journal: {keep: 1h}\n");
    ASSERT_FALSE(hasty);
    EXPECT_THAT(hasty.error().message, HasSubstr("'keep' must be at least 7d"));
}

}  // namespace
}  // namespace aeterna::config
