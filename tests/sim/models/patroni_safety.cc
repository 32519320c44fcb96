// What keeps a cluster safe beside the leader key: failsafe mode and the watchdog (ha.py of 3.0.2: Failsafe,
// check_failsafe_topology, _handle_dcs_error; watchdog/base.py: safety_margin 5).
#include <fmt/format.h>

#include "models/patroni.h"

namespace aeterna::sim::models {
namespace {

constexpr Duration kFailsafeTimeout = std::chrono::seconds(2);
constexpr Duration kSafetyMargin = std::chrono::seconds(5);

}  // namespace

bool Patroni::is_failsafe_active() const {
    return settings_->failsafe_mode && failsafe_at_ && world_.now() - *failsafe_at_ < settings_->ttl;
}

bool Patroni::accept_failsafe(const std::string& leader) {
    if (postgres_.is_primary() && !postgres_.is_starting()) return false;
    failsafe_at_ = world_.now();
    failsafe_leader_ = leader;
    return true;
}

// One after the other, where Patroni asks all at once: the same answer, later.
bool Patroni::all_accept_failsafe() {
    for (Patroni* peer : peers_) {
        if (peer == this) continue;
        const auto accepted = world_.network.call<bool>(
            *process_, peer->rest_, {world_.now() + kFailsafeTimeout, {}, ""},
            {false, "failsafe", "a peer's word on failsafe mode"},
            [peer, leader = name()](Network::Listener&, const Promise<bool>& promise) {
                promise.send(peer->accept_failsafe(leader));
            });
        if (!accepted || !*accepted || !process_->is_alive()) return false;
    }
    return true;
}

// update_cluster: while it says so, the leader without a key is the leader.
void Patroni::follow_failsafe() {
    const bool is_told = is_failsafe_active() && !failsafe_leader_.empty() && failsafe_leader_ != name();
    if (view_.is_unlocked() && is_told && !postgres_.is_primary()) view_.leader = failsafe_leader_;
}

void Patroni::keep_watchdog() {
    if (!settings_->has_watchdog) return;
    if (!is_watchdog_armed_) {
        is_watchdog_armed_ = true;
        write_watchdog();
    }
    world_.scheduler.after(settings_->ttl - kSafetyMargin, [this, kept = ++watchdog_kept_] {
        if (kept != watchdog_kept_ || !is_watchdog_armed_) return;
        trace("its watchdog resets the host");
        disarm_watchdog();
        if (on_watchdog) on_watchdog();
    });
}

void Patroni::disarm_watchdog() {
    if (!is_watchdog_armed_) return;
    is_watchdog_armed_ = false;
    write_watchdog();
}

void Patroni::write_watchdog() const {
    const std::string device = "/sys/class/watchdog/" + postgres_.host().name;
    world_.disk.make_directories(device, 0755);
    if (Result<Disk::Node*> node = world_.disk.make(device + "/state")) {
        (*node)->content = (*node)->durable = is_watchdog_armed_ ? "active\n" : "inactive\n";
    }
}

}  // namespace aeterna::sim::models
