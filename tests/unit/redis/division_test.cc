// Who should be master where the servers do not agree, and making them agree.
#include <gtest/gtest.h>

#include "assist_stage.h"
#include "redis/detect/division.h"
#include "redis/steps/server_files.h"

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
        {"a minority names one that we do not reach", {1, 2, 0}, {std::nullopt, look(1), look(0, 0)}, "",
         "sentinel-1 names redis-1, which does not answer"},
        {"a replica has all, and the only master nothing", {1, 2, 0}, {look(2, 7), look(1, 100), look(0, 0)}, "",
         "'redis-1' has 7 keys and would be turned to 'redis-3', which has 0"},
        {"a replica that follows another has all", {1, 1, 1}, {look(0, 3), look(3, 400), look(1)}, "",
         "'redis-2' has 400 keys and would be turned to 'redis-1', which has 3"},
        {"one that copies it already does not count", {1, 1, 2}, {look(0, 3), look(1, 400), look(1)}, "redis-1", "sentinel-3 names redis-2"},
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
    EXPECT_TRUE(stage.servers.fake.files.content.contains("/state/salvage/" + record.id + "/redis-3-history-/redis-3-tail.aof"));
    EXPECT_EQ(stage.servers.orders.front().text, "redis-3 CLIENT PAUSE 15000 WRITE");
}

// Promoted later than the master, it has taken more of what both followed before.
TEST(Reconcile, KeepsWhatASecondMasterHasSinceTheTwoPartedFromAThird) {
    const std::string write = "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n";
    for (const bool is_in_backlog : {true, false}) {
        Parted stage;
        FakeNode& master = stage.servers.nodes[1];
        master.replid2 = "third";
        master.tail = write;
        stage.servers.promote(3);
        FakeNode& other = stage.servers.nodes[3];
        other.replid2 = "third";
        other.offset = master.offset + static_cast<std::int64_t>(2 * write.size());
        if (is_in_backlog) other.before = write + write;
        other.tail = write;
        const auto record = stage.reconcile();
        EXPECT_EQ(record.state, is_in_backlog ? engine::ExecutionState::kSucceeded : engine::ExecutionState::kAwaitingApproval)
            << record.summary;
        EXPECT_EQ(other.follows, is_in_backlog ? 1 : 0);
        if (is_in_backlog) EXPECT_EQ(find_integer(record.facts[kSalvaged], "lost_writes"), 3);
    }
}

// Its stream begins with its first replica; what it loaded and took before is in no stream.
TEST(Reconcile, LeavesToAPersonAMasterWhoseStreamIsNotAllThatItHas) {
    Parted stage;
    FakeNode& other = stage.servers.nodes[3];
    stage.servers.promote(3);
    other.replid2 = "none";
    other.counts_from_start = true;
    other.uptime = 20;
    other.tail = "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n";
    stage.hands->has_executor = false;
    const auto record = stage.reconcile();
    EXPECT_EQ(record.state, engine::ExecutionState::kAwaitingApproval) << record.summary;
    EXPECT_EQ(other.follows, 0);
    other.keys = 0;
    EXPECT_EQ(stage.reconcile().state, engine::ExecutionState::kSucceeded) << "nothing is lost";
}

