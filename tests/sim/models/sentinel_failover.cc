// A failover by one Sentinel: sentinelFailoverStateMachine().
#include <fmt/format.h>

#include <algorithm>

#include "models/sentinel.h"

namespace aeterna::sim::models {
namespace {

constexpr Duration kElectionTime = std::chrono::seconds(10);

}  // namespace

void Sentinel::begin_failover(MonoTime now, bool is_forced) {
    state_ = State::kWaitStart;
    is_forced_ = is_forced;
    failover_epoch_ = ++epoch_;
    attempt_at_ = now + world_.rng().between(0ms, 1000ms);
    state_since_ = now;
    publish("+new-epoch", std::to_string(epoch_));
    publish("+try-failover", instance(*master_));
}

void Sentinel::fail_over_by_hand() {
    if (is_responsive() && master_ != nullptr && state_ == State::kNone) begin_failover(world_.now(), true);
}

void Sentinel::abort_failover(const char* why) {
    publish(why, instance(*master_));
    state_ = State::kNone;
    promoted_ = nullptr;
}

int Sentinel::vote(Sentinel& candidate, std::int64_t epoch) {
    epoch_ = std::max(epoch_, epoch);
    if (epoch > voted_epoch_) {
        voted_epoch_ = epoch;
        voted_for_ = &candidate;
        // Who has voted for another one lets it try first.
        if (&candidate != this) attempt_at_ = world_.now() + world_.rng().between(0ms, 1000ms);
    }
    return voted_epoch_ == epoch && voted_for_ == &candidate ? 1 : 0;
}

bool Sentinel::is_elected() {
    std::size_t votes = static_cast<std::size_t>(vote(*this, failover_epoch_));
    for (Sentinel* peer : peers) {
        if (hears(*peer) && peer->master_ != nullptr)
            votes += static_cast<std::size_t>(peer->vote(*this, failover_epoch_));
    }
    return votes >= std::max(kQuorum, (peers.size() + 1) / 2 + 1);
}

Redis* Sentinel::select(MonoTime now) const {
    Redis* best = nullptr;
    const Duration allowed = (down_since_ == MonoTime{} ? Duration() : now - down_since_) + 10 * kDownAfter;
    for (Redis* server : servers_) {
        const Seen& seen = seen_.at(server);
        if (server == master_ || !seen.is_known || seen.is_master || now - seen.pong > 5 * kPing) continue;
        if (!hears(*server) || server->priority() == 0 || server->link_down_for() > allowed) continue;
        const auto rank = [](const Redis& one) { return std::tuple(one.priority(), -one.offset(), one.run_id()); };
        if (best == nullptr || rank(*server) < rank(*best)) best = server;
    }
    return best;
}

void Sentinel::fail_over(MonoTime now) {
    switch (state_) {
        case State::kNone: return;
        case State::kWaitStart:
            if (!is_forced_ && !is_elected()) {
                if (now - state_since_ > kElectionTime) abort_failover("-failover-abort-not-elected");
                return;
            }
            publish("+elected-leader", instance(*master_));
            state_ = State::kSelect;
            state_since_ = now;
            return;
        case State::kSelect:
            promoted_ = select(now);
            if (promoted_ == nullptr) return abort_failover("-failover-abort-no-good-slave");
            publish("+selected-slave", instance(*promoted_));
            if (on_select) on_select(*this, *promoted_, is_forced_);
            state_ = State::kWaitPromotion;
            state_since_ = now;
            promoted_->follow(std::nullopt);
            promoted_->rewrite_config();
            return;
        case State::kWaitPromotion:
            if (now - state_since_ > kFailoverTimeout) return abort_failover("-failover-abort-slave-timeout");
            // Seen by the next INFO.
            if (!hears(*promoted_) || !promoted_->is_master() || now - state_since_ < kPing) return;
            config_epoch_ = failover_epoch_;
            publish("+promoted-slave", instance(*promoted_));
            state_ = State::kReconfigure;
            state_since_ = now;
            return;
        case State::kReconfigure: end_failover(); return;
    }
}

// +slave-reconf-*, +failover-end, +switch-master.
void Sentinel::end_failover() {
    Redis& promoted = *promoted_;
    for (Redis* server : servers_) {
        if (server == &promoted || server == master_ || !seen_[server].is_known || !hears(*server)) continue;
        publish("+slave-reconf-sent", instance(*server));
        turn(*server, promoted);
    }
    publish("+failover-end", instance(*master_));
    switch_to(promoted, config_epoch_);
}

}  // namespace aeterna::sim::models
