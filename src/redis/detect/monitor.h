// RedisMonitor: the engine's Monitor for this store: probes, board, detectors, status and transitions.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/detect/monitor.h"
#include "redis/detect/board.h"
#include "redis/detect/detector.h"
#include "redis/detect/master_histories.h"

namespace aeterna::redis {

// What the store looks like by these observations. Pure.
[[nodiscard]] engine::StoreStatus make_status(const Snapshot& snapshot);

class RedisMonitor final : public engine::Monitor {
  public:
    // Tells `histories` whom it hears; may be null.
    RedisMonitor(SettingsPointer settings, const env::Env& env, std::shared_ptr<MasterHistories> histories = nullptr);
    [[nodiscard]] std::vector<engine::ProbeTask> probes() override;
    [[nodiscard]] engine::Judgement judge(const engine::JudgeContext& context) override;
    [[nodiscard]] std::vector<engine::Reach> reach() override;
    // For tests: where observations are posted.
    [[nodiscard]] Board& board() { return board_; }

  private:
    void note_transitions(const Snapshot& snapshot, std::vector<engine::StoreEvent>& events);

    SettingsPointer settings_;
    const env::Env& env_;
    Board board_;
    std::shared_ptr<MasterHistories> histories_;
    std::vector<std::unique_ptr<Detector>> detectors_;
    MonoTime trusted_since_ = MonoTime::min();
    std::optional<std::string> known_master_;
    std::optional<std::string> reported_master_;
    std::map<std::string, bool> is_up_;  // nodes and Sentinels whose state was reported
};

}  // namespace aeterna::redis
