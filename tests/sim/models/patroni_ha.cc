// What the agent decides: ha.py's run_cycle and its parts, in the same order and under the same
// names.
#include <fmt/format.h>

#include <algorithm>

#include "models/patroni.h"

namespace aeterna::sim::models {
namespace {

constexpr Duration kPeerTimeout = std::chrono::seconds(2);

}  // namespace

// A stopped PostgreSQL answers no query: the loop hangs in it.
void Patroni::wait_for_postgres() {
    while (process_->is_alive() && postgres_.is_running() && postgres_.process()->is_stopped()) {
        static_cast<void>(pause_for(100ms));
    }
}

bool Patroni::run_cycle() {
    Process* const process = process_;
    load_view();
    const bool is_member = std::any_of(view_.members.begin(), view_.members.end(),
                                       [&](const auto& member) { return member.name == name(); });
    if (!is_member) touch_member();
    if (!process->is_alive()) return true;
    bool dcs_ok = true;
    if (is_busy_) {
        // handle_long_action_in_progress
        if (has_lock()) {
            const Lock lock = update_lock();
            if (process->is_alive() && lock == Lock::kDcsError) dcs_ok = false;
        }
    } else {
        if (postgres_.is_running()) {
            wait_for_postgres();
            if (!process->is_alive()) return true;
            load_view();
        }
        const bool was_recovering = std::exchange(is_recovering_, false);
        if (!postgres_.is_running()) {
            if (was_recovering && has_lock()) {
                known_role_ = "replica";
                release_key();  // "removed leader key after trying and failing to start postgres"
            } else {
                dcs_ok = recover();
            }
        } else if (postgres_.is_starting()) {
            dcs_ok = handle_starting();
        } else {
            starting_since_.reset();
            dcs_ok = view_.is_unlocked() ? process_unhealthy() : process_healthy();
        }
    }
    if (!process->is_alive()) return dcs_ok;
    if (!dcs_ok) return handle_dcs_error();
    touch_member();
    return true;
}

bool Patroni::handle_dcs_error() {
    if (settings_->is_paused || !postgres_.is_running() || !postgres_.is_primary()) return false;
    if (settings_->failsafe_mode && all_accept_failsafe()) {
        trace("goes on without the DCS: failsafe mode, all members accept");
        is_leader_ = true;
        failsafe_at_ = world_.now();
        keep_watchdog();
        return false;
    }
    failsafe_at_.reset();
    if (!process_->is_alive() || !postgres_.is_primary()) return false;
    trace("demotes itself because the DCS is not accessible");
    demote(false, false, true);
    return false;
}

bool Patroni::recover() {
    if (settings_->is_paused) {
        if (has_lock()) release_key();
        return true;
    }
    Lock lock = Lock::kLost;
    if (has_lock()) lock = update_lock();
    if (!process_->is_alive()) return true;
    if (lock == Lock::kDcsError) return false;
    load_view();
    const bool leads = has_lock();
    Patroni* const leader = view_.leader.empty() || leads ? nullptr : find(view_.leader);
    trace(leads ? "starts PostgreSQL again because it had the lock"
                : "starts PostgreSQL as a secondary");
    is_recovering_ = true;
    run_async("recover", [this, leader, leads, process = process_] {
        if (postgres_.control() == ControlState::kInProduction) {
            // Crash recovery in single-user mode comes first, so that pg_rewind may run.
            if (!leads && !pause_for(world_.rng().between(300ms, 1500ms))) return;
        }
        if (leader != nullptr && leader->postgres().is_primary() &&
            postgres_.has_diverged_from(leader->postgres())) {
            trace("runs pg_rewind from " + leader->name());
            if (!pause_for(world_.rng().between(500ms, 2s)) || !process->is_alive()) return;
            const bool reaches =
                world_.network.is_open(&postgres_.host(), &leader->postgres().host()) &&
                world_.network.is_open(&leader->postgres().host(), &postgres_.host());
            if (!leader->postgres().is_primary() || !reaches || postgres_.is_running()) return;
            postgres_.rewind_to(leader->postgres());
        }
        if (!postgres_.is_running()) {
            postgres_.follow(leader == nullptr ? nullptr : &leader->postgres());
            postgres_.start(true);
        }
        is_demoted_ = false;
        known_role_ = leads ? "primary" : "replica";
        // follow() waits until PostgreSQL accepts connections or its time is over.
        const MonoTime until = world_.now() + settings_->primary_start_timeout;
        while (postgres_.is_starting() && world_.now() < until && pause_for(100ms)) {
        }
    });
    return true;
}

bool Patroni::handle_starting() {
    if (!starting_since_) starting_since_ = world_.now();
    if (!has_lock()) return true;
    const Lock lock = update_lock();
    if (!process_->is_alive()) return true;
    if (lock == Lock::kDcsError) return false;
    if (lock == Lock::kLost) {
        demote(false, false, false);
        return true;
    }
    const bool is_late = world_.now() - *starting_since_ > settings_->primary_start_timeout;
    if (is_late && is_failover_possible(view_.sync_standbys)) demote(false, true, false);
    return process_manual_failover();
}

bool Patroni::process_unhealthy() {
    if (is_healthiest()) {
        if (!process_->is_alive()) return true;
        const auto acquired = acquire_key();
        if (!acquired) return false;
        if (!process_->is_alive()) return true;
        is_leader_ = *acquired;
        if (!*acquired) {
            lease_refreshed_ = {};
            trace("failed to obtain the lock");
            load_view();
            follow_leader();
            return true;
        }
        trace("acquired the leader lock");
        if (view_.has_failover) put("failover", "{}", false);
        view_.leader = name();
        view_.leader_lease = lease_;
        if (process_->is_alive()) enforce_primary();
        return true;
    }
    if (!process_->is_alive()) return true;
    if (view_.has_failover || nofailover) {
        if (!pause_for(2s)) return true;
    }
    load_view();
    follow_leader();
    return true;
}

bool Patroni::process_healthy() {
    if (!has_lock()) {
        follow_leader();
        return true;
    }
    if (settings_->is_paused && !postgres_.is_primary() && !settings_->is_standby_cluster) {
        release_key();
        return true;
    }
    const Lock lock = update_lock();
    if (!process_->is_alive()) return true;
    if (lock == Lock::kDcsError) return false;
    if (lock == Lock::kHeld) {
        if (!process_manual_failover()) return true;
        if (process_->is_alive() && !is_busy_) enforce_primary();
        return true;
    }
    trace("failed to update the leader lock");
    if (postgres_.is_primary() && !settings_->is_paused) demote(false, false, false);
    return true;
}

void Patroni::enforce_primary() {
    if (settings_->is_standby_cluster) {  // enforce_follow_remote_member
        known_role_ = "replica";
        if (postgres_.upstream() != nullptr) postgres_.follow(nullptr);
        return;
    }
    if (postgres_.is_primary()) {
        known_role_ = "primary";
        process_sync();
        return;
    }
    if (settings_->synchronous_mode) {
        if (!write_sync({})) return;  // "postponing promotion"
        if (!process_->is_alive()) return;
        postgres_.set_sync_names({});
    } else {
        postgres_.set_sync_names({});
    }
    run_async("promote", [this] {
        if (!pause_for(world_.rng().between(80ms, 300ms))) return;
        wait_for_postgres();
        if (!process_->is_alive() || !postgres_.is_running()) return;
        postgres_.promote();
        known_role_ = "primary";
    });
}

void Patroni::follow_leader() {
    const bool leads = postgres_.is_primary();
    if (settings_->is_paused && (view_.is_unlocked() || leads)) return;
    if (leads) {
        trace("demotes itself: no lock");
        demote(false, false, false);
        return;
    }
    known_role_ = "replica";
    Patroni* const leader = view_.leader.empty() || has_lock() ? nullptr : find(view_.leader);
    if (leader == nullptr) return;
    Postgres& upstream = leader->postgres();
    const bool must_rewind = upstream.is_primary() && !upstream.is_starting() &&
                             world_.network.is_open(&postgres_.host(), &upstream.host()) &&
                             postgres_.has_diverged_from(upstream);
    if (must_rewind) {
        run_async("rewind", [this, leader] {
            postgres_.stop_fast();
            trace("runs pg_rewind from " + leader->name());
            if (!pause_for(world_.rng().between(500ms, 2s)) || !leader->postgres().is_primary())
                return;
            postgres_.rewind_to(leader->postgres());
            postgres_.follow(&leader->postgres());
            postgres_.start(true);
        });
        return;
    }
    if (postgres_.upstream() != &upstream) postgres_.follow(&upstream);
}

void Patroni::release_key() {
    if (!has_lock()) return;
    const std::string key = settings_->prefix + "leader";
    static_cast<void>(etcd_.commit<bool>(
        *process_, dcs_context(),
        [key, revision = view_.leader_revision, owner = name()](EtcdStore& store) {
            const EtcdKey* present = store.find(key);
            const bool is_ours = present != nullptr && present->value == owner &&
                                 (revision == 0 || present->mod_revision == revision);
            return is_ours && store.remove(key) > 0;
        }));
    is_leader_ = false;
}

void Patroni::demote(bool graceful, bool release, bool offline) {
    Process* const process = process_;
    if (graceful || offline) {
        if (!pause_for(world_.rng().between(50ms, 400ms))) return;  // the shutdown checkpoint
        wait_for_postgres();
        if (!process->is_alive()) return;
        postgres_.stop_fast();
    } else {
        postgres_.stop_immediate();
    }
    disarm_watchdog();
    is_demoted_ = true;
    known_role_ = "replica";
    is_leader_ = false;
    postgres_.set_sync_names({});
    if (release) {
        release_key();
        if (!process->is_alive() || !pause_for(2s)) return;
    }
    load_view();
    Patroni* const leader =
        offline || view_.leader.empty() || has_lock() ? nullptr : find(view_.leader);
    // Where a rewind is needed the next loop's recover() does it before the start.
    const bool must_rewind = leader != nullptr && leader->postgres().is_primary() &&
                             postgres_.has_diverged_from(leader->postgres());
    if (must_rewind) return;
    postgres_.follow(leader == nullptr ? nullptr : &leader->postgres());
    if (!postgres_.is_running()) postgres_.start(true);
}

// True: nothing was begun, the cycle goes on.
bool Patroni::process_manual_failover() {
    if (!view_.has_failover || view_.is_failover_planned) return true;
    const bool is_ours = view_.failover_leader.empty() || view_.failover_leader == name();
    if (is_ours && view_.failover_candidate != name()) {
        std::vector<std::string> names;
        for (const auto& member : view_.members) {
            const bool fits =
                view_.failover_candidate.empty() || member.name == view_.failover_candidate;
            const bool is_sync = !settings_->synchronous_mode || view_.sync_matches(member.name);
            if (fits && is_sync) names.push_back(member.name);
        }
        if (is_failover_possible(names)) {
            trace("manual failover: demotes itself");
            run_async("manual failover", [this] { demote(true, true, false); });
            return false;
        }
    }
    if (process_->is_alive()) put("failover", "{}", false);
    return true;
}

// --- Synchronous mode ----------------------------------------------------------------------------

std::vector<std::string> Patroni::pick_sync() const {
    // The present one stays as long as it streams; else the first that does.
    const auto standbys = postgres_.standbys();
    for (const std::string& present : view_.sync_standbys) {
        for (const auto& standby : standbys) {
            if (standby.name == present) return {present};
        }
    }
    for (const auto& standby : standbys) {
        const Patroni* peer = find(standby.name);
        if (peer != nullptr && !peer->nofailover) return {standby.name};
    }
    return {};
}

bool Patroni::write_sync(const std::vector<std::string>& standbys) {
    const std::string standby = standbys.empty() ? "null" : "\"" + standbys.front() + "\"";
    const std::string value =
        fmt::format(R"({{"leader":"{}","sync_standby":{}}})", name(), standby);
    const std::string path = settings_->prefix + "sync";
    const auto written = etcd_.commit<std::int64_t>(
        *process_, dcs_context(), [path, value, expected = view_.sync_revision](EtcdStore& store) {
            const EtcdKey* present = store.find(path);
            if ((present == nullptr ? 0 : present->mod_revision) != expected)
                return std::int64_t{-1};
            store.put(path, value, 0);
            return store.revision;
        });
    if (!written || *written < 0) {
        trace("the sync key was updated by someone else");
        return false;
    }
    view_.sync_revision = *written;
    view_.sync_leader = name();
    view_.sync_standbys = standbys;
    return true;
}

void Patroni::process_sync() {
    if (!settings_->synchronous_mode) return postgres_.set_sync_names({});
    const std::vector<std::string> current =
        view_.sync_leader == name() ? view_.sync_standbys : std::vector<std::string>();
    std::vector<std::string> picked = pick_sync();
    if (picked == current && view_.sync_leader == name()) return postgres_.set_sync_names(picked);
    // Out of the key first, then out of the configuration; in the other order for the new one.
    if (!current.empty() || view_.sync_leader != name()) {
        if (!write_sync({}) || !process_->is_alive()) return;
    }
    postgres_.set_sync_names(picked);
    if (picked.empty() || !pause_for(50ms)) return;
    const auto standbys = postgres_.standbys();
    const bool is_in_sync = std::any_of(standbys.begin(), standbys.end(), [&](const auto& standby) {
        return standby.name == picked.front() && standby.is_sync;
    });
    // Up to date with the primary, or the key would promise more than is there (current_state,
    // sync.py).
    Patroni* const peer = find(picked.front());
    if (is_in_sync && peer->postgres().lsn() >= postgres_.lsn())
        static_cast<void>(write_sync(picked));
}

// --- The leader race -----------------------------------------------------------------------------

Patroni::PeerStatus Patroni::status() const {
    PeerStatus status;
    status.name = name();
    status.is_healthy = postgres_.is_running() && !postgres_.is_starting() && !nofailover;
    status.in_recovery = !postgres_.is_primary();
    status.lsn = postgres_.lsn();
    status.timeline = postgres_.timeline();
    return status;
}

// fetch_nodes_statuses: all at the same time.
std::vector<Patroni::PeerStatus> Patroni::ask_peers(const std::vector<std::string>& names) {
    struct Round {
        std::vector<PeerStatus> answers;
        std::size_t left = 0;
        FiberRef waiter;
    };
    auto round = std::make_shared<Round>();
    for (const std::string& wanted : names) {
        Patroni* peer = wanted == name() ? nullptr : find(wanted);
        if (peer == nullptr) continue;
        ++round->left;
        world_.scheduler.spawn(
            process_, "ask a peer",
            [this, peer, round] {
                auto answer = world_.network.call<PeerStatus>(
                    *process_, peer->rest_, {world_.now() + kPeerTimeout, {}, ""},
                    {false, "peer", "a peer's REST"},
                    [peer](Network::Listener&, const Promise<PeerStatus>& promise) {
                        const bool hangs =
                            peer->postgres_.is_running() && peer->postgres_.process()->is_stopped();
                        if (!hangs) promise.send(peer->status());
                    });
                if (answer) round->answers.push_back(*answer);
            },
            [this, round] {
                if (--round->left == 0) world_.scheduler.unpark(round->waiter);
            });
    }
    while (round->left > 0) {
        round->waiter = world_.scheduler.next_parking();
        static_cast<void>(world_.scheduler.park(MonoTime::max(), {}, "its peers"));
    }
    return std::move(round->answers);
}

bool Patroni::is_failover_possible(const std::vector<std::string>& names) {
    for (const PeerStatus& peer : ask_peers(names)) {
        if (peer.is_healthy && view_.optime - peer.lsn <= settings_->maximum_lag_on_failover)
            return true;
    }
    return false;
}

bool Patroni::is_healthiest() {
    if (postgres_.is_starting()) return false;
    if (postgres_.is_primary()) return true;
    if (settings_->is_paused && !view_.has_failover) return false;
    if (nofailover) return false;
    std::vector<std::string> names = old_members_;
    for (const auto& member : view_.members) {
        if (std::find(names.begin(), names.end(), member.name) == names.end())
            names.push_back(member.name);
    }
    if (view_.has_failover) {
        if (settings_->synchronous_mode && !view_.failover_leader.empty() &&
            !view_.sync_matches(name()))
            return false;
        if (view_.failover_candidate == name()) return true;
        if (settings_->is_paused) return false;
        if (settings_->synchronous_mode && !view_.sync_matches(name())) return false;
        if (!view_.failover_candidate.empty()) {
            const auto asked = ask_peers({view_.failover_candidate});
            if (!asked.empty() && asked.front().is_healthy) return false;
        }
        std::erase(names, view_.failover_leader);
        return is_healthiest_among(names, false);
    }
    if (settings_->synchronous_mode && view_.has_sync) {
        if (!view_.sync_matches(name())) return false;
        std::erase_if(names, [&](const std::string& other) { return !view_.sync_matches(other); });
    }
    return is_healthiest_among(names, true);
}

bool Patroni::is_healthiest_among(const std::vector<std::string>& names, bool check_lag) {
    const std::int64_t mine = postgres_.lsn();
    if (check_lag && view_.optime - mine > settings_->maximum_lag_on_failover) return false;
    for (const PeerStatus& peer : ask_peers(names)) {
        if (!peer.is_healthy) continue;
        if (!peer.in_recovery) {
            trace("does not run for leader: " + peer.name + " is still a primary");
            return false;
        }
        const bool is_former_leader = settings_->synchronous_mode && peer.name == view_.sync_leader;
        if (mine < peer.lsn && !is_former_leader) return false;
    }
    return true;
}

}  // namespace aeterna::sim::models
