// The Qdrant monitor: ties board, probes, verdict and detectors together, and tells what changed.
#pragma once

#include <set>

#include "qdrant/detect/detectors.h"
#include "qdrant/detect/probes.h"

namespace aeterna::qdrant {

class QdrantMonitor final : public engine::Monitor {
  public:
    // `env` must outlive the monitor.
    QdrantMonitor(SettingsPointer settings, const env::Env& env);

    [[nodiscard]] std::vector<engine::ProbeTask> probes() override;
    [[nodiscard]] engine::Judgement judge(const engine::JudgeContext& context) override;
    [[nodiscard]] std::vector<engine::Reach> reach() override;
    // For tests: what the probes post to.
    [[nodiscard]] Board& board() { return board_; }

  private:
    [[nodiscard]] engine::NodeStatus node_status(const NodeSettings& node, const Seen& seen,
                                                 Answer answer) const;
    [[nodiscard]] std::vector<engine::StoreEvent> events_since(const engine::Judgement& judgement,
                                                               const Verdict& verdict, WallTime at);

    SettingsPointer settings_;
    const env::Env& env_;
    Board board_;
    std::map<std::string, std::string> urls_;
    Detectors detectors_;
    std::set<std::string> down_;
    std::set<std::string> dead_replicas_;
    std::optional<Color> last_color_;
    MonoTime trusted_since_{};  // the end of our own last stall
};

}  // namespace aeterna::qdrant
