// PostgresMonitor: probes, board, detectors and events of one cluster behind engine::Monitor.
#pragma once

#include <memory>

#include "engine/detect/monitor.h"
#include "postgres/detect/board.h"
#include "postgres/detect/detector.h"
#include "postgres/detect/events.h"

namespace aeterna::postgres {

class PostgresMonitor final : public engine::Monitor {
  public:
    // `settings` and `env` must outlive it.
    PostgresMonitor(const Settings& settings, const env::Env& env);
    [[nodiscard]] std::vector<engine::ProbeTask> probes() override;
    [[nodiscard]] engine::Judgement judge(const engine::JudgeContext& context) override;
    [[nodiscard]] std::vector<engine::Reach> reach() override;

    [[nodiscard]] Board& board() { return *board_; }
    // What was seen, for the steps of this process: they know then how long a silence has lasted.
    [[nodiscard]] std::shared_ptr<const Board> share_board() const { return board_; }

  private:
    // Looks begun before count for nothing from now on.
    void trust_from(MonoTime now);
    void add_reach(const Snapshot& seen, std::vector<engine::Reach>& all) const;
    [[nodiscard]] World look_at(const engine::JudgeContext& context) const;

    const Settings& settings_;
    const env::Env& env_;
    std::shared_ptr<Board> board_;
    Detectors detectors_;
    Changes changes_;
    MonoTime valid_from_{};
    bool was_cut_off_ = false;
};

}  // namespace aeterna::postgres
