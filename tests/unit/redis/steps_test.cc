// The pure parts of acting: why Sentinel is stuck, whom it would promote, priorities, what a write's end means.
#include <gtest/gtest.h>

#include "fake_servers.h"
#include "fixtures.h"
#include "redis/steps/explain_stuck.h"
#include "redis/steps/support.h"
#include "redis/workload/writer.h"

namespace aeterna::redis {
namespace {

using namespace testing;

using Change = std::function<void(StuckInput&)>;

StuckInput dead_master() {
    StuckInput input;
    input.old_master = node_address(1);
    input.master_error = make_error(ErrorCode::kConnectionRefused, "refused");
    for (int n = 1; n <= 3; ++n) input.sentinels.push_back({"sentinel-" + std::to_string(n), opinion_on(1), {}});
    return input;
}

void each_opinion(StuckInput& input, const std::function<void(SentinelOpinion&)>& change) {
    for (SentinelAnswer& answer : input.sentinels)
        if (answer.opinion) change(*answer.opinion);
}

void make_odown(StuckInput& input) {
    each_opinion(input, [](SentinelOpinion& opinion) {
        opinion.master.flags = {"master", "s_down", "o_down"};
        opinion.master.s_down_ms = opinion.master.o_down_ms = 500;
        opinion.master.last_ok_ping_ms = 31000;
    });
}

TEST(ExplainStuck, FindsTheCause) {
    const std::tuple<const char*, bool, Change> table[] = {
        {"down_after", true, [](StuckInput&) {}},
        {"alive", false, [](StuckInput& input) { input.waited = 6s; }},
        {"down_after", true,
         [](StuckInput& input) {
             each_opinion(input, [](SentinelOpinion& opinion) { opinion.master.last_ok_ping_ms = 30010; });
         }},
        {"alive", false, [](StuckInput& input) { input.master_error.reset(); }},
        {"loading", false,
         [](StuckInput& input) { input.master_error = make_error(ErrorCode::kUnavailable, "LOADING"); }},
        {"majority", false,
         [](StuckInput& input) {
             for (int i : {0, 1}) {
                 input.sentinels[i].opinion.reset();
                 input.sentinels[i].error = make_error(ErrorCode::kConnectionRefused, "refused");
             }
         }},
        {"majority", false,
         [](StuckInput& input) {
             input.sentinels[1].opinion->has_quorum = false;
             input.sentinels[1].opinion->quorum_text = "NOQUORUM 1 usable Sentinels";
         }},
        {"quorum", false,
         [](StuckInput& input) {
             each_opinion(input, [](SentinelOpinion& opinion) {
                 opinion.master.quorum = 3;
                 opinion.master.last_ok_ping_ms = 40000;
             });
             input.sentinels[0].opinion->master.flags.insert("s_down");
         }},
        {"tilt", true, [](StuckInput& input) { input.sentinels[0].opinion->is_tilt = true; }},
        {"no_good_replica", false,
         [](StuckInput& input) {
             make_odown(input);
             each_opinion(input, [](SentinelOpinion& opinion) {
                 opinion.replicas[0].priority = 0;
                 opinion.replicas[1].flags.insert("disconnected");
             });
         }},
        {"no_good_replica", false,
         [](StuckInput& input) {
             make_odown(input);
             each_opinion(input, [](SentinelOpinion& opinion) { opinion.replicas.clear(); });
         }},
        {"retry_window", false,
         [](StuckInput& input) {
             make_odown(input);
             each_opinion(input, [](SentinelOpinion& opinion) { opinion.master.o_down_ms = 60000; });
         }},
        {"running", true, make_odown},
        {"running", true,
         [](StuckInput& input) {
             make_odown(input);
             input.sentinels[2].opinion->master.flags.insert("failover_in_progress");
             input.sentinels[2].opinion->master.failover_state = "wait_promotion";
         }},
    };
    const auto settings = make_settings();
    for (const auto& [word, resolves, change] : table) {
        StuckInput input = dead_master();
        change(input);
        const auto causes = explain_stuck(input, *settings);
        ASSERT_FALSE(causes.empty());
        EXPECT_EQ(causes.front().word, word) << causes.front().reason;
        EXPECT_EQ(causes.front().resolves_itself, resolves) << word;
        EXPECT_FALSE(causes.front().reason.empty());
        EXPECT_FALSE(causes.front().proposal.empty());
    }
}

TEST(ExplainStuck, TellsHowLongDownAfterStillRuns) {
    const auto causes = explain_stuck(dead_master(), *make_settings());
    EXPECT_NE(causes.front().reason.find("29.7 s left"), std::string::npos) << causes.front().reason;
}

TEST(WhyNotPromotable, FollowsSentinelsRules) {
    MasterView down = opinion_on(1).master;
    down.flags.insert("s_down");
    down.s_down_ms = 1000;
    const std::pair<std::function<void(ReplicaView&)>, const char*> table[] = {
        {[](ReplicaView&) {}, ""},
        {[](ReplicaView& replica) { replica.flags.insert("s_down"); }, "down itself"},
        {[](ReplicaView& replica) { replica.flags.insert("disconnected"); }, "no connection"},
        {[](ReplicaView& replica) { replica.last_ok_ping_ms = 5001; }, "ping"},
        {[](ReplicaView& replica) { replica.priority = 0; }, "priority"},
        {[](ReplicaView& replica) { replica.info_refresh_ms = 5001; }, "INFO"},
        {[](ReplicaView& replica) { replica.master_link_down_ms = 301000; }, ""},
        {[](ReplicaView& replica) { replica.master_link_down_ms = 301001; }, "link"},
    };
    for (const auto& [change, word] : table) {
        ReplicaView replica = opinion_on(1).replicas.front();
        change(replica);
        const std::string reason = why_not_promotable(replica, down);
        if (*word == 0) EXPECT_EQ(reason, "");
        else EXPECT_NE(reason.find(word), std::string::npos) << reason;
    }
}

TEST(PreferringPriorities, ChangesOnlyWhatIsNeeded) {
    using Map = std::map<std::string, std::int64_t>;
    const std::pair<Map, Map> table[] = {
        {{{"a", 100}, {"b", 100}}, {{"a", 1}}},
        {{{"a", 1}, {"b", 100}}, {}},
        {{{"a", 1}, {"b", 1}}, {{"b", 2}}},
        {{{"a", 100}, {"b", 1}}, {{"a", 1}, {"b", 2}}},
        {{{"a", 0}, {"b", 100}}, {{"a", 1}}},
        {{{"a", 100}, {"b", 0}}, {}},
        {{{"a", 100}}, {}},
        {{{"b", 100}}, {}},
    };
    for (const auto& [present, changes] : table) EXPECT_EQ(preferring_priorities(present, "a"), changes);
}

TEST(ClassifyWrite, UnknownOnlyWithoutAReply) {
    using engine::WriteOutcome;
    Reply ok;
    ok.kind = Reply::Kind::kText;
    ok.text = "OK";
    EXPECT_EQ(classify_write(ok, "n").outcome, WriteOutcome::kOk);
    EXPECT_EQ(classify_write(Reply{}, "n").outcome, WriteOutcome::kUnknown);
    for (const char* word : {"READONLY x", "LOADING x", "NOREPLICAS x", "MISCONF x", "NOAUTH x", "ERR x"}) {
        Reply error;
        error.kind = Reply::Kind::kError;
        error.text = word;
        EXPECT_EQ(classify_write(error_of_reply(error, "n"), "n").outcome, WriteOutcome::kFail) << word;
    }
    const Error refused = make_error(ErrorCode::kConnectionRefused, "refused");
    EXPECT_EQ(classify_write(refused, "n").outcome, WriteOutcome::kFail);
    const Error lost = make_error(ErrorCode::kConnectionLost, "lost", "", Effect::kUnknown);
    EXPECT_EQ(classify_write(lost, "n").outcome, WriteOutcome::kUnknown);
    EXPECT_EQ(classify_write(lost, "redis-1").node, "redis-1");
}

TEST(DrillKeys, AreReadBackExactly) {
    const std::string prefix = drill_key_prefix("drill-1");
    EXPECT_EQ(drill_id_of_key(prefix + "42", "drill-1"), 42U);
    for (const std::string& wrong : {prefix, prefix + "x", prefix + "-1", drill_key_prefix("drill-2") + "1", std::string()})
        EXPECT_FALSE(drill_id_of_key(wrong, "drill-1")) << wrong;
}

// What it tells to do must be something that can be done: there is no option that names the old master.
TEST(SupposedOldMaster, WithoutASentinelItNamesTheRemedy) {
    FakeServers servers;
    for (auto& [n, sentinel] : servers.sentinels) sentinel.is_refusing = true;
    const auto master = supposed_old_master(*servers.cluster, "", servers.fake.clock.context());
    ASSERT_FALSE(master);
    EXPECT_EQ(master.error().code, ErrorCode::kUnavailable);
    EXPECT_NE(master.error().hint.find("Start"), std::string::npos);
    EXPECT_EQ(master.error().hint.find("--"), std::string::npos) << master.error().hint;
}

}  // namespace
}  // namespace aeterna::redis
