// Every detector over timed tables of observations.
#include <gtest/gtest.h>

#include "fixtures.h"
#include "redis/detect/detector.h"
#include "redis/detect/monitor.h"

namespace aeterna::redis {
namespace {

using engine::FindingState;
using namespace testing;

// A world that is healthy until a test changes it: redis-1 is master, everybody answers at each tick.
class World {
  public:
    World() {
        for (int n = 1; n <= 3; ++n) {
            node(n, n == 1 ? master_seen() : replica_seen(1));
            sentinel(n, sentinel_seen(opinion_on(1)));
        }
    }
    void node(int n, NodeObservation seen) { nodes_["redis-" + std::to_string(n)] = std::move(seen); }
    void sentinel(int n, SentinelObservation seen) { sentinels_["sentinel-" + std::to_string(n)] = std::move(seen); }
    void silence_node(int n) { node(n, node_error(ErrorCode::kTimeout)); }
    // No new observations of this node: its last one grows old.
    void freeze(int n) { frozen_.insert("redis-" + std::to_string(n)); }

    Snapshot& tick(Duration by) {
        snapshot_.now += by;
        snapshot_.wall_now += std::chrono::duration_cast<WallTime::duration>(by);
        for (auto& [name, seen] : nodes_)
            if (!frozen_.count(name)) keep(snapshot_.nodes[name], seen);
        for (auto& [name, record] : snapshot_.nodes) record.lookups = {{snapshot_.now, "r", 0, 0}};
        for (auto& [name, seen] : sentinels_) keep(snapshot_.sentinels[name], seen);
        return snapshot_;
    }
    Snapshot& snapshot() { return snapshot_; }

    // Judges every half second for `span`; the state of `subject` at the end.
    FindingState run(Detector& detector, const std::string& subject, Duration span) {
        FindingState state = FindingState::kUnknown;
        for (Duration passed{}; passed < span; passed += 500ms)
            for (const auto& finding : detector.judge(tick(500ms)))
                if (finding.subject == subject) {
                    state = finding.state;
                    last_ = finding;
                }
        return state;
    }
    [[nodiscard]] const engine::Finding& last() const { return last_; }