TEST(Reconcile, KeepsAnAofOnlyWhereItIsAllThatTheServerHas) {
    const SettingsPointer settings = make_settings();
    RedisNode node = settings->nodes[2];
    node.config_file = "/etc/redis-3.conf";
    const std::string place = "/data/3/appendonlydir/appendonly.aof.";
    NodeInfo all;
    all.is_aof_enabled = true;
    all.aof_bytes = 30;
    all.aof_base_bytes = 10;
    struct Row {
        const char* what;
        std::string config, manifest;
        NodeInfo info;
        bool is_kept;
    };
    const auto with = [&](auto change) {
        NodeInfo info = all;
        change(info);
        return info;
    };
    const Row rows[] = {
        {"all", "appendonly yes", "file", all, true},
        {"its first base is not counted", "appendonly yes", "file", with([](NodeInfo& info) { info.aof_bytes = 20, info.aof_base_bytes = 0; }), true},
        {"a part is in memory, or elsewhere", "appendonly yes", "file", with([](NodeInfo& info) { info.aof_bytes = 31; }), false},
        {"a rewrite is under way", "appendonly yes", "file", with([](NodeInfo& info) { info.is_aof_rewriting = true; }), false},
        {"it fails to write", "appendonly yes", "file", with([](NodeInfo& info) { info.is_aof_write_ok = false; }), false},
        {"it says nothing of its size", "appendonly yes", "file", with([](NodeInfo& info) { info.aof_bytes = -1; }), false},
        {"by the command line, beside an old RDB", "appendonly no", "file", all, false},
        {"of Redis 6", "appendonly yes", "", all, false},
    };
    for (const Row& row : rows) {
        Parted stage;
        auto& content = stage.servers.fake.files.content;
        content["/etc/redis-3.conf"] = "dir /data/3\n" + row.config + "\n";
        content["/data/3/dump.rdb"] = std::string(30, 'r');
        content[place + "1.base.rdb"] = std::string(10, 'b');
        content[place + "1.incr.aof"] = std::string(20, 'i');
        if (!row.manifest.empty()) content[place + "manifest"] = row.manifest;
        const auto kept = keep_aof(node, row.info, "/state/salvage/x", stage.servers.env, stage.servers.fake.clock.context(1min));
        EXPECT_EQ(kept.has_value(), row.is_kept) << row.what;
        if (kept) EXPECT_EQ(content["/state/salvage/x/redis-3/appendonly.aof.1.incr.aof"], std::string(20, 'i'));
    }
}

TEST(Reconcile, ASentinelThatWasToldTheNameAloneIsToldTheRest) {
    Parted stage;
    stage.servers.sentinels[3].names = 2;
    std::optional<Duration> silent_since;
    stage.servers.on_order = [&](const std::string& order) {
        if (order.find("sentinel-3 SENTINEL MONITOR") == std::string::npos || silent_since) return;
        silent_since = stage.servers.passed();
        stage.servers.sentinels[3].is_silent = true;
    };
    stage.servers.on_question = [&] {
        if (silent_since && stage.servers.passed() - *silent_since > 6s) stage.servers.sentinels[3].is_silent = false;
    };
    EXPECT_EQ(stage.reconcile().state, engine::ExecutionState::kSucceeded);
    EXPECT_EQ(stage.servers.count("sentinel-3 SENTINEL MONITOR"), 1U);
    EXPECT_EQ(stage.servers.count("sentinel-3 SENTINEL SET m failover-timeout 60000"), 1U);
}

TEST(Reconcile, KilledBehindAnyOrderEverySentinelIsSetAsItWas) {
    const Json parameters{{"assist", "act"}, {"old_primary", "redis-1"}};
    int orders = 0;
    for (int last = 1; last == 1 || orders >= last - 1; ++last) {
        Parted stage;
        stage.servers.sentinels[3].names = 2;
        engine::testing::World world;
        engine::testing::MortalJournal mortal(*stage.temp.journal, world, 1000);
        stage.servers.dead = &world.dead;
        orders = 0;
        stage.servers.on_order = [&](const std::string&) { world.dead = world.dead || ++orders == last; };
        {
            auto built = build_runbook("reconcile", parameters, stage.acting);
            static_cast<void>(engine::Runner(mortal, stage.lock, stage.servers.env)
                                  .run(*built, {}, stage.servers.fake.clock.context(20min)));
        }
        if (!world.dead) break;
        stage.servers.dead = nullptr;
        stage.servers.on_order = nullptr;
        stage.rebuild();
        auto again = build_runbook("reconcile", parameters, stage.acting);
        const auto ended = engine::Runner(*stage.temp.journal, stage.lock, stage.servers.env)
                               .resume(stage.temp.journal->executions(1)->front(), *again, {}, stage.servers.fake.clock.context(20min));
        ASSERT_TRUE(ended) << last;
        EXPECT_EQ(ended->state, engine::ExecutionState::kSucceeded) << last << ": " << ended->summary;
        EXPECT_EQ(stage.servers.sentinels[3].names, 1) << last;
        EXPECT_GE(stage.servers.count("sentinel-3 SENTINEL SET m failover-timeout 60000"), 1U) << last;
    }
    EXPECT_GE(orders, 4) << "REMOVE, MONITOR, SET, SET";
}

