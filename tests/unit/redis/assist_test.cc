// The assisted failover against servers in memory, through the real runner and journal: what is
// done in which order, what is refused, and that a crash at any journal write ends the same after a
// resume.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "assist_stage.h"
#include "redis/steps/giving_way.h"
#include "redis/steps/sentinel_teaching.h"

namespace aeterna::redis {
namespace {

using namespace testing;
using engine::ExecutionState;
using engine::testing::MortalJournal;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Assist, FencesForcesSalvagesAndBringsBackAReplica) {
    Stage stage;
    const auto ended = stage.run();
    EXPECT_EQ(ended.state, ExecutionState::kSucceeded) << ended.summary << "\n" << stage.progress;
    EXPECT_EQ(ended.facts["assist"], "acted");
    EXPECT_EQ(ended.facts[kNewMaster], "redis-2");
    EXPECT_FALSE(ended.facts.contains(kFenced));
    EXPECT_NEAR(ended.facts[kDownAfterRemaining].get<double>(), 29.7, 0.01);
    EXPECT_TRUE(ended.facts.contains(kAssistActedAt));
    EXPECT_THAT(stage.hands->executor.trace,
                ElementsAre("fence redis-1", "unfence redis-1", "start redis-1"));
    EXPECT_EQ(stage.servers.count("SENTINEL FAILOVER"), 1U);
    EXPECT_EQ(stage.masters_started, 0);
    EXPECT_EQ(stage.servers.fake.files.content["/etc/redis-1.conf"],
              "port 6379\ndir /data/1\nappendonly yes\nreplicaof 10.0.0.2 6379\n");
    const std::string kept = "/state/salvage/" + ended.id + "/redis-1/appendonly.aof.1.incr.aof";
    EXPECT_TRUE(stage.servers.fake.files.content.contains(kept));
    EXPECT_EQ(ended.facts[kSalvaged]["files"], 1);
    EXPECT_LT(stage.servers.passed(), 2s);
}

TEST(Assist, KilledAtAnyJournalWriteItEndsTheSameAfterAResume) {
    for (int last_write = 1;; ++last_write) {
        SCOPED_TRACE(last_write);
        ASSERT_LT(last_write, 200);
        Stage stage;
        const bool survived = stage.run_until(last_write);
        engine::ExecutionRecord last = stage.temp.journal->executions(1).value().at(0);
        for (int lives = 0; lives < 3 && engine::is_resumable(last); ++lives) {
            auto resumed = stage.resume(last);
            ASSERT_TRUE(resumed) << resumed.error().to_string();
            last = *resumed;
        }
        EXPECT_EQ(last.state, ExecutionState::kSucceeded) << last.summary;
        EXPECT_TRUE(stage.hands->executor.markers.empty());
        EXPECT_EQ(stage.masters_started, 0);
        EXPECT_LE(stage.servers.count("SENTINEL FAILOVER"), 1U);
        EXPECT_EQ(stage.servers.nodes[1].follows, 2);
        EXPECT_EQ(stage.servers.nodes[2].follows, 0);
        if (survived) return;
    }
}

// Killed between the proof and the fence, resumed when the master is back and only we cannot hear it.
TEST(Assist, AnOldProofIsMadeAnewBeforeTheFence) {
    int tried = 0;
    for (int last_write = 1; last_write < 40; ++last_write) {
        SCOPED_TRACE(last_write);
        Stage stage;
        stage.run_until(last_write);
        const auto executions = stage.temp.journal->executions(1).value();
        if (executions.empty() || find_string(executions.at(0).facts, "redis.assist_decision") != "go") continue;
        if (!stage.hands->executor.trace.empty()) break;
        ++tried;
        stage.servers.fake.clock.advance(20s);
        stage.bring_back();
        stage.servers.nodes[1].is_silent = true;
        const auto resumed = stage.resume(executions.at(0));
        ASSERT_TRUE(resumed) << resumed.error().to_string();
        EXPECT_EQ(resumed->facts["assist"], "refused");
        EXPECT_EQ(std::count(stage.hands->executor.trace.begin(), stage.hands->executor.trace.end(), "fence redis-1"), 0);
        EXPECT_EQ(stage.servers.count("SENTINEL FAILOVER"), 0U);
    }
    EXPECT_GT(tried, 0);
}

// Where nothing is fenced, what was looked at before a long sleep gives no leave after it.
TEST(Assist, AnOrderThatStoodStillIsNotSent) {
    Stage stage;
    stage.hands->has_executor = false;
    int pauses = 0;
    stage.servers.on_question = [&] {
        // Each question about the master comes back after a long sleep; meanwhile it was started again.
        if (stage.progress.find("the master is dead") == std::string::npos || pauses++ > 0) return;
        stage.servers.fake.clock.advance(28s);
        stage.bring_back();
    };
    const auto ended = stage.run();
    EXPECT_EQ(ended.facts["assist"], "refused") << stage.progress;
    EXPECT_EQ(stage.servers.count("SENTINEL FAILOVER"), 0U);
    EXPECT_EQ(stage.servers.count("REPLICAOF NO ONE"), 0U);
}

TEST(Assist, WhatADyingSentinelToldNobodyIsToldByHand) {
    Stage stage;
    stage.can_promote = false;
    const auto carry_out = stage.servers.on_order;
    stage.servers.on_order = [&](const std::string& order) {
        carry_out(order);
        if (order.find("SENTINEL FAILOVER") == std::string::npos) return;
        stage.servers.promote(2);
        stage.servers.nodes[3].follows = 2;
        stage.servers.nodes[3].link = "connected";
        stage.servers.sentinels[order[9] - '0'].is_silent = true;
    };
    const auto ended = stage.run();
    EXPECT_EQ(ended.state, ExecutionState::kAwaitingApproval) << "one Sentinel stays away";
    EXPECT_EQ(ended.facts[kNewMaster], "redis-2");
    EXPECT_THAT(stage.progress, HasSubstr("they are told by hand"));
    EXPECT_GE(stage.servers.count("SENTINEL MONITOR"), 2U);
}

// Killed after it has promoted redis-2 by hand, when clients write to the old master again because the Sentinels name it.
// The execution as it was left; nothing when that death came too early or too late.
std::optional<engine::ExecutionRecord> promoted_and_taken_back(Stage& stage, int last_write) {
    stage.hands->has_executor = false;
    for (auto& [n, sentinel] : stage.servers.sentinels) sentinel.is_refusing = true;
    stage.run_until(last_write);
    const auto executions = stage.temp.journal->executions(1).value();
    if (executions.empty() || !is_by_hand(executions.at(0).facts) || find_string(executions.at(0).facts, kNewMaster))
        return std::nullopt;
    if (stage.servers.count("REPLICAOF NO ONE") == 0 || stage.servers.count("SENTINEL") > 0) return std::nullopt;
    stage.servers.fake.clock.advance(20s);
    stage.servers.nodes[1].is_refusing = false;
    for (auto& [n, sentinel] : stage.servers.sentinels) sentinel = FakeSentinel{};
    stage.servers.nodes[2].tail = encode_command({"SET", "a", "1"});
    stage.servers.orders.clear();
    stage.servers.on_order = [&stage](const std::string& order) {
        if (order == "redis-2 REPLICAOF 10.0.0.1 6379") stage.servers.nodes[2].follows = 1;
    };
    return executions.at(0);
}

std::vector<std::string> texts(const std::vector<Order>& orders) {
    std::vector<std::string> all;
    for (const Order& order : orders) all.push_back(order.text);
    return all;
}

TEST(Assist, SentinelsThatNameTheOldMasterThatIsBackAreNotToldByOneWhoWasAway) {
    int tried = 0;
    for (int last_write = 1; last_write < 60; ++last_write) {
        SCOPED_TRACE(last_write);
        Stage stage;
        const auto left = promoted_and_taken_back(stage, last_write);
        if (!left) continue;
        ++tried;
        const auto resumed = stage.resume(*left);
        ASSERT_TRUE(resumed) << resumed.error().to_string();
        EXPECT_EQ(resumed->facts["assist"], "refused");
        EXPECT_THAT(texts(stage.servers.orders),
                    ElementsAre("redis-2 CLIENT PAUSE 15000 WRITE", "redis-2 REPLICAOF 10.0.0.1 6379",
                                "redis-2 CLIENT UNPAUSE", "redis-2 CONFIG REWRITE"));
        EXPECT_EQ(resumed->facts[kSalvaged]["lost_writes"], 1) << "what it took since is kept before it is given up";
        const auto records = stage.temp.journal->steps(left->id).value();
        const auto is_begun = [](const engine::StepRecord& record) {
            return record.step == "redis.promote_by_hand" && record.phase == "verify" && record.outcome == "done";
        };
        EXPECT_TRUE(std::any_of(records.begin(), records.end(), is_begun)) << "what was done is not journaled as skipped";
    }
    EXPECT_GT(tried, 0);
}

// At a write of the journal, or after the order to give way, of which the journal hears nothing any more.
TEST(Assist, WhoeverDiesGivingWayWhatWasKeptIsTold) {
    int tried = 0, turned_untold = 0;
    for (int round = 0; round < 2 * 60 * 20; ++round) {
        const int first_write = round / 40, last_write = round / 2 % 20;
        const bool dies_by_order = round % 2 == 1;
        SCOPED_TRACE(round);
        Stage stage;
        const auto left = promoted_and_taken_back(stage, first_write);
        if (!left) {
            round += 39;
            continue;
        }
        ++tried;
        stage.rebuild();
        engine::testing::World world;
        bool is_dead = false;
        const auto carry_out = stage.servers.on_order;
        stage.servers.on_order = [&](const std::string& order) {
            carry_out(order);
            is_dead = is_dead || order.find("REPLICAOF") != std::string::npos;
        };
        stage.servers.dead = dies_by_order ? &is_dead : &world.dead;
        MortalJournal mortal(*stage.temp.journal, world, last_write);
        engine::Runbook again = stage.runbook();
        static_cast<void>(engine::Runner(mortal, stage.lock, stage.servers.env)
                              .resume(*left, again, {}, stage.servers.fake.clock.context(20min)));
        stage.servers.dead = nullptr;
        stage.servers.on_order = carry_out;
        engine::ExecutionRecord last = stage.temp.journal->execution(left->id).value().value();
        if (stage.servers.nodes[2].follows == 1 && !last.facts.contains(kSalvaged)) ++turned_untold;
        if (engine::is_resumable(last)) {
            const auto resumed = stage.resume(last);
            ASSERT_TRUE(resumed) << resumed.error().to_string();
            last = *resumed;
        }
        EXPECT_EQ(stage.servers.nodes[2].follows, 1);
        EXPECT_EQ(last.facts[kSalvaged]["lost_writes"], 1) << dump_json(last.facts);
    }
    EXPECT_GT(tried, 0);
    EXPECT_GT(turned_untold, 0) << "nobody died between the order and the journal";
}

TEST(Assist, OneThatIsNotTakenBackAnyMoreAfterItsWritesWereKeptGoesOn) {
    int tried = 0;
    for (int last_write = 1; last_write < 60; ++last_write) {
        Stage stage;
        const auto left = promoted_and_taken_back(stage, last_write);
        if (!left) continue;
        ++tried;
        stage.servers.on_order = [&](const std::string& order) {
            if (order.find("CLIENT PAUSE") == std::string::npos) return;
            for (auto& [n, sentinel] : stage.servers.sentinels) sentinel = FakeSentinel{2, 6};
        };
        const auto resumed = stage.resume(*left);
        ASSERT_TRUE(resumed) << resumed.error().to_string();
        ASSERT_GE(stage.servers.orders.size(), 2U);
        EXPECT_EQ(stage.servers.orders[0].text, "redis-2 CLIENT PAUSE 15000 WRITE");
        EXPECT_EQ(stage.servers.orders[1].text, "redis-2 CLIENT UNPAUSE");
        EXPECT_EQ(stage.servers.count("REPLICAOF"), 0U);
    }
    EXPECT_GT(tried, 0);
}

// redis-2 was promoted by hand by a process that has died since; redis-1 is back, and serves by the Sentinels' word.
struct TakenBack : Stage {
    TakenBack() {
        servers.promote(2);
        servers.nodes[1].is_refusing = false;
        servers.nodes[2].tail = encode_command({"SET", "a", "1"});
        name_by_all(1);
    }
    void name_by_all(int node) {
        for (auto& [n, sentinel] : servers.sentinels) sentinel = FakeSentinel{node};
    }
    Json facts{{kDecision, "go"}, {kByHand, true}, {kOldMaster, "redis-1"}, {kNewMaster, "redis-2"}, {kOldEpoch, 5}};
    engine::StepContext step{servers.fake.clock.context(), facts, [](const std::string&) {}};
};

TEST(Assist, WhoeverComesToTeachSentinelsThatNameTheOldMasterAgainGivesWayInstead) {
    TakenBack stage;
    EXPECT_TRUE(make_teach_sentinels(stage.acting)->apply(stage.step));
    EXPECT_EQ(stage.servers.count("SENTINEL"), 0U);
    EXPECT_EQ(stage.servers.count("redis-2 REPLICAOF 10.0.0.1 6379"), 1U);
}

// The other two have not heard of it yet; told of redis-2 anew, all three would forget it.
TEST(Assist, AFailoverThatCameAfterOursIsNotUndoneWhileOneSentinelAloneKnowsOfIt) {
    TakenBack stage;
    stage.name_by_all(2);
    stage.servers.sentinels[3] = FakeSentinel{3, 7};
    const auto round = teach_once(*stage.acting->cluster, stage.servers.settings->nodes[1], stage.facts, stage.step.context);
    ASSERT_TRUE(round);
    EXPECT_TRUE(round->is_outdated);
    EXPECT_TRUE(stage.servers.orders.empty());
}

// Its word would cost all that the promoted one has.
TEST(Assist, NobodyGivesWayToAnOldMasterThatIsBackWithoutItsData) {
    TakenBack stage;
    stage.servers.nodes[1].keys = 0;
    EXPECT_FALSE(give_way_if_taken_back(*stage.acting, stage.step));
    EXPECT_TRUE(stage.servers.orders.empty());
    EXPECT_EQ(stage.facts[kDecision], "go");
}

TEST(Assist, OneThatLosesItsDataWhileTheOthersWritesAreKeptIsNotFollowed) {
    TakenBack stage;
    stage.facts[kGivesWay] = "redis-2";
    stage.servers.on_order = [&](const std::string&) { stage.servers.nodes[1].keys = 0; };
    give_way(*stage.acting, stage.step);
    EXPECT_THAT(texts(stage.servers.orders), ElementsAre("redis-2 CLIENT PAUSE 15000 WRITE", "redis-2 CLIENT UNPAUSE"));
}

// Clients write to it by now.
TEST(Assist, OneThatTheSentinelsNameBeforeItGivesWayIsNotPaused) {
    TakenBack stage;
    stage.facts[kGivesWay] = "redis-2";
    stage.name_by_all(2);
    give_way(*stage.acting, stage.step);
    EXPECT_TRUE(stage.servers.orders.empty());
}

std::vector<std::string> verdicts(const std::vector<std::string>& plan) {
    std::vector<std::string> ends;
    for (const std::string& line : plan) ends.push_back(line.substr(line.find(") – ") + std::string(") – ").size()));
    return ends;
}

TEST(Assist, ThePlanNamesTheConditionOfEveryStepThatMayNotBeNeeded) {
    for (const bool is_dead : {true, false}) {
        Stage stage;
        stage.servers.nodes[1].is_refusing = is_dead;
        engine::Runbook built = stage.runbook();
        const auto lines = engine::Runner(*stage.temp.journal, stage.lock, stage.servers.env)
                               .plan(built, stage.servers.fake.clock.context(20min));
        const auto await = is_dead ? ::testing::Eq(std::string("would run"))
                                   : ::testing::Matcher<std::string>(HasSubstr("refused: the master 'redis-1' answers"));
        EXPECT_THAT(verdicts(lines),
                    ElementsAre("would run", "only if the master is proven dead and its host can be acted on",
                                "only if the master is proven dead and a Sentinel can promote",
                                "only if the master is proven dead and no Sentinel can promote, or the one that did has told nobody", await,
                                ::testing::_, "only if the old master is fenced and its files can be reached",
                                "only if another node took the old master's place",
                                "only if the promotion was by hand", "would run"));
        EXPECT_TRUE(stage.servers.orders.empty());
        EXPECT_TRUE(stage.hands->executor.trace.empty());
    }
}

TEST(Assist, ThePlanOfAProposalSaysThatSomebodyHasToSayYes) {
    Stage stage;
    engine::Runbook built = stage.runbook("propose");
    const auto lines = engine::Runner(*stage.temp.journal, stage.lock, stage.servers.env)
                           .plan(built, stage.servers.fake.clock.context(20min));
    const auto asking = ::testing::StartsWith("only if somebody says yes to the proposal, and ");
    EXPECT_THAT(verdicts(lines), ElementsAre("would run", asking, asking, asking, "would run", ::testing::_, asking, asking, asking,
                                             "would run"));
}

TEST(Assist, WhatIsNotNeededIsNeverJournaledAsDone) {
    Stage stage;
    const auto ended = stage.run();
    std::map<std::string, std::string> skipped;
    const auto records = stage.temp.journal->steps(ended.id);
    ASSERT_TRUE(records);
    for (const engine::StepRecord& record : *records)
        if (record.outcome == "skipped") skipped[record.step] = record.detail;
    EXPECT_EQ(skipped["redis.promote_by_hand"],
              "not needed: only if the master is proven dead and no Sentinel can promote, or the one that did has told nobody");
    EXPECT_EQ(skipped["redis.teach_sentinels"], "not needed: only if the promotion was by hand");
    EXPECT_FALSE(skipped.contains("redis.prove_death"));
    EXPECT_FALSE(skipped.contains("redis.fence_master"));
}

TEST(Assist, ARefusalLeavesItToSentinel) {
    const std::pair<const char*, std::function<void(Stage&)>> table[] = {
        {"failing over", [](Stage& stage) { stage.servers.sentinels[1].is_failing_over = true; }},
        {"could not be fenced",
         [](Stage& stage) {
             stage.hands->executor.fence_error =
                 make_error(ErrorCode::kPartial, "in the kernel", "", Effect::kPartial);
         }},
        {"no replica is fit",
         [](Stage& stage) {
             stage.servers.nodes[2].priority = stage.servers.nodes[3].priority = 0;
         }},
    };
    for (const auto& [words, change] : table) {
        Stage stage;
        change(stage);
        // Sentinel gets there by itself.
        int questions = 0;
        stage.servers.on_question = [&] {
            if (++questions == 60) stage.promote();
            if (questions == 90) stage.hands->executor.on_start("redis-1");
            if (questions == 120) stage.servers.nodes[1].follows = 2;
        };
        const auto ended = stage.run();
        EXPECT_EQ(ended.facts["assist"], "refused") << words;
        EXPECT_THAT(dump_json(ended.facts["assist_reasons"]), HasSubstr(words));
        EXPECT_EQ(ended.state, ExecutionState::kSucceeded) << words << ": " << ended.summary;
        EXPECT_EQ(stage.servers.count("SENTINEL FAILOVER"), 0U) << words;
        EXPECT_TRUE(stage.hands->executor.markers.empty()) << words;
    }
}

TEST(Assist, OffAndProposeTouchNothing) {
    for (const char* word : {"off", "propose"}) {
        Stage stage;
        for (auto& [n, sentinel] : stage.servers.sentinels) sentinel.pong_ms = 29000;
        const auto ended = stage.run(word);
        const bool proposes = std::string(word) == "propose";
        EXPECT_EQ(ended.state, ExecutionState::kAwaitingApproval) << ended.summary;
        EXPECT_EQ(ended.facts["assist"], proposes ? "proposed" : "off");
        EXPECT_EQ(ended.facts.contains("assist_reasons"), proposes);
        EXPECT_TRUE(stage.servers.orders.empty());
        EXPECT_TRUE(stage.hands->executor.trace.empty());
        EXPECT_EQ(stage.proposals.size(), proposes ? 1U : 0U);
    }
}

TEST(Assist, WhatItProposesIsDoneWhenSomebodySaysYes) {
    Stage stage;
    stage.approve_after = 7s;
    const auto ended = stage.run("propose");
    EXPECT_EQ(ended.state, ExecutionState::kSucceeded) << ended.summary << "\n" << stage.progress;
    EXPECT_EQ(ended.facts["assist"], "acted");
    EXPECT_EQ(ended.facts["assist_approved_by"], "a person");
    EXPECT_THAT(stage.proposals, ElementsAre("fence redis-1 and have 'redis-2' or a fuller replica promoted at once (say yes with "
                                             "'aeterna-dr failover redis'); Sentinel takes it for dead by itself in 29.7 s"));
    EXPECT_THAT(stage.hands->executor.trace, ElementsAre("fence redis-1", "unfence redis-1", "start redis-1"));
    EXPECT_GE(stage.servers.passed(), 7s);
    EXPECT_LT(stage.servers.passed(), 9s);
}

TEST(Assist, AYesIsCarriedOutOnTheLookBehindItAlone) {
    Stage stage;
    stage.approve_after = 7s;
    stage.on_yes = [&] { stage.bring_back(); };
    const auto ended = stage.run("propose");
    EXPECT_EQ(ended.facts["assist"], "refused") << stage.progress;
    EXPECT_FALSE(ended.facts.contains(kProvenAt));
    EXPECT_FALSE(ended.facts.contains(kAssistActedAt));
    EXPECT_TRUE(stage.hands->executor.trace.empty());
    EXPECT_EQ(stage.servers.count("SENTINEL FAILOVER"), 0U);
    EXPECT_EQ(stage.servers.count("REPLICAOF"), 0U);
}

TEST(Assist, ASentinelThatIsFasterThanThePersonSettlesTheProposal) {
    Stage stage;
    int questions = 0;
    stage.servers.on_question = [&] {
        if (++questions == 200) stage.promote();
        if (questions == 300) stage.hands->executor.on_start("redis-1");
        if (questions == 400) stage.servers.nodes[1].follows = 2;
    };
    const auto ended = stage.run("propose");
    EXPECT_EQ(ended.state, ExecutionState::kSucceeded) << ended.summary << "\n" << stage.progress;
    EXPECT_EQ(ended.facts["assist"], "proposed");
    EXPECT_EQ(stage.proposals.size(), 1U);
    EXPECT_EQ(stage.servers.count("SENTINEL FAILOVER"), 0U);
    EXPECT_EQ(stage.servers.count("REPLICAOF"), 0U);
    EXPECT_TRUE(stage.hands->executor.trace.empty());
}

TEST(Assist, WithoutAnySentinelItIsDoneByHandAndTheyAreToldWhenTheyComeBack) {
    Stage stage;
    for (auto& [n, sentinel] : stage.servers.sentinels) sentinel.is_refusing = true;
    stage.servers.nodes[3].offset = 900;
    int questions = 0;
    stage.servers.on_question = [&] {
        // They come back as they were, naming the old master, well after the promotion.
        if (stage.servers.nodes[2].follows == 0 && ++questions == 40)
            for (auto& [n, sentinel] : stage.servers.sentinels) sentinel = FakeSentinel{};
    };
    const auto ended = stage.run();
    EXPECT_EQ(ended.state, ExecutionState::kSucceeded) << ended.summary << "\n" << stage.progress;
    EXPECT_EQ(ended.facts["assist"], "acted");
    EXPECT_EQ(ended.facts[kNewMaster], "redis-2");
    for (int n = 1; n <= 3; ++n) {
        EXPECT_EQ(stage.servers.sentinels[n].names, 2);
        EXPECT_EQ(stage.servers.count("sentinel-" + std::to_string(n) +
                                      " SENTINEL SET m failover-timeout 60000"),
                  1U);
    }
    EXPECT_EQ(stage.servers.count("redis-2 REPLICAOF NO ONE"), 1U);
    EXPECT_EQ(stage.servers.count("redis-3 REPLICAOF 10.0.0.2"), 2U);  // levelled, then turned
}

// Their settings for the old master are older than our promotion: one that still names it would make it master again.
TEST(Assist, WhoeverAnswersIsToldBeforeTheOldMasterMayReturn) {
    Stage stage;
    for (auto& [n, sentinel] : stage.servers.sentinels) sentinel.is_refusing = true;
    std::vector<std::string> acts;  // what the Sentinels and the host are told, in this order
    stage.servers.on_order = [&](const std::string& order) {
        stage.carry_out(order);
        for (const char* word : {"REMOVE", "MONITOR"})
            if (order.find(std::string("SENTINEL ") + word) != std::string::npos) acts.push_back(order.substr(0, 11) + word);
        if (order.find("REPLICAOF NO ONE") == std::string::npos) return;
        acts.emplace_back("promote");
        for (int n = 1; n <= 2; ++n) stage.servers.sentinels[n] = FakeSentinel{};
    };
    const auto start = stage.hands->executor.on_start;
    stage.hands->executor.on_start = [&](const std::string& node) {
        acts.push_back("start " + node);
        for (int n = 1; n <= 2; ++n) EXPECT_EQ(stage.servers.sentinels[n].names, 2) << "sentinel-" << n;
        start(node);
    };
    stage.hands->executor.on_unfence = [&] { acts.emplace_back("unfence"); };
    const auto ended = stage.run();
    EXPECT_EQ(ended.facts[kNewMaster], "redis-2") << stage.progress;
    ASSERT_GE(acts.size(), 7U);
    acts.resize(7);
    EXPECT_THAT(acts, ElementsAre("promote", "sentinel-1 REMOVE", "sentinel-2 REMOVE", "sentinel-1 MONITOR", "sentinel-2 MONITOR",
                                  "unfence", "start redis-1"));
    EXPECT_EQ(stage.servers.nodes[1].follows, 2);
    EXPECT_EQ(ended.state, ExecutionState::kAwaitingApproval) << "the third stays away";
}

// Told again of redis-2, they would turn redis-3, which has taken writes since.
TEST(Assist, SentinelsThatHavePromotedAnotherOneSinceAreNotTaught) {
    Stage stage;
    for (auto& [n, sentinel] : stage.servers.sentinels) sentinel.is_refusing = true;
    Duration asked_at{};
    std::size_t sent = 0;
    stage.servers.on_question = [&] {
        // Between two rounds of asking, well after the promotion.
        const bool is_next_round = stage.servers.passed() - std::exchange(asked_at, stage.servers.passed()) >= 400ms;
        if (stage.servers.nodes[2].follows != 0 || sent > 0 || !is_next_round) return;
        stage.servers.nodes[2].is_refusing = true;
        stage.servers.promote(3);
        for (auto& [n, sentinel] : stage.servers.sentinels) sentinel = FakeSentinel{3, 7};
        sent = stage.servers.orders.size();
    };
    stage.run();
    ASSERT_GT(sent, 0U);
    for (std::size_t i = sent; i < stage.servers.orders.size(); ++i) {
        EXPECT_EQ(stage.servers.orders[i].text.find("SENTINEL"), std::string::npos) << stage.servers.orders[i].text;
    }
    for (int n = 1; n <= 3; ++n) EXPECT_EQ(stage.servers.sentinels[n].names, 3);
}

TEST(Assist, TheOneSentinelThatIsLeftPromotesAndItsWordIsEnoughWhileTheOldMasterIsFenced) {
    Stage stage;
    for (int n = 2; n <= 3; ++n) stage.servers.sentinels[n].is_refusing = true;
    stage.servers.on_order = [&](const std::string& order) {
        stage.carry_out(order);
        for (int n = 2; n <= 3; ++n) stage.servers.sentinels[n].is_refusing = true;
    };
    const auto ended = stage.run();
    EXPECT_EQ(ended.state, ExecutionState::kSucceeded) << ended.summary << "\n" << stage.progress;
    EXPECT_EQ(ended.facts["assist"], "acted");
    EXPECT_EQ(ended.facts[kNewMaster], "redis-2");
    EXPECT_EQ(stage.servers.count("sentinel-1 SENTINEL FAILOVER m"), 1U);
    EXPECT_EQ(stage.servers.count("redis-2 REPLICAOF NO ONE"), 0U);
    EXPECT_EQ(stage.servers.nodes[1].follows, 2);
}

// By its supervisor, between the look and the kill.
TEST(Assist, AMasterThatIsStartedAgainMeanwhileIsLookedAtAgain) {
    for (const bool is_whole : {true, false}) {
        Stage stage;
        int orders = 0;
        stage.hands->executor.on_fence = [&] {
            stage.hands->executor.fence_error.reset();
            if (++orders > 1) return;
            stage.hands->executor.fence_error =
                make_error(ErrorCode::kGuardRefused, "process 7 was started after the look", "", Effect::kPartial);
            if (is_whole) stage.servers.nodes[1].is_refusing = false;
        };
        const auto ended = stage.run();
        EXPECT_EQ(ended.facts["assist"], is_whole ? "refused" : "acted") << stage.progress;
        EXPECT_EQ(orders, is_whole ? 1 : 2);
        EXPECT_THAT(stage.progress, HasSubstr("looking again: process 7 was started after the look"));
        EXPECT_EQ(stage.servers.count("SENTINEL FAILOVER"), is_whole ? 0U : 1U);
        EXPECT_TRUE(stage.hands->executor.markers.empty());
    }
}

// Together they could elect another one, although they could not when the death was proven.
TEST(Assist, SentinelsThatAreOutOfSightSinceTheProofAreLeftToAct) {
    for (const bool is_by_hand : {false, true}) {
        Stage stage;
        if (is_by_hand)
            for (auto& [n, sentinel] : stage.servers.sentinels) sentinel.is_refusing = true;
        const auto lose_sight = [&] {
            stage.servers.sentinels[1].is_refusing = true;
            for (int n = is_by_hand ? 2 : 3; n <= 3; ++n) {
                stage.servers.sentinels[n].is_refusing = false;
                stage.servers.sentinels[n].is_silent = true;
            }
        };
        if (is_by_hand)
            stage.servers.on_question = [&] {
                if (stage.progress.find("it is done by hand") != std::string::npos) lose_sight();
            };
        else
            stage.hands->executor.on_fence = lose_sight;
        const auto ended = stage.run();
        EXPECT_EQ(ended.facts.value("assist", ""), "refused") << stage.progress;
        EXPECT_THAT(stage.progress, HasSubstr("Sentinels answer, and the others may act where we cannot see them"));
        EXPECT_EQ(stage.progress.find("it is done by hand") != std::string::npos, is_by_hand);
        EXPECT_EQ(stage.servers.count("SENTINEL FAILOVER"), 0U);
        EXPECT_EQ(stage.servers.count("REPLICAOF NO ONE"), 0U);
    }
}

TEST(Assist, WithoutAFenceTheOneSentinelThatIsLeftIsNotBelieved) {
    Stage stage;
    stage.hands->executor.fence_error = make_error(ErrorCode::kConfiguration, "no fence is set up");
    for (int n = 2; n <= 3; ++n) stage.servers.sentinels[n].is_refusing = true;
    stage.servers.on_order = [&](const std::string& order) {
        stage.carry_out(order);
        for (int n = 2; n <= 3; ++n) stage.servers.sentinels[n].is_refusing = true;
    };
    EXPECT_EQ(stage.run().state, ExecutionState::kAwaitingApproval);
}

TEST(Assist, TheReplicaThatIsBehindIsLevelledBeforeSentinelChooses) {
    Stage stage;
    stage.servers.nodes[3].offset = 900;
    stage.servers.on_order = [&](const std::string& order) {
        if (order.find("redis-3 REPLICAOF 10.0.0.2") == 0) stage.servers.nodes[3].offset = 1000;
        stage.carry_out(order);
    };
    EXPECT_EQ(stage.run().state, ExecutionState::kSucceeded);
    ASSERT_GE(stage.servers.orders.size(), 2U);
    EXPECT_THAT(stage.servers.orders[0].text, HasSubstr("redis-3 REPLICAOF 10.0.0.2"));
    EXPECT_THAT(stage.servers.orders[1].text, HasSubstr("SENTINEL FAILOVER"));
}

TEST(Assist, AStartThatADrillHoldsBackIsWaitedForNotForced) {
    Stage stage;
    stage.hands->executor.markers.push_back({"redis-1", "q1-drill", "drill", {}});
    int questions = 0;
    stage.servers.on_question = [&] {
        const auto& trace = stage.hands->executor.trace;
        const bool was_tried = std::find(trace.begin(), trace.end(), "unfence redis-1") != trace.end();
        if (!was_tried || ++questions != 5) return;
        stage.hands->executor.markers.clear();
        stage.hands->executor.on_start("redis-1");
    };
    const auto ended = stage.run();
    EXPECT_EQ(ended.state, ExecutionState::kSucceeded) << ended.summary;
    EXPECT_THAT(stage.progress, HasSubstr("held by q1-drill"));
    EXPECT_EQ(stage.masters_started, 0);
}

// Their holder lifts them with the lock that we hold: by our end alone.
TEST(Assist, AFenceOfAnotherExecutionOrOfAPersonIsNotWaitedFor) {
    for (const char* holder : {"exec-20261128T100000Z-dead", hosts::kOperator}) {
        Stage stage;
        stage.lock.lease = 17;
        stage.hands->executor.markers.push_back({"redis-1", holder, "failover redis", {}});
        const MonoTime began = stage.servers.fake.clock.now();
        const auto ended = stage.run();
        EXPECT_EQ(ended.state, ExecutionState::kAwaitingApproval) << ended.summary;
        EXPECT_THAT(ended.summary, HasSubstr("'redis-1' is held fenced by " + std::string(holder) + " (failover redis)"));
        EXPECT_LT(stage.servers.fake.clock.now() - began, 60s);
        EXPECT_EQ(stage.masters_started, 0);
    }
}

// Replaced by Sentinel without us: its return is met for a minute, but not where nobody lets it.
TEST(Assist, AReturnThatAForeignFenceHindersIsNotMet) {
    Stage stage;
    stage.lock.lease = 17;
    stage.hands->has_executor = false;
    stage.hands->executor.markers.push_back({"redis-1", hosts::kOperator, "look at it first", {}});
    stage.servers.on_order = [&](const std::string& order) {
        stage.carry_out(order);
        if (order.find("SENTINEL FAILOVER") != std::string::npos) stage.hands->has_executor = true;
    };
    const MonoTime began = stage.servers.fake.clock.now();
    const auto ended = stage.run();
    EXPECT_EQ(ended.state, ExecutionState::kAwaitingApproval) << ended.summary;
    EXPECT_THAT(ended.summary, HasSubstr("'redis-1' is held fenced by operator (look at it first)"));
    EXPECT_LT(stage.servers.fake.clock.now() - began, 30s) << stage.progress;
}

TEST(Assist, ACopyThatCannotBeKeptStopsTheRejoin) {
    Stage stage;
    stage.servers.fake.files.content["/etc/redis-1.conf"] = "port 6379\ndir relative\n";
    const auto ended = stage.run();
    EXPECT_EQ(ended.state, ExecutionState::kAwaitingApproval) << ended.summary;
    EXPECT_EQ(ended.facts[kFenced], Json({"redis-1"}));
    EXPECT_EQ(stage.hands->executor.trace.size(), 1U);
}

TEST(Assist, AWrongWordIsAUsageError) {
    Stage stage;
    for (const Json& word : {Json("maybe"), Json(1)})
        EXPECT_EQ(build_runbook("failover", Json{{"assist", word}}, stage.acting).error().code,
                  ErrorCode::kUsage);
}

}  // namespace
}  // namespace aeterna::redis