  private:
    template <class RecordType, class Observation>
    void keep(RecordType& record, Observation seen) {
        seen.at = snapshot_.now;
        if (!record.first_try) record.first_try = seen.at;
        if (!seen.error) record.last_answer = seen.at;
        record.latest = std::move(seen);
    }
    Snapshot snapshot_ = [] {
        Snapshot made;
        made.settings = make_settings();
        made.now = MonoTime(1000s);
        made.trusted_since = MonoTime(0s);
        made.known_master = "redis-1";
        return made;
    }();
    std::map<std::string, NodeObservation> nodes_;
    std::map<std::string, SentinelObservation> sentinels_;
    std::set<std::string> frozen_;
    engine::Finding last_;
};

TEST(Detectors, AHealthyWorldIsClear) {
    World world;
    const auto detectors = make_detectors();
    EXPECT_EQ(detectors.size(), 14U);
    for (int i = 0; i < 60; ++i) {
        world.tick(500ms);
        for (const auto& detector : detectors)
            for (const auto& finding : detector->judge(world.snapshot()))
                EXPECT_EQ(finding.state, FindingState::kClear) << finding.detector << " " << finding.summary;
    }
}

// Its RDB file ends at 1000 of the history that the replica has up to 1100; it has taken 20 bytes since.
void load_older(NodeInfo& master, NodeInfo& replica) {
    master.keys = master.loaded_keys = 5;
    master.replid2 = "old";
    master.second_offset = master.backlog_first = 1001;
    master.master_offset = 1020;
    replica.replica_offset = 1100;
}

TEST(MasterEmpty, FiresAtOnceAndOnlyWhileThereIsSomethingToLose) {
    const std::tuple<const char*, FindingState, std::function<void(NodeInfo&, NodeInfo&)>> table[] = {
        {"back empty", FindingState::kFiring, [](NodeInfo&, NodeInfo&) {}},
        {"it has its data", FindingState::kClear, [](NodeInfo& master, NodeInfo&) { master.keys = 7; }},
        {"it took writes since", FindingState::kFiring,
         [](NodeInfo& master, NodeInfo&) { master.keys = 3, master.loaded_keys = 0; }},
        {"it loaded a tenth", FindingState::kFiring,
         [](NodeInfo& master, NodeInfo& replica) { master.keys = 9, master.loaded_keys = 9, replica.keys = 91; }},
        {"flushed", FindingState::kClear, [](NodeInfo& master, NodeInfo&) { master.replid = "old"; }},
        {"still loading", FindingState::kClear, [](NodeInfo& master, NodeInfo&) { master.is_loading = true; }},
        {"up for an hour", FindingState::kClear, [](NodeInfo& master, NodeInfo&) { master.uptime_seconds = 3600; }},
        {"young, but promoted: the former master follows it with its own keys", FindingState::kClear,
         [](NodeInfo& master, NodeInfo&) { master.keys = 900, master.loaded_keys = 0, master.second_offset = 77; }},
        {"it took more since than a replica that was away has", FindingState::kClear,
         [](NodeInfo& master, NodeInfo&) { master.keys = 900, master.loaded_keys = 0; }},
        {"too late", FindingState::kClear, [](NodeInfo&, NodeInfo& replica) { replica.keys = 0; }},
        {"back with an older file", FindingState::kFiring, load_older},
        {"that file, and as many keys", FindingState::kFiring,
         [](NodeInfo& master, NodeInfo& replica) { load_older(master, replica), master.keys = 7; }},
        {"the file has all that the replica has", FindingState::kClear,
         [](NodeInfo& master, NodeInfo& replica) { load_older(master, replica), replica.replica_offset = 1000; }},
        {"all of it, and most keys have expired", FindingState::kClear,
         [](NodeInfo& master, NodeInfo& replica) {
             load_older(master, replica), replica.replica_offset = 1000, replica.keys = 1000;
         }},
        {"it took more since than it lacks", FindingState::kClear,
         [](NodeInfo& master, NodeInfo& replica) { load_older(master, replica), master.master_offset = 1200; }},
        {"promoted, and another replica had more", FindingState::kClear,
         [](NodeInfo& master, NodeInfo& replica) { load_older(master, replica), master.backlog_first = 1; }},
        {"promoted right after its full copy, and another replica had more", FindingState::kClear,
         [](NodeInfo& master, NodeInfo& replica) { load_older(master, replica), master.replicated_bytes = 605; }},
        {"a file of the history before a promotion", FindingState::kFiring,
         [](NodeInfo& master, NodeInfo& replica) {
             load_older(master, replica), replica.replid = "newer", replica.replid2 = "old";
         }},
        {"the replica began a history of its own", FindingState::kClear,
         [](NodeInfo& master, NodeInfo& replica) {
             load_older(master, replica), replica.replid = "own", replica.replid2 = "old",
                                          replica.link_down_seconds = -1;
         }},
        {"a file of a history that nobody knows", FindingState::kClear,
         [](NodeInfo& master, NodeInfo& replica) { load_older(master, replica), master.replid2 = "foreign"; }},
        {"a file of such a one with next to nothing", FindingState::kFiring,
         [](NodeInfo& master, NodeInfo& replica) {
             load_older(master, replica), master.replid2 = "foreign", replica.keys = 91;
         }},
    };
    for (const auto& [what, state, change] : table) {
        World world;
        auto detector = make_master_empty();
        ASSERT_EQ(world.run(*detector, "redis-1", 5s), FindingState::kClear);
        NodeObservation master = master_seen(0);
        NodeObservation replica = replica_seen(1, "connecting");
        master.info.replid = "new";
        replica.info.replid = "old";
        replica.info.keys = 7;
        change(master.info, replica.info);
        world.node(1, master);
        world.node(2, replica);
        EXPECT_EQ(world.run(*detector, "redis-1", 500ms), state) << what;
    }
}

TEST(MasterDown, RefusedAndABrokenLinkFireAtOnce) {
    World world;
    auto detector = make_master_down();
    ASSERT_EQ(world.run(*detector, "redis-1", 5s), FindingState::kClear);
    world.node(1, node_error(ErrorCode::kConnectionRefused));
    EXPECT_EQ(world.run(*detector, "redis-1", 5s), FindingState::kSuspect) << "one vantage only";
    world.node(2, replica_seen(1, "connect"));
    EXPECT_EQ(world.run(*detector, "redis-1", 500ms), FindingState::kFiring);
    EXPECT_EQ(world.last().reasons.size(), 2U);
    EXPECT_NE(world.last().reasons[1].find("redis-2"), std::string::npos);
}

TEST(MasterDown, EachSentinelSignIsASecondVantage) {
    const std::function<void(SentinelOpinion&)> signs[] = {
        [](SentinelOpinion& opinion) { opinion.master.flags.insert("s_down"); },
        [](SentinelOpinion& opinion) { opinion.master.flags.insert("disconnected"); },
        [](SentinelOpinion& opinion) { opinion.master.last_ok_ping_ms = 2500; },
    };
    for (const auto& sign : signs) {
        World world;
        auto detector = make_master_down();
        world.node(1, node_error(ErrorCode::kConnectionRefused));
        SentinelOpinion opinion = opinion_on(1);
        sign(opinion);
        world.sentinel(2, sentinel_seen(opinion));
        EXPECT_EQ(world.run(*detector, "redis-1", 500ms), FindingState::kFiring);
    }
}

TEST(MasterDown, SilenceNeedsFiveSecondsAndASecondVantage) {
    World world;
    auto detector = make_master_down();
    world.run(*detector, "redis-1", 2s);
    world.silence_node(1);
    EXPECT_EQ(world.run(*detector, "redis-1", 10s), FindingState::kSuspect) << "no second vantage";
    World other;
    other.run(*detector, "redis-1", 2s);
    other.silence_node(1);
    SentinelOpinion opinion = opinion_on(1);
    opinion.master.last_ok_ping_ms = 4000;
    other.sentinel(1, sentinel_seen(opinion));
    EXPECT_EQ(other.run(*detector, "redis-1", 4500ms), FindingState::kSuspect);
    EXPECT_EQ(other.run(*detector, "redis-1", 1s), FindingState::kFiring);
}

TEST(MasterDown, StaleObservationsCountAsSilence) {
    World world;
    auto detector = make_master_down();
    world.run(*detector, "redis-1", 2s);
    world.freeze(1);
    SentinelOpinion opinion = opinion_on(1);
    opinion.master.flags.insert("s_down");
    world.sentinel(1, sentinel_seen(opinion));
    EXPECT_EQ(world.run(*detector, "redis-1", 2s), FindingState::kClear);
    EXPECT_EQ(world.run(*detector, "redis-1", 2s), FindingState::kSuspect);
    EXPECT_EQ(world.run(*detector, "redis-1", 3s), FindingState::kFiring);
}

TEST(MasterDown, NeverFiresWhenIsolatedOrAfterAStall) {
    World world;
    auto detector = make_master_down();
    world.run(*detector, "redis-1", 2s);
    world.node(1, node_error(ErrorCode::kConnectionRefused));
    world.node(2, replica_seen(1, "connect"));
    world.snapshot().isolated = true;
    EXPECT_EQ(world.run(*detector, "redis-1", 10s), FindingState::kUnknown);
    world.snapshot().isolated = false;
    world.snapshot().stalled = true;
    EXPECT_EQ(world.run(*detector, "redis-1", 500ms), FindingState::kUnknown);
    world.snapshot().stalled = false;
    EXPECT_EQ(world.run(*detector, "redis-1", 500ms), FindingState::kFiring);
}

TEST(MasterDown, LoadingOrNoAccessIsNotDeath) {
    for (const ErrorCode code : {ErrorCode::kUnavailable, ErrorCode::kAuthentication, ErrorCode::kPermission}) {
        World world;
        auto detector = make_master_down();
        world.node(1, node_error(code));
        world.node(2, replica_seen(1, "connect"));
        EXPECT_EQ(world.run(*detector, "redis-1", 20s), FindingState::kClear);
    }
}

TEST(MasterDown, ClearsOnceSentinelNamesAnother) {
    World world;
    auto detector = make_master_down();
    world.node(1, node_error(ErrorCode::kConnectionRefused));
    world.node(2, replica_seen(1, "connect"));
    ASSERT_EQ(world.run(*detector, "redis-1", 1s), FindingState::kFiring);
    world.node(2, master_seen());
    world.node(3, replica_seen(2));
    for (int n = 1; n <= 3; ++n) world.sentinel(n, sentinel_seen(opinion_on(2)));
    EXPECT_EQ(world.run(*detector, "redis-1", 3s), FindingState::kClear);
    EXPECT_EQ(world.run(*detector, "redis-2", 1s), FindingState::kClear);
}

TEST(Odown, FiresByFlagOrByEvent) {
    World world;
    auto detector = make_odown();
    ASSERT_EQ(world.run(*detector, "redis-1", 1s), FindingState::kClear);
    world.snapshot().sentinels["sentinel-3"].odown = node_address(1);
    EXPECT_EQ(world.run(*detector, "redis-1", 500ms), FindingState::kFiring);
    world.snapshot().sentinels["sentinel-3"].odown.reset();
    EXPECT_EQ(world.run(*detector, "redis-1", 5s), FindingState::kClear);
    SentinelOpinion opinion = opinion_on(1);
    opinion.master.flags.insert("o_down");
    world.sentinel(1, sentinel_seen(opinion));
    EXPECT_EQ(world.run(*detector, "redis-1", 500ms), FindingState::kFiring);
}

TEST(SentinelQuorum, FiresWhenCkquorumFails) {
    World world;
    auto detector = make_sentinel_quorum();
    SentinelOpinion opinion = opinion_on(1);
    opinion.has_quorum = false;
    opinion.quorum_text = "NOQUORUM 1 usable Sentinels";
    world.sentinel(1, sentinel_seen(opinion));
    EXPECT_EQ(world.run(*detector, "m", 2s), FindingState::kSuspect);
    EXPECT_EQ(world.run(*detector, "m", 2s), FindingState::kFiring);
    EXPECT_NE(world.last().reasons.front().find("NOQUORUM"), std::string::npos);
}

TEST(SentinelQuorum, FiresWhenTooFewAnswer) {
    const auto absent = [](ErrorCode code) {
        SentinelObservation seen;
        seen.error = make_error(code, "away");
        return seen;
    };
    World refused;
    auto detector = make_sentinel_quorum();
    ASSERT_EQ(refused.run(*detector, "m", 1s), FindingState::kClear);
    for (int n = 1; n <= 3; ++n) refused.sentinel(n, absent(ErrorCode::kConnectionRefused));
    EXPECT_EQ(refused.run(*detector, "m", 2s), FindingState::kSuspect);
    EXPECT_EQ(refused.run(*detector, "m", 2s), FindingState::kFiring);
    EXPECT_EQ(refused.last().reasons.size(), 3U);

    World silent;
    detector = make_sentinel_quorum();
    silent.run(*detector, "m", 1s);
    for (int n = 2; n <= 3; ++n) silent.sentinel(n, absent(ErrorCode::kTimeout));
    EXPECT_EQ(silent.run(*detector, "m", 4500ms), FindingState::kSuspect);
    EXPECT_EQ(silent.run(*detector, "m", 4s), FindingState::kFiring);

    // Nobody tells anything: they may well hear each other.
    World unheard;
    detector = make_sentinel_quorum();
    unheard.run(*detector, "m", 1s);
    for (int n = 1; n <= 3; ++n) unheard.sentinel(n, absent(ErrorCode::kTimeout));
    EXPECT_EQ(unheard.run(*detector, "m", 30s), FindingState::kUnknown);
    EXPECT_EQ(unheard.last().reasons.size(), 3U);

    World isolated;
    detector = make_sentinel_quorum();
    isolated.run(*detector, "m", 1s);
    for (int n = 1; n <= 3; ++n) isolated.sentinel(n, absent(ErrorCode::kTimeout));
    isolated.snapshot().isolated = true;
    EXPECT_EQ(isolated.run(*detector, "m", 20s), FindingState::kUnknown);

    for (const ErrorCode code : {ErrorCode::kTimeout, ErrorCode::kAuthentication}) {
        World world;
        detector = make_sentinel_quorum();
        world.sentinel(1, absent(code));
        if (code == ErrorCode::kAuthentication) world.sentinel(2, absent(code));
        EXPECT_EQ(world.run(*detector, "m", 20s), FindingState::kClear) << "a majority may still vote";
    }
}

TEST(SentinelsDisagree, ToleratesASpreadingSwitch) {
    World world;
    auto detector = make_sentinels_disagree();
    world.sentinel(1, sentinel_seen(opinion_on(2)));
    EXPECT_EQ(world.run(*detector, "m", 4s), FindingState::kSuspect);
    EXPECT_EQ(world.run(*detector, "m", 3s), FindingState::kFiring);
}

TEST(SentinelDown, RefusedSoonSilentLater) {
    World world;
    auto detector = make_sentinel_down();
    SentinelObservation refused;
    refused.error = make_error(ErrorCode::kConnectionRefused, "refused");
    world.sentinel(1, refused);
    SentinelObservation silent;
    silent.error = make_error(ErrorCode::kTimeout, "silent");
    world.sentinel(2, silent);
    EXPECT_EQ(world.run(*detector, "sentinel-1", 2s), FindingState::kFiring);
    EXPECT_EQ(world.run(*detector, "sentinel-2", 1s), FindingState::kSuspect);
    EXPECT_EQ(world.run(*detector, "sentinel-2", 5s), FindingState::kFiring);
}

TEST(ReplicaDown, IgnoresTheMaster) {
    World world;
    auto detector = make_replica_down();
    world.run(*detector, "redis-2", 1s);
    world.node(1, node_error(ErrorCode::kConnectionRefused));
    world.node(2, node_error(ErrorCode::kConnectionRefused));
    EXPECT_EQ(world.run(*detector, "redis-1", 3s), FindingState::kClear);
    EXPECT_EQ(world.run(*detector, "redis-2", 1s), FindingState::kFiring);
}

TEST(ReplicationBroken, LinkDownOrWrongMaster) {
    for (const NodeObservation& seen : {replica_seen(1, "connect"), replica_seen(3)}) {
        World world;
        auto detector = make_replication_broken();
        world.node(2, seen);
        EXPECT_EQ(world.run(*detector, "redis-2", 9s), FindingState::kSuspect);
        EXPECT_EQ(world.run(*detector, "redis-2", 3s), FindingState::kFiring);
    }
    World world;
    auto detector = make_replication_broken();
    world.node(1, node_error(ErrorCode::kConnectionRefused));
    world.node(2, replica_seen(1, "connect"));
    EXPECT_EQ(world.run(*detector, "redis-2", 20s), FindingState::kUnknown) << "the master's death explains it";
}

TEST(ReplicationLag, ByBytesOrBySilentAcknowledgements) {
    for (const auto& [offset, lag] : {std::pair<std::int64_t, std::int64_t>{0, 0}, {100 << 20, 11}}) {
        World world;
        auto detector = make_replication_lag();
        NodeObservation master = master_seen(100 << 20);
        master.info.replicas = {{node_address(2), "online", offset, lag}, {node_address(3), "online", 100 << 20, 0}};
        world.node(1, master);
        EXPECT_EQ(world.run(*detector, "redis-2", 12s), FindingState::kFiring);
        EXPECT_EQ(world.run(*detector, "redis-3", 1s), FindingState::kClear);
    }
}

TEST(TwoMasters, FiresAfterASecond) {
    World world;
    auto detector = make_two_masters();
    EXPECT_EQ(world.run(*detector, "m", 2s), FindingState::kClear);
    world.node(3, master_seen());
    EXPECT_EQ(world.run(*detector, "m", 500ms), FindingState::kSuspect);
    EXPECT_EQ(world.run(*detector, "m", 1500ms), FindingState::kFiring);
    EXPECT_EQ(world.last().summary, "redis-1 and redis-3 are both master");
}

TEST(Divided, FiresWhenNobodyHasEndedItFor20Seconds) {
    World world;
    auto detector = make_divided();
    EXPECT_EQ(world.run(*detector, "m", 2s), FindingState::kClear);
    world.node(3, master_seen());
    EXPECT_EQ(world.run(*detector, "m", 19s), FindingState::kSuspect);
    EXPECT_EQ(world.run(*detector, "m", 2s), FindingState::kFiring);
    EXPECT_EQ(world.last().summary, "the servers do not agree that redis-1 is master");
}

struct LookupCase {
    const char* what;
    LookupSample first;
    LookupSample last;
    FindingState expected;
};

TEST(CacheMiss, NeedsTwentyLookupsWithoutAHit) {
    const LookupCase table[] = {
        {"idle", {MonoTime{}, "r", 5, 5}, {MonoTime{}, "r", 5, 5}, FindingState::kClear},
        {"nineteen misses", {MonoTime{}, "r", 5, 5}, {MonoTime{}, "r", 5, 24}, FindingState::kClear},
        {"twenty misses", {MonoTime{}, "r", 5, 5}, {MonoTime{}, "r", 5, 25}, FindingState::kFiring},
        {"one hit", {MonoTime{}, "r", 5, 5}, {MonoTime{}, "r", 6, 500}, FindingState::kClear},
        {"restarted in between", {MonoTime{}, "q", 5, 5}, {MonoTime{}, "r", 0, 500}, FindingState::kClear},
        {"counters were reset", {MonoTime{}, "r", 5, 50}, {MonoTime{}, "r", 0, 40}, FindingState::kClear},
    };
    for (const LookupCase& each : table) {
        World world;
        auto detector = make_cache_miss();
        FindingState state = FindingState::kUnknown;
        for (int i = 0; i < 8; ++i) {
            Snapshot& snapshot = world.tick(500ms);
            LookupSample first = each.first;
            LookupSample last = each.last;
            first.at = snapshot.now - 20s;
            last.at = snapshot.now;
            snapshot.nodes["redis-1"].lookups = {first, last};
            state = detector->judge(snapshot).front().state;
        }
        EXPECT_EQ(state, each.expected) << each.what;
    }
}

TEST(Status, CarriesTheMissRatioOfTheWindow) {
    World world;
    Snapshot& snapshot = world.tick(500ms);
    EXPECT_EQ(make_status(snapshot).extra.at("cache_miss_ratio"), nullptr) << "no look-ups are no rate";
    snapshot.nodes["redis-1"].lookups = {
        {snapshot.now - 40s, "r", 0, 0}, {snapshot.now - 20s, "r", 5, 5}, {snapshot.now, "r", 8, 6}};
    snapshot.nodes["redis-2"].lookups = {{snapshot.now - 20s, "q", 0, 90}, {snapshot.now, "r", 0, 0}};
    EXPECT_EQ(make_status(snapshot).extra.at("cache_miss_ratio"), 0.25);
    world.silence_node(1);
    world.silence_node(2);
    world.silence_node(3);
    EXPECT_EQ(make_status(world.tick(10s)).extra.at("cache_miss_ratio"), nullptr);
}

TEST(PersistenceFailed, NamesWhatFailed) {
    World world;
    auto detector = make_persistence_failed();
    NodeObservation seen = replica_seen(1);
    seen.info.is_rdb_ok = false;
    world.node(2, seen);
    EXPECT_EQ(world.run(*detector, "redis-2", 2s), FindingState::kFiring);
    EXPECT_NE(world.last().reasons.front().find("rdb_last_bgsave_status"), std::string::npos);
    EXPECT_EQ(world.run(*detector, "redis-1", 1s), FindingState::kClear);
}

TEST(Loading, OnlyALongLoadingMaster) {
    World world;
    auto detector = make_loading();
    NodeObservation seen = master_seen();
    seen.info.is_loading = true;
    world.node(1, seen);
    EXPECT_EQ(world.run(*detector, "redis-1", 14s), FindingState::kSuspect);
    EXPECT_EQ(world.run(*detector, "redis-1", 3s), FindingState::kFiring);
    NodeObservation replica = replica_seen(1);
    replica.info.is_loading = true;
    world.node(2, replica);
    EXPECT_EQ(world.run(*detector, "redis-2", 30s), FindingState::kClear);
}

}  // namespace
}  // namespace aeterna::redis