TEST(Reconcile, EndsAtOnceWhereTheMasterIsGone) {
    Parted chosen;
    chosen.servers.sentinels[3].names = 2;
    chosen.servers.nodes[1].is_refusing = true;
    EXPECT_EQ(chosen.reconcile().state, engine::ExecutionState::kFailed);
    EXPECT_LE(chosen.servers.passed(), 5s);
    EXPECT_EQ(chosen.servers.count("REMOVE"), 0U);

    Parted dying;
    dying.servers.promote(3);  // cannot be kept: a round after the other
    dying.servers.on_order = [&](const std::string& order) { dying.servers.nodes[1].is_refusing = order.find("PAUSE") != std::string::npos; };
    EXPECT_EQ(dying.reconcile().state, engine::ExecutionState::kFailed);
    EXPECT_LE(dying.servers.passed(), 20s);
}

// What a second master took cannot be kept here: they are looked at a round after the other, and change by the first order.
struct Changing : Parted {
    explicit Changing(std::function<void(FakeServers&)> change) {
        servers.promote(3);
        servers.on_order = [this, act = std::move(change)](const std::string&) {
            if (servers.orders.size() == 1) act(servers);
        };
    }
};

// A person would be asked a minute later, although nothing is to be mended.
TEST(Reconcile, EndsAtOnceWhereTheMasterIsBeingReplaced) {
    Changing stage([](FakeServers& servers) {
        servers.nodes[1].follows = 2;
        servers.sentinels[1].is_failing_over = true;
    });
    const auto record = stage.reconcile();
    EXPECT_EQ(record.state, engine::ExecutionState::kFailed) << record.summary;
    EXPECT_LE(stage.servers.passed(), 20s);
}

TEST(Reconcile, NobodyIsBroughtUnderAMasterThatAMajorityNamesNoLonger) {
    Changing stage([](FakeServers& servers) {
        for (auto& [n, sentinel] : servers.sentinels) sentinel = FakeSentinel{3, 7};
    });
    EXPECT_NE(stage.reconcile().summary.find("now 'redis-3' should be master"), std::string::npos);
    EXPECT_EQ(stage.servers.orders.size(), 1U);
}

TEST(Reconcile, OneQuestionThatIsLostEndsNothing) {
    Parted stage;
    stage.servers.sentinels[3].names = 2;
    std::optional<Duration> silent_since;
    stage.servers.on_order = [&](const std::string& order) {
        if (order.find("MONITOR") != std::string::npos) silent_since = stage.servers.passed();
    };
    stage.servers.on_question = [&] {
        stage.servers.nodes[1].is_silent = silent_since && stage.servers.passed() - *silent_since < 1s;
    };
    EXPECT_EQ(stage.reconcile().state, engine::ExecutionState::kSucceeded);
    EXPECT_EQ(stage.servers.sentinels[3].names, 1);
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

// One that still knew another one would tell it to those that were taught, and applications ask them where to write.
TEST(Reconcile, AllForgetBeforeOneIsTaughtAndAreTaughtBeforeASecondMasterIsHeld) {
    Parted stage;
    stage.servers.promote(3);
    stage.servers.nodes[1].keys += 1;
    stage.servers.nodes[3].tail = "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n";
    for (auto& [n, sentinel] : stage.servers.sentinels) sentinel.names = 2;
    EXPECT_EQ(stage.reconcile().state, engine::ExecutionState::kSucceeded);
    std::string acts;
    for (const Order& order : stage.servers.orders)
        for (const char* word : {"REMOVE", "MONITOR", "PAUSE", "REPLICAOF"})
            if (order.text.find(std::string(" ") + word) != std::string::npos) acts += std::string(word) + " ";
    EXPECT_EQ(acts, "REMOVE REMOVE REMOVE MONITOR MONITOR MONITOR PAUSE REPLICAOF ");
}

}  // namespace
}  // namespace aeterna::redis
