// Who should be master where the servers do not agree, and making them agree.
#include <gtest/gtest.h>

#include "assist_stage.h"
#include "redis/detect/division.h"

namespace aeterna::redis {
namespace {

using namespace testing;

NodeInfo look(int follows, std::int64_t keys = 100) {
    NodeInfo info = follows == 0 ? master_seen().info : replica_seen(follows).info;
    info.keys = keys;
    return info;
}

struct DivisionCase {
    const char* what;
    std::vector<int> names;                      // by Sentinel; 0: knows no such master, -1: silent
    std::vector<std::optional<NodeInfo>> nodes;  // of redis-1, 2, 3
    std::string master;                          // empty: an obstacle
    std::string lines;                           // joined, or the obstacle
    std::string flag = {};                       // of the first Sentinel's master
};

TEST(Division, Table) {
    const SettingsPointer settings = make_settings();
    NodeInfo loading = look(1);
    loading.is_loading = true;
    NodeInfo longer = look(0);
    longer.master_offset += 1;
    const DivisionCase table[] = {
        {"all agree", {1, 1, 1}, {look(0), look(1), look(1)}, "redis-1", ""},
        {"a replica is away", {1, 1, 1}, {look(0), look(1), std::nullopt}, "redis-1", ""},
        {"one Sentinel names another", {1, 1, 2}, {look(0), look(1), look(1)}, "redis-1", "sentinel-3 names redis-2"},
        {"one has forgotten", {1, 0, 1}, {look(0), look(1), look(1)}, "redis-1", "sentinel-2 watches no such master"},
        {"a second master", {1, 1, 1}, {look(0), look(0), look(1)}, "redis-1", "redis-2 says that it is master"},
        {"with more keys", {1, 1, 1}, {look(0, 50), look(0, 400), look(1)}, "redis-1", "redis-2 says that it is master"},
        {"beside one that has lost them", {1, 1, 1}, {look(0, 5), look(0, 400), look(2)}, "redis-2",
         "sentinel-1 names redis-1 sentinel-2 names redis-1 sentinel-3 names redis-1 redis-1 says that it is master"},
        {"an astray replica", {1, 1, 1}, {look(0), look(3), look(1)}, "redis-1", "redis-2 follows redis-3"},
        {"whom they name is a replica", {3, 3, 3}, {look(0, 10), look(0, 20), look(2)}, "redis-2",
         "sentinel-1 names redis-3 sentinel-2 names redis-3 sentinel-3 names redis-3 redis-1 says that it is master"},
        {"each names another", {1, 2, 3}, {look(1), look(0), look(2)}, "redis-2", "sentinel-1 names redis-1 sentinel-3 names redis-3 redis-1 follows redis-1"},
        {"two that have as much", {1, 2, 3}, {look(0), look(0), look(2)}, "", "of the nodes that say they are master none has more than the others"},
        {"one of them has a longer stream", {1, 2, 3}, {look(0), longer, look(2)}, "redis-2",
         "sentinel-1 names redis-1 sentinel-3 names redis-3 redis-1 says that it is master"},
        {"an old word may come back", {3, 3, -1}, {look(0), look(1), look(1)}, "", "sentinel-3 does not answer, and all have to be told"},
        {"one of three is away", {1, 2, -1}, {look(0), look(1), look(1)}, "", "sentinel-3 does not answer, and all have to be told"},
        {"nobody knows it", {0, 0, 0}, {look(0), look(1), look(1)}, "", "no Sentinel watches 'm'"},
        {"too few", {1, -1, -1}, {look(0), look(0), look(1)}, "", "too few Sentinels answer"},
        {"no master", {1, 1, 1}, {look(2), look(1), look(1)}, "", "no node says that it is master"},
        {"the named one is away", {1, 1, 1}, {std::nullopt, look(0), look(2)}, "", "the Sentinels name 'redis-1', which does not answer"},
        {"they are at it", {1, 1, 2}, {look(0), look(1), look(1)}, "", "sentinel-1 is failing over", "failover_in_progress"},
        {"they are about to", {1, 1, 2}, {look(0), look(1), look(1)}, "", "sentinel-1 holds the master for dead", "o_down"},
        {"one loads", {1, 1, 2}, {look(0), loading, look(1)}, "", "'redis-2' loads its data"},
    };
    for (const DivisionCase& row : table) {
        std::vector<SentinelAnswer> answers;
        std::vector<NodeLook> nodes;
        for (std::size_t i = 0; i < 3; ++i) {
            SentinelAnswer answer{settings->sentinels[i].name, {}, {}};
            if (row.names[i] > 0) answer.opinion = opinion_on(row.names[i]);
            else answer.error = make_error(row.names[i] == 0 ? ErrorCode::kNotFound : ErrorCode::kTimeout, "none");
            if (answer.opinion && i == 0 && !row.flag.empty()) answer.opinion->master.flags.insert(row.flag);
            answers.push_back(answer);
            nodes.push_back({&settings->nodes[i], row.nodes[i]});
        }
        const Division division = judge_division(*settings, answers, nodes);
        EXPECT_EQ(division.master ? division.master->name : "", row.master) << row.what;
        EXPECT_EQ(division.master ? join(division.lines, " ") : division.obstacle, row.lines) << row.what;
    }
}

// All are well, and redis-1 is master.
struct Parted : Stage {
    Parted() {
        servers.nodes[1].is_refusing = false;
        servers.nodes[2].link = servers.nodes[3].link = "connected";
        for (auto& [n, sentinel] : servers.sentinels) sentinel = FakeSentinel{};
        servers.on_order = [this](const std::string& order) {
            for (int n = 1; n <= 3; ++n) {
                const std::string beginning = "redis-" + std::to_string(n) + " REPLICAOF 10.0.0.";
                if (order.find(beginning) == 0) servers.nodes[n].follows = order[beginning.size()] - '0';
            }
        };
    }
    engine::ExecutionRecord reconcile() {
        auto built = build_runbook("reconcile", Json{{"assist", "act"}, {"old_primary", "redis-1"}}, acting);
        auto ran = engine::Runner(*temp.journal, lock, servers.env).run(*built, {}, servers.fake.clock.context(20min));
        return ran ? *ran : engine::ExecutionRecord{};
    }
};

TEST(Reconcile, NothingIsDoneWhereAllAgree) {
    Parted stage;
    EXPECT_EQ(stage.reconcile().state, engine::ExecutionState::kSucceeded);
    EXPECT_EQ(stage.servers.count("REMOVE") + stage.servers.count("REPLICAOF"), 0U);
}

TEST(Reconcile, TellsOnlyTheSentinelThatNamesAnother) {
    Parted stage;
    stage.servers.sentinels[3].names = 2;
    const auto record = stage.reconcile();
    EXPECT_EQ(record.state, engine::ExecutionState::kSucceeded) << record.summary;
    EXPECT_EQ(stage.servers.count("REMOVE"), 1U);
    EXPECT_EQ(stage.servers.count("sentinel-3 SENTINEL MONITOR m 10.0.0.1 6379"), 1U);
    EXPECT_GE(stage.servers.passed(), 8s) << "5 s the same, 3 s without a contradiction";
}

TEST(Reconcile, KeepsWhatASecondMasterTookBeforeItIsMadeAReplica) {
    Parted stage;
    stage.servers.promote(3);
    stage.servers.nodes[3].tail = "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n";
    const auto record = stage.reconcile();
    EXPECT_EQ(record.state, engine::ExecutionState::kSucceeded) << record.summary;
    EXPECT_EQ(stage.servers.nodes[3].follows, 1);
    EXPECT_EQ(find_integer(record.facts[kSalvaged], "lost_writes"), 1);
    EXPECT_TRUE(stage.servers.fake.files.content.contains("/state/salvage/" + record.id + "/redis-3-tail.aof"));
    EXPECT_EQ(stage.servers.orders.front().text, "redis-3 CLIENT PAUSE 15000 WRITE");
}

TEST(Reconcile, LeavesToAPersonWhatCannotBeKept) {
    Parted stage;
    stage.servers.promote(3);
    const auto record = stage.reconcile();
    EXPECT_EQ(record.state, engine::ExecutionState::kAwaitingApproval) << record.summary;
    EXPECT_EQ(stage.servers.nodes[3].follows, 0);
    EXPECT_NE(record.summary.find("cannot be kept"), std::string::npos) << record.summary;
}

TEST(Reconcile, TurnsAnAstrayReplica) {
    Parted stage;
    stage.servers.nodes[3].follows = 2;
    EXPECT_EQ(stage.reconcile().state, engine::ExecutionState::kSucceeded);
    EXPECT_EQ(stage.servers.nodes[3].follows, 1);
}

TEST(Reconcile, TellsAllWhereTheyNameOneThatIsNone) {
    Parted stage;
    for (auto& [n, sentinel] : stage.servers.sentinels) sentinel.names = 2;
    EXPECT_EQ(stage.reconcile().state, engine::ExecutionState::kSucceeded);
    EXPECT_EQ(stage.servers.count("REMOVE"), 3U);
    for (const auto& [n, sentinel] : stage.servers.sentinels) EXPECT_EQ(sentinel.names, 1);
}

}  // namespace
}  // namespace aeterna::redis
