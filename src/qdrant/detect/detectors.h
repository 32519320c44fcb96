// The Qdrant detectors: state machines over verdicts with time and hysteresis. Pure; one object per
// monitor.
//
//   qdrant.api_unavailable    per node: its API answers 503 (the seed's signal)
//   qdrant.cluster_red        the cluster status is Red (the seed's signal); by silence after 5 s
//   qdrant.node_down          per node: refused (at once) or silent (5 s)
//   qdrant.replica_dead       per node: it holds replicas that are Dead
//   qdrant.consensus_stopped  per node: its consensus thread ended; the cluster: nobody knows a
//   leader qdrant.metric_mismatch    Prometheus says another status than we compute, for more than
//   30 s
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/detect/hysteresis.h"
#include "qdrant/detect/verdict.h"

namespace aeterna::qdrant {

inline constexpr std::string_view kClusterSubject = "qdrant";
// Silence must last this long: one round that timed out may be our own machine's load.
inline constexpr Duration kSilence = 5s;

class Detectors {
  public:
    // Every detector's present finding. By one thread.
    [[nodiscard]] std::vector<engine::Finding> update(const Seen& seen, const Verdict& verdict,
                                                      const engine::JudgeContext& context);

  private:
    struct Kind {
        std::string_view name;
        engine::Severity severity;
        engine::HysteresisSettings settings;
    };
    struct Memory {
        engine::Hysteresis hysteresis;  // of the condition, silence included
        engine::Hysteresis spoken;      // of the condition as servers or kernels told it
        engine::FindingState state = engine::FindingState::kClear;
        WallTime since{};
    };
    struct Evidence {
        std::string subject;
        std::optional<bool> condition;
        bool is_strong = false;
        std::string summary;
        std::vector<std::string> reasons;
        bool is_silence = false;  // the condition rests on silence alone
    };
    void judge(const Kind& kind, Evidence evidence, const engine::JudgeContext& context);
    void judge_node(const std::string& name, const NodeSeen& node, const Verdict& verdict,
                    const engine::JudgeContext& context);
    void judge_consensus(const std::string& name, const NodeSeen& node, Answer answer,
                         const engine::JudgeContext& context);
    void judge_replicas(const std::string& name, const Verdict& verdict,
                        const engine::JudgeContext& context);
    void judge_cluster(const Seen& seen, const Verdict& verdict,
                       const engine::JudgeContext& context);
    void judge_metric(const Seen& seen, const Verdict& verdict,
                      const engine::JudgeContext& context);

    std::map<std::pair<std::string, std::string>, Memory> memory_;  // by detector and subject
    std::vector<engine::Finding> findings_;
};

}  // namespace aeterna::qdrant
