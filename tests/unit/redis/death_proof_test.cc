// When a master counts as dead, when the assist keeps its hands off, and which replicas are fit:
// one table each.
#include "redis/steps/death_proof.h"

#include <gtest/gtest.h>

#include "fixtures.h"
#include "redis/steps/candidates.h"

namespace aeterna::redis {
namespace {

using namespace testing;
using Kind = DeathVerdict::Kind;

// redis-1 was killed a second ago: it refuses, the Sentinels lost it, the replicas' links are down.
class DeathProof : public ::testing::Test {
  protected:
    DeathProof() { reset(); }

    void reset() {
        input.sentinels.clear();
        input.replicas.clear();
        input.master_info.reset();
        input.master_error = make_error(ErrorCode::kConnectionRefused, "refused");
        input.silent_for = {};
        input.is_fenceable = true;
        for (int n = 1; n <= 3; ++n) {
            SentinelOpinion opinion = opinion_on(1);
            opinion.master.flags.insert("disconnected");
            opinion.master.last_ok_ping_ms = 1100;
            input.sentinels.push_back({"sentinel-" + std::to_string(n), std::move(opinion), {}});
        }
        for (int n = 2; n <= 3; ++n) {
            NodeInfo info;
            info.follows = node_address(1);
            info.replid = "history-1";
            info.replica_offset = 1000;
            info.keys = 7;
            info.link_down_seconds = 1;
            input.replicas.push_back({&settings->nodes[static_cast<std::size_t>(n) - 1], info, {}});
        }
    }
    void be_silent(Duration silent_for, std::int64_t pong_ms) {
        input.master_error = make_error(ErrorCode::kTimeout, "silence");
        input.silent_for = silent_for;
        for (SentinelAnswer& answer : input.sentinels) {
            answer.opinion->master.flags = {"master"};
            answer.opinion->master.last_ok_ping_ms = pong_ms;
        }
        for (ReplicaAnswer& replica : input.replicas) replica.info->is_link_up = true;
    }
    void be_back(std::int64_t keys, const std::string& replid) {
        input.master_error.reset();
        input.master_info = NodeInfo{};
        input.master_info->is_master = true;
        input.master_info->keys = keys;
        input.master_info->replid = replid;
        input.master_info->uptime_seconds = 1;
    }
    void lose_sentinels(int count, ErrorCode code) {
        for (int i = 0; i < count; ++i)
            input.sentinels[static_cast<std::size_t>(i)] = {
                "sentinel", {}, make_error(code, "gone")};
    }

