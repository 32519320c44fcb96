// The detectors over time: what fires, when, and what a single blink does not do.
#include "qdrant/detect/detectors.h"

#include <gtest/gtest.h>

#include <array>

#include "seen_builder.h"

namespace aeterna::qdrant::testing {
namespace {

using engine::FindingState;

// Feeds one picture of the world per half second.
class Timeline {
  public:
    template <class Change>
    void pass(Duration duration, Change change, bool isolated = false) {
        for (Duration gone{}; gone < duration; gone += 500ms) {
            now_ += 500ms;
            Seen seen = healthy(kNow + now_);
            change(seen);
            engine::JudgeContext context = at(now_);
            context.isolated = isolated;
            findings_ = detectors_.update(seen, cluster_status(seen, urls(), context), context);
        }
    }
    [[nodiscard]] const engine::Finding& finding(const std::string& detector,
                                                 const std::string& subject) const {
        for (const engine::Finding& item : findings_) {
            if (item.detector == detector && item.subject == subject) return item;
        }
        static const engine::Finding none;
        ADD_FAILURE() << "no finding " << detector << " " << subject;
        return none;
    }
    [[nodiscard]] FindingState state(const std::string& detector,
                                     const std::string& subject) const {
        return finding(detector, subject).state;
    }
    [[nodiscard]] std::vector<std::string> firing() const {
        std::vector<std::string> names;
        for (const engine::Finding& item : findings_) {
            if (item.state == FindingState::kFiring)
                names.push_back(item.detector + " " + item.subject);
        }
        return names;
    }

