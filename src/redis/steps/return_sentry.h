// ReturnSentry: sets a return guard for every node that is away while another one is the master. Whoever promoted that
// one (an execution that died meanwhile, Sentinel by itself, a person), a returned old master acknowledges writes until
// Sentinel turns it, 8 s later and more, and its resync loses them all (baselines: about 3,000). And for one whose fence a
// person has lifted, or whom an execution of a serve that died had replaced, if it comes back as a second master: Sentinels
// that were told anew do not know it any more, and nobody has met it.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/sentry.h"
#include "redis/steps/return_guard.h"

namespace aeterna::redis {

class ReturnSentry final : public engine::Sentry {
  public:
    ReturnSentry(SettingsPointer settings, const env::Env& env, std::shared_ptr<ReturnGuards> guards,
                 std::string state_directory)
        : settings_(std::move(settings)), env_(env), guards_(std::move(guards)),
          state_directory_(std::move(state_directory)) {}

    void take_over(const engine::ExecutionRecord& unfinished) override;
    void look(const engine::StoreStatus& status, bool may_act) override;
    [[nodiscard]] std::vector<engine::StoreEvent> take_events() override;

  private:
    struct Post {
        std::shared_ptr<ReturnGuard> guard;
        bool is_held = false, is_demoted = false;  // told of already
    };
    [[nodiscard]] std::string find_leader(const engine::StoreStatus& status) const;
    void guard(const std::string& node, const std::string& leader);
    void tell(const std::string& kind, const std::string& node, const std::string& detail);
    void tell_news(const std::string& node, Post& post);
    void stand_down();

    SettingsPointer settings_;
    const env::Env& env_;
    std::shared_ptr<ReturnGuards> guards_;
    std::string state_directory_;
    std::map<std::string, Post> posts_;  // by node
    std::set<std::string> returned_;     // met, and not yet seen to be there
    std::set<std::string> let_go_;       // fenced, or replaced by whoever died, and not yet seen to follow, or lead, since
    std::vector<engine::StoreEvent> events_;
};

}  // namespace aeterna::redis
