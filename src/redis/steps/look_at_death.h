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
    // `facts` of the execution: whether the master has been found empty.
    DeathLook(Acting& acting, const RedisNode& master, const Json& facts)
        : acting_(acting), master_(master), lost_history_(lost_history(facts)) {}
    [[nodiscard]] DeathInput take(const env::Context& context);

  private:
    [[nodiscard]] static std::string lost_history(const Json& facts);

    Acting& acting_;
    const RedisNode& master_;
    std::string lost_history_;
    std::optional<MonoTime> silent_since_;
};

// The leave to act against `node`, and until when it holds: what is not sent by then has to ask again. A fenced node is not
// looked at: it holds until the context's deadline. kGuardRefused, with
// the reason as its message, when nobody may any more: the Sentinels have replaced it, it answers as a master that lost
// nothing, or that no replica can replace any more, there was no time left to ask it, or it is silent and the proof is not of this moment (it is old, or no other
// vantage misses the master any more) and silence does not last. One look, or up to 12 s of them.
[[nodiscard]] Result<MonoTime> leave_to_act(Acting& acting, const RedisNode& node, const Json& facts,
                                            const env::Context& context);

}  // namespace aeterna::redis