  private:
    Detectors detectors_;
    Duration now_{};
    std::vector<engine::Finding> findings_;
};

const auto kHealthy = [](Seen&) {};

TEST(Detectors, AHealthyClusterIsClearFromTheFirstLook) {
    Timeline line;
    line.pass(500ms, kHealthy);
    EXPECT_TRUE(line.firing().empty());
    EXPECT_EQ(line.state("qdrant.cluster_red", "qdrant"), FindingState::kClear);
    EXPECT_EQ(line.state("qdrant.node_down", "qdrant-2"), FindingState::kClear);
    EXPECT_EQ(line.state("qdrant.metric_mismatch", "qdrant"), FindingState::kUnknown)
        << "no prometheus: unknown";
}

TEST(Detectors, ARefusedNodeIsDownAtOnceASilentOneAfterFiveSeconds) {
    Timeline refused, silent;
    refused.pass(2s, kHealthy);
    refused.pass(500ms, [](Seen& s) { fail_node(s, 2, Answer::kRefused); });
    EXPECT_EQ(refused.state("qdrant.node_down", "qdrant-2"), FindingState::kFiring);
    EXPECT_EQ(refused.finding("qdrant.node_down", "qdrant-2").severity,
              engine::Severity::kDegraded);
    const auto silence = [](Seen& s) { fail_node(s, 2, Answer::kSilent); };
    silent.pass(2s, kHealthy);
    silent.pass(5s, silence);
    EXPECT_EQ(silent.state("qdrant.node_down", "qdrant-2"), FindingState::kSuspect) << "a blink";
    silent.pass(500ms, silence);
    EXPECT_EQ(silent.state("qdrant.node_down", "qdrant-2"), FindingState::kFiring);
    silent.pass(2s, kHealthy);
    EXPECT_TRUE(silent.firing().empty());
}

TEST(Detectors, A503IsNotANodeDown) {
    Timeline line;
    line.pass(2s, [](Seen& s) { fail_node(s, 1, Answer::kUnavailable); });
    EXPECT_EQ(line.firing(), (std::vector<std::string>{"qdrant.api_unavailable qdrant-1"}));
    const engine::Finding& finding = line.finding("qdrant.api_unavailable", "qdrant-1");
    EXPECT_EQ(finding.severity, engine::Severity::kDegraded) << "the others serve";
    EXPECT_NE(finding.reasons.at(0).find("boom"), std::string::npos);
}

TEST(Detectors, A503EverywhereIsCriticalAndRed) {
    Timeline line;
    line.pass(2s, [](Seen& s) {
        for (int n = 1; n <= 3; ++n) fail_node(s, n, Answer::kUnavailable);
    });
    EXPECT_EQ(line.state("qdrant.cluster_red", "qdrant"), FindingState::kFiring);
    EXPECT_EQ(line.finding("qdrant.api_unavailable", "qdrant-1").severity,
              engine::Severity::kCritical);
}

TEST(Detectors, RedWaitsForSilenceButNotForWhatWasSaid) {
    struct Case {
        const char* name;
        std::array<Answer, 3> answers;
        Duration fires_after;
    };
    using enum Answer;
    const Case cases[] = {
        {"all silent", {kSilent, kSilent, kSilent}, 5s},
        {"two silent", {kServing, kSilent, kSilent}, 5s},
        {"one refused, one silent", {kServing, kRefused, kSilent}, 5s},
        {"two refused, one silent", {kRefused, kRefused, kSilent}, 1s},
        {"all refuse", {kRefused, kRefused, kRefused}, 1s},
        {"two say 503, one is silent", {kUnavailable, kUnavailable, kSilent}, 1s},
    };
    for (const Case& item : cases) {
        const auto broken = [&item](Seen& s) {
            for (int n = 1; n <= 3; ++n) {
                const Answer answer = item.answers[static_cast<std::size_t>(n - 1)];
                if (answer != kServing) fail_node(s, n, answer);
            }
        };
        Timeline line;
        line.pass(2s, kHealthy);
        line.pass(item.fires_after, broken);
        EXPECT_EQ(line.state("qdrant.cluster_red", "qdrant"), FindingState::kSuspect) << item.name;
        line.pass(500ms, broken);
        EXPECT_EQ(line.state("qdrant.cluster_red", "qdrant"), FindingState::kFiring) << item.name;
        line.pass(4s, kHealthy);
        EXPECT_TRUE(line.firing().empty()) << item.name;
    }
}

TEST(Detectors, AShardWhoseReplicaIsSilentWaitsToo) {
    const auto silent = [](Seen& s) {
        set_replica(s, 1, "Dead");
        set_replica(s, 2, "Dead");
        fail_node(s, 3, Answer::kSilent);
    };
    Timeline line;
    line.pass(5s, silent);
    EXPECT_EQ(line.state("qdrant.cluster_red", "qdrant"), FindingState::kSuspect);
    line.pass(500ms, silent);
    EXPECT_EQ(line.state("qdrant.cluster_red", "qdrant"), FindingState::kFiring);
}

TEST(Detectors, IsolationFiresNothing) {
    Timeline line;
    line.pass(2s, kHealthy);
    line.pass(
        30s,
        [](Seen& s) {
            for (int n = 1; n <= 3; ++n) fail_node(s, n, Answer::kSilent);
        },
        true);
    EXPECT_TRUE(line.firing().empty());
    EXPECT_EQ(line.state("qdrant.cluster_red", "qdrant"), FindingState::kUnknown);
    EXPECT_EQ(line.state("qdrant.node_down", "qdrant-1"), FindingState::kUnknown);
}

TEST(Detectors, ADeadReplicaIsNamedAtItsNode) {
    Timeline line;
    line.pass(3s, [](Seen& s) { set_replica(s, 3, "Dead"); });
    EXPECT_EQ(line.firing(), (std::vector<std::string>{"qdrant.replica_dead qdrant-3"}));
    EXPECT_NE(line.finding("qdrant.replica_dead", "qdrant-3").reasons.at(0).find("shard 0"),
              std::string::npos);
    line.pass(3s, [](Seen& s) { set_replica(s, 3, "Partial"); });
    EXPECT_TRUE(line.firing().empty()) << "it is being recovered";
}

TEST(Detectors, AnElectionIsNoFaultButALastingOneIs) {
    const auto leaderless = [](Seen& s) {
        for (auto& [name, node] : s.nodes) node.api.cluster->leader = 0;
    };
    Timeline line;
    line.pass(4s, leaderless);
    EXPECT_NE(line.state("qdrant.consensus_stopped", "qdrant"), FindingState::kFiring);
    line.pass(3s, leaderless);
    EXPECT_EQ(line.state("qdrant.consensus_stopped", "qdrant"), FindingState::kFiring);
    Timeline stopped;
    stopped.pass(2s, [](Seen& s) { s.nodes["qdrant-2"].api.cluster->consensus = "stopped"; });
    EXPECT_EQ(stopped.firing(), (std::vector<std::string>{"qdrant.consensus_stopped qdrant-2"}));
}

TEST(Detectors, PrometheusMayLagBehindForThirtySeconds) {
    Timeline line;
    const auto says_red = [](Seen& s) {
        s.metric = MetricSeen{s.nodes["qdrant-1"].api.at, "Red", ""};
    };
    line.pass(29s, says_red);
    EXPECT_TRUE(line.firing().empty());
    line.pass(3s, says_red);
    EXPECT_EQ(line.firing(), (std::vector<std::string>{"qdrant.metric_mismatch qdrant"}));
    EXPECT_EQ(line.finding("qdrant.metric_mismatch", "qdrant").summary,
              "prometheus says 'Red', the nodes say 'Green'");
    Timeline empty;
    empty.pass(60s, [](Seen& s) {
        s.metric = MetricSeen{s.nodes["qdrant-1"].api.at, std::nullopt, ""};
    });
    EXPECT_EQ(empty.state("qdrant.metric_mismatch", "qdrant"), FindingState::kUnknown)
        << "an empty vector is unknown";
}

}  // namespace
}  // namespace aeterna::qdrant::testing
