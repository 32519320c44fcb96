// DeathLook: asks everybody what judge_death wants to know; remembers since when the master is
// silent to us.
#pragma once

#include <optional>

#include "redis/steps/assist.h"
#include "redis/steps/death_proof.h"

namespace aeterna::redis {

// For a proof: silence needs 5 s, and each look at a silent server takes a while.
inline constexpr Duration kProofBudget = std::chrono::seconds(12);
inline constexpr Duration kProofInterval = std::chrono::milliseconds(50);

class DeathLook {
  public:
    DeathLook(Acting& acting, const RedisNode& master) : acting_(acting), master_(master) {}
    [[nodiscard]] DeathInput take(const env::Context& context);

  private:
    Acting& acting_;
    const RedisNode& master_;
    std::optional<MonoTime> silent_since_;
};

// True when nobody may act against `node` any more: it answers as a master that lost nothing, there was no time left to ask
// it, or it is silent and the proof is not of this moment (a resumed run): silence has to last and to be seen by others
// again. One look, or up to 12 s of them.
[[nodiscard]] bool is_alive_again(Acting& acting, const RedisNode& node, const Json& facts,
                                  const env::Context& context);

}  // namespace aeterna::redis