    SettingsPointer settings = make_settings();
    DeathInput input{*settings, settings->nodes[0], {}, {}, {}, {}, {}, true};
};

TEST_F(DeathProof, JudgesByTheWholePicture) {
    using MasterChange = std::function<void()>;
    const std::tuple<const char*, Kind, const char*, MasterChange> table[] = {
        {"refused and lost by all", Kind::kProven, "refused", [] {}},
        {"refused, one replica's link alone", Kind::kProven, "refused",
         [&] {
             for (auto& answer : input.sentinels) answer.opinion->master.flags = {"master"};
             input.replicas[1].info->is_link_up = true;
         }},
        {"refused to us alone", Kind::kNotYet, "",
         [&] {
             for (auto& answer : input.sentinels) answer.opinion->master.flags = {"master"};
             for (auto& replica : input.replicas) replica.info->is_link_up = true;
         }},
        {"silent for 4.9 s", Kind::kNotYet, "", [&] { be_silent(4900ms, 4900); }},
        {"silent for 5 s, to the Sentinels as well", Kind::kProven, "silent",
         [&] { be_silent(5s, 5100); }},
        {"silent twice, the Sentinels' pings 6 s old", Kind::kProven, "silent",
         [&] { be_silent(1400ms, 6000); }},
        {"silent twice, the Sentinels' pings so old that it may have answered 5 s ago", Kind::kNotYet, "",
         [&] { be_silent(1400ms, 5900); }},
        {"silent once, the Sentinels' pings 5 s old", Kind::kNotYet, "",
         [&] { be_silent(700ms, 6000); }},
        {"silent, but one Sentinel has an answer", Kind::kNotYet, "",
         [&] {
             be_silent(20s, 20000);
             input.sentinels[2].opinion->master.last_ok_ping_ms = 900;
         }},
        {"it answers", Kind::kRefused, "the master answers", [&] { be_back(7, "history-1"); }},
        {"it loads", Kind::kRefused, "loads",
         [&] { be_back(0, "other"), input.master_info->is_loading = true; }},
        {"LOADING", Kind::kRefused, "answers",
         [&] { input.master_error = make_error(ErrorCode::kUnavailable, "LOADING"); }},
        {"it is a replica", Kind::kRefused, "replica",
         [&] { be_back(7, "x"), input.master_info->is_master = false; }},
        {"it is back empty", Kind::kProven, "empty", [&] { be_back(0, "new"); }},
        {"it was emptied on purpose", Kind::kRefused, "answers", [&] { be_back(0, "history-1"); }},
        {"a replica was promoted for a while", Kind::kRefused, "answers",
         [&] {
             be_back(6, "history-1");
             input.master_info->loaded_keys = 0;
             for (auto& replica : input.replicas) {
                 replica.info->replid = "history-of-its-own";
                 replica.info->replid2 = "history-1";
             }
         }},
        {"it is empty, and who has keys follows others", Kind::kRefused, "answers",
         [&] {
             be_back(0, "new");
             input.replicas[0].info->follows = node_address(3);
             input.replicas[1].info->follows = node_address(2);
         }},
        {"it is empty for an hour", Kind::kRefused, "answers",
         [&] { be_back(0, "new"), input.master_info->uptime_seconds = 3600; }},
        {"it is empty, and so are the replicas", Kind::kRefused, "answers",
         [&] {
             be_back(0, "new");
             for (auto& replica : input.replicas) replica.info->keys = 0;
         }},
        {"TILT", Kind::kRefused, "TILT", [&] { input.sentinels[1].opinion->is_tilt = true; }},
        {"Sentinel is at it", Kind::kRefused, "failing over",
         [&] { input.sentinels[2].opinion->master.flags.insert("failover_in_progress"); }},
        {"another master", Kind::kRefused, "master too",
         [&] { input.replicas[0].info->is_master = true; }},
        {"nobody answers", Kind::kRefused, "cut off",
         [&] {
             lose_sentinels(3, ErrorCode::kTimeout);
             for (auto& replica : input.replicas) replica.info.reset();
         }},
        {"two Sentinels are dead", Kind::kProven, "refused",
         [&] { lose_sentinels(2, ErrorCode::kConnectionRefused); }},
        {"all Sentinels are dead", Kind::kProven, "refused",
         [&] { lose_sentinels(3, ErrorCode::kConnectionRefused); }},
        {"two Sentinels are silent: they may elect", Kind::kRefused, "cannot see",
         [&] { lose_sentinels(2, ErrorCode::kTimeout); }},
        {"silent and unfenceable without a majority", Kind::kRefused, "cannot be fenced",
         [&] {
             be_silent(6s, 6000);
             input.is_fenceable = false;
             lose_sentinels(2, ErrorCode::kConnectionRefused);
         }},
        {"no replica is fit", Kind::kRefused, "priority is 0",
         [&] {
             for (auto& replica : input.replicas) replica.info->replica_priority = 0;
         }},
    };
    for (const auto& [what, kind, words, change] : table) {
        reset();
        change();
        const DeathVerdict verdict = judge_death(input);
        EXPECT_EQ(verdict.kind, kind) << what;
        ASSERT_FALSE(verdict.evidence.empty()) << what;
        if (kind == Kind::kProven) {
            EXPECT_EQ(verdict.form, words) << what;
            EXPECT_FALSE(verdict.fit.empty()) << what;
        } else {
            EXPECT_NE(verdict.evidence.front().find(words), std::string::npos)
                << what << ": " << verdict.evidence.front();
        }
    }
}

TEST_F(DeathProof, ChoosesTheFullestFitReplica) {
    input.replicas[0].info->replica_offset = 900;
    EXPECT_EQ(fit_replicas(input).front()->name, "redis-3");
    const std::pair<const char*, std::function<void(ReplicaAnswer&)>> table[] = {
        {"answer", [](ReplicaAnswer& r) { r.info.reset(); }},
        {"loads", [](ReplicaAnswer& r) { r.info->is_loading = true; }},
        {"full copy", [](ReplicaAnswer& r) { r.info->is_syncing = true; }},
        {"priority", [](ReplicaAnswer& r) { r.info->replica_priority = 0; }},
        {"follows", [](ReplicaAnswer& r) { r.info->follows = node_address(2); }},
        {"no copy", [](ReplicaAnswer& r) { r.info->replica_offset = -1; }},
        {"not been up", [](ReplicaAnswer& r) { r.info->link_down_seconds = -1; }},
        {"lost 60 s ago", [](ReplicaAnswer& r) { r.info->link_down_seconds = 60; }},
        {"quiet for 30 s",
         [](ReplicaAnswer& r) {
             r.info->is_link_up = true;
             r.info->last_io_seconds = 30;
         }},
    };
    for (const auto& [words, change] : table) {
        ReplicaAnswer replica = input.replicas[1];
        change(replica);
        EXPECT_NE(why_unfit(replica, input).find(words), std::string::npos)
            << why_unfit(replica, input);
    }
}

// It was a master itself a moment ago: its offset is higher, and none of it is the dead master's.
TEST_F(DeathProof, OneThatHasNotCopiedTheMasterIsNotChosenByItsOffset) {
    input.replicas[0].info->replid = "history-of-its-own";
    input.replicas[0].info->replica_offset = 5000;
    input.replicas[0].info->link_down_seconds = -1;
    ASSERT_EQ(fit_replicas(input).size(), 1U);
    EXPECT_EQ(fit_replicas(input).front()->name, "redis-3");
    for (SentinelAnswer& answer : input.sentinels) answer.opinion->master.last_ok_ping_ms = 20000;
    input.replicas[0].info->is_link_up = true;
    input.replicas[0].info->last_io_seconds = 22;
    ASSERT_EQ(fit_replicas(input).size(), 1U);
    EXPECT_EQ(fit_replicas(input).front()->name, "redis-3") << "the other one's path was cut, and its link still looks up";
    // redis-3's was quiet for a minute, until repl-timeout took its link down, a moment ago.
    input.known_history = input.replicas[0].info->replid;
    EXPECT_EQ(fit_replicas(input).front()->name, "redis-2") << "the master wrote it when it was heard last";
    input.known_history = "nobody's";
    EXPECT_EQ(fit_replicas(input).front()->name, "redis-3") << "it began anew a moment ago, and nobody has copied that";
    input.known_history.clear();
    input.replicas[0].info->is_link_up = false;
    input.replicas[1].info->link_down_seconds = -1;
    EXPECT_TRUE(fit_replicas(input).empty()) << "both were restarted: nobody can say what they lack";
    be_back(0, "new");
    EXPECT_EQ(fit_replicas(input).front()->name, "redis-2") << "the master has lost its data: the fuller one";
}

// The Sentinels heard the empty one until it was fenced: that is not when the replicas lost the master.
TEST_F(DeathProof, OfAMasterThatWasEmptyAndIsKilledSinceWhoHasItsHistoryIsFit) {
    for (ReplicaAnswer& replica : input.replicas) replica.info->link_down_seconds = 27;
    for (SentinelAnswer& answer : input.sentinels) answer.opinion->master.last_ok_ping_ms = 100;
    EXPECT_TRUE(fit_replicas(input).empty()) << "nobody has said that it was empty";
    input.lost_history = "history-1";
    EXPECT_EQ(fit_replicas(input).size(), 2U);
    input.replicas[0].info->replid = "history-of-its-own";
    input.replicas[0].info->replica_offset = 5000;
    input.replicas[0].info->link_down_seconds = -1;
    ASSERT_EQ(fit_replicas(input).size(), 1U);
    EXPECT_EQ(fit_replicas(input).front()->name, "redis-3");
    EXPECT_NE(why_unfit(input.replicas[0], input).find("history that the master has lost"), std::string::npos);
}

// It counts its last pong from its own start: were that the time of the death, no link would have been good until then.
TEST_F(DeathProof, ASentinelThatWasStartedAfterwardsDoesNotSayWhenTheMasterWasLost) {
    for (ReplicaAnswer& replica : input.replicas) replica.info->link_down_seconds = 40;
    for (SentinelAnswer& answer : input.sentinels) answer.opinion->master.last_ok_ping_ms = 4400;
    for (SentinelAnswer& answer : input.sentinels) answer.opinion->uptime_seconds = 100;
    EXPECT_TRUE(fit_replicas(input).empty()) << "it answered them 4 s ago";
    for (SentinelAnswer& answer : input.sentinels) answer.opinion->uptime_seconds = 5;
    EXPECT_EQ(fit_replicas(input).size(), 2U);
    input.sentinels[1].opinion->uptime_seconds = 100;
    EXPECT_TRUE(fit_replicas(input).empty()) << "one of them knows";
}

// One that was told to follow a dead master has never lost it: it does not say when the others did.
TEST_F(DeathProof, WithoutSentinelsTheLinkThatWasLostLastSaysWhenTheMasterWasLost) {
    lose_sentinels(3, ErrorCode::kConnectionRefused);
    input.replicas[0].info->link_down_seconds = -1;
    input.replicas[1].info->link_down_seconds = 40;
    ASSERT_EQ(fit_replicas(input).size(), 1U);
    EXPECT_EQ(fit_replicas(input).front()->name, "redis-3");
    input.replicas[0].info->link_down_seconds = 20;
    ASSERT_EQ(fit_replicas(input).size(), 1U);
    EXPECT_EQ(fit_replicas(input).front()->name, "redis-2");
}

TEST_F(DeathProof, OnlyASentinelThatCannotChooseWronglyIsTold) {
    const std::vector<const RedisNode*> both{&settings->nodes[1], &settings->nodes[2]};
    const std::vector<const RedisNode*> second{&settings->nodes[1]};
    EXPECT_EQ(able_sentinels(input, both).size(), 3U);
    EXPECT_TRUE(
        able_sentinels(input, second).empty());  // redis-3 lacks something and may be chosen
    for (auto& answer : input.sentinels) answer.opinion->replicas[1].info_refresh_ms = 3600 * 1000;
    EXPECT_TRUE(able_sentinels(input, second).empty()) << "it lives, and the Sentinel hears of it a moment later";
    const auto alive = std::exchange(input.replicas[1].info, std::nullopt);
    EXPECT_EQ(able_sentinels(input, second).size(), 3U) << "it is dead";
    input.replicas[1].info = alive;
    for (auto& answer : input.sentinels) answer.opinion->replicas[1].priority = 0;
    EXPECT_EQ(able_sentinels(input, second).size(), 3U);
    input.sentinels[0].opinion->has_quorum = false;
    EXPECT_EQ(able_sentinels(input, second).back()->name, "sentinel-1");
    lose_sentinels(1, ErrorCode::kTimeout);
    input.sentinels[1].opinion->master.address = node_address(2);
    EXPECT_EQ(able_sentinels(input, second).size(), 1U);
}

}  // namespace
}  // namespace aeterna::redis
