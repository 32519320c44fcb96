#include "harness/plots.h"

#include <array>

namespace aeterna::sim {
namespace {

constexpr Duration kLoss = std::chrono::seconds(13);  // when the primary is lost: what it needs has begun by then

// What the plots are made of.
class Plot {
  public:
    Plot(Rng& rng, Schedule& schedule) : rng_(rng), schedule_(schedule), loss_(kLoss + rng.between(0ms, 2s)) {}

    [[nodiscard]] Duration loss() const { return loss_; }
    void postpone(Duration by) { loss_ += by; }
    Fault& add(FaultKind kind, Duration at, Duration lasts, int target = Fault::kLeader) {
        return schedule_.faults.emplace_back(Fault{at, kind, target, lasts});
    }
    // Holds from before the loss until well after it.
    void condition(FaultKind kind, Duration shortest, Duration longest) {
        const Duration before = rng_.between(shortest, longest);
        add(kind, loss_ - before, before + rng_.between(8s, 40s));
    }
    void lose_primary() {
        const std::uint64_t drawn = rng_.below(10);
        if (drawn < 6) add(FaultKind::kKillNode, loss_, rng_.between(3s, 40s));
        else add(FaultKind::kPauseNode, loss_, rng_.between(8s, 40s));
    }
    Rng& rng() { return rng_; }
    Schedule& schedule() { return schedule_; }

  private:
    Rng& rng_;
    Schedule& schedule_;
    Duration loss_;
};

void paused(Plot& plot) {
    plot.condition(FaultKind::kPauseCluster, 3s, 8s);
    plot.lose_primary();
}

void failover_asked(Plot& plot) {
    plot.condition(FaultKind::kAskFailover, 1600ms, 5s);
    plot.lose_primary();
}

void wrong_sync_key(Plot& plot) {
    plot.schedule().patroni.synchronous_mode = true;
    plot.condition(FaultKind::kWrongSyncKey, 1600ms, 5s);
    plot.lose_primary();
}

void maintenance(Plot& plot) {
    if (plot.rng().chance(0.4)) {  // opened while the one that had begun is dead
        plot.schedule().crash_at_write = 4 + static_cast<int>(plot.rng().below(12));
        plot.schedule().restart_after = 4s;
        plot.lose_primary();
        plot.add(FaultKind::kMaintenance, plot.loss() + plot.rng().between(1s, 4s), 40s);
        return;
    }
    plot.condition(FaultKind::kMaintenance, 7s, 10s);
    plot.lose_primary();
}

// Only we don't hear it.
void unheard(Plot& plot) { plot.add(FaultKind::kCutPath, plot.loss(), plot.rng().between(8s, 40s)); }

// Only we don't hear it, and it has crashed and come back meanwhile, which its replicas find out five seconds after the crash.
void restarted_unheard(Plot& plot) {
    plot.schedule().slowest_recovery = 1s;
    plot.add(FaultKind::kCutPath, plot.loss(), plot.rng().between(8s, 40s));
    plot.add(FaultKind::kKillPostgres, plot.loss() + plot.rng().between(300ms, 3s), 1s, Fault::kSame);
}

// Its host says that nothing of it runs, and that is not so.
void lost_pid_files(Plot& plot) {
    plot.add(FaultKind::kLosePidFiles, plot.loss() - 500ms, 1s);
    plot.add(FaultKind::kPauseNode, plot.loss(), plot.rng().between(8s, 30s));
}

// etcd comes back a moment ago, and the leader dies: its members still say that failsafe mode is active.
void failsafe(Plot& plot) {
    plot.schedule().patroni.failsafe_mode = true;
    const Duration lasts = plot.rng().between(16s, 26s);
    plot.add(FaultKind::kKillEtcdMajority, 5s, lasts);
    plot.postpone(5s + lasts - plot.loss() + plot.rng().between(3s, 12s));
    plot.lose_primary();
}

void watchdog(Plot& plot) {
    plot.schedule().patroni.has_watchdog = true;
    plot.lose_primary();
}

void standby_cluster(Plot& plot) {
    plot.schedule().patroni.is_standby_cluster = true;
    plot.schedule().patroni.synchronous_mode = false;
    plot.lose_primary();
}

// Nobody could be promoted instead.
void alone(Plot& plot) {
    constexpr std::array kinds = {FaultKind::kKillAgent, FaultKind::kPausePostgres, FaultKind::kKillNode};
    const Duration before = plot.rng().between(3s, 6s);
    const Duration lasts = before + plot.rng().between(8s, 30s);
    plot.add(kinds[plot.rng().below(kinds.size())], plot.loss() - before, lasts, Fault::kFirstOther);
    plot.add(kinds[plot.rng().below(kinds.size())], plot.loss() - before, lasts, Fault::kSecondOther);
    plot.lose_primary();
}

// maximum_lag_on_failover: -1 makes every replica unfit, as on real servers.
void unfit(Plot& plot) {
    plot.schedule().patroni.maximum_lag_on_failover = -1;
    plot.add(FaultKind::kKillNode, plot.loss(), plot.rng().between(3s, 15s));
}

// The same two nodes fail in turn.
void flapping(Plot& plot) {
    plot.schedule().crash_at_write = 0;
    for (int i = 0; i < 4; ++i)
        plot.add(FaultKind::kKillNode, plot.loss() + i * 15s, plot.rng().between(1s, 2s));
}

void slow_recovery(Plot& plot) {
    plot.schedule().slowest_recovery = 100s;
    plot.add(FaultKind::kKillPostgres, plot.loss(), 2s);
}

// Whoever goes on after a pause finds another world: the node was started in spite of everything, or is back.
void interrupted(Plot& plot) {
    Schedule& schedule = plot.schedule();
    const bool by_force = plot.rng().chance(0.5);
    plot.add(FaultKind::kKillNode, plot.loss(), by_force ? 40s : plot.rng().between(1s, 6s));
    if (by_force) plot.add(FaultKind::kStartByForce, plot.loss() + plot.rng().between(1200ms, 5s), 1s, Fault::kSame);
    schedule.crash_at_write = 6 + static_cast<int>(plot.rng().below(16));
    schedule.restart_after = plot.rng().between(2s, 8s);
}

// A stall, not a loss.
void short_stall(Plot& plot) { plot.add(FaultKind::kPauseNode, plot.loss(), plot.rng().between(2s, 5500ms)); }

// A server that works, without its agent, which cannot be started or, where the cluster is paused, must not be.
void agent_lost(Plot& plot) {
    if (plot.rng().chance(0.5)) {
        plot.condition(FaultKind::kPauseCluster, 3s, 8s);
        plot.add(FaultKind::kKillAgent, plot.loss(), plot.rng().between(10s, 40s));
    } else {
        plot.add(FaultKind::kBreakAgent, plot.loss(), plot.rng().between(15s, 60s));
    }
}

// And how long its lease still lasts cannot be read at first.
void lease_unknown(Plot& plot) {
    plot.add(FaultKind::kHideLeases, plot.loss() - 1s, plot.rng().between(2s, 7s));
    plot.add(FaultKind::kBreakAgent, plot.loss(), plot.rng().between(15s, 60s));
}

// A person takes the lock from its holder, who waits; another one has it then.
void lock_dropped(Plot& plot) {
    Schedule& schedule = plot.schedule();
    schedule.controllers = 2;
    schedule.crash_at_write = schedule.stall_at_write = 0;
    // Long enough for the holder to notice before it acts.
    schedule.patroni.ttl = 30s;
    schedule.patroni.loop_wait = 10s;
    plot.add(FaultKind::kBreakAgent, plot.loss(), plot.rng().between(30s, 60s));
    plot.add(FaultKind::kDropLock, plot.loss() + plot.rng().between(3s, 4s), 1s);
}

void frozen(Plot& plot) { plot.add(FaultKind::kFreezePostgres, plot.loss(), plot.rng().between(8s, 40s)); }

// The controller's machine is suspended while it acts, and wakes up in another world.
void stopped(Plot& plot) {
    Schedule& schedule = plot.schedule();
    if (plot.rng().chance(0.5)) plot.add(FaultKind::kKillNode, plot.loss(), plot.rng().between(2s, 8s));
    else plot.lose_primary();
    schedule.stall_at_write = 2 + static_cast<int>(plot.rng().below(24));
    schedule.stall_for = plot.rng().between(14s, 40s);
}

// Somebody says yes while whoever proposes stands still, and the primary is back before he goes on.
void late_yes(Plot& plot) {
    Schedule& schedule = plot.schedule();
    schedule.assist = "propose";
    schedule.approves_after = plot.rng().between(100ms, 4s);
    plot.add(FaultKind::kPauseNode, plot.loss(), plot.rng().between(7s, 9s));
    schedule.stall_at_write = 7 + static_cast<int>(plot.rng().below(3));
    schedule.stall_for = plot.rng().between(6s, 16s);
}

// The disk stands still under the marker, and the primary is back before it is written.
void slow_marker(Plot& plot) {
    plot.schedule().slow_marker_number = 1 + static_cast<int>(plot.rng().below(2));
    if (plot.rng().chance(0.3)) plot.add(FaultKind::kStopController, plot.loss() + plot.rng().between(6s, 24s), 1s);
    if (plot.rng().chance(0.2)) {  // of a server that works, without its agent
        plot.add(FaultKind::kBreakAgent, plot.loss(), plot.rng().between(15s, 60s));
        plot.schedule().slow_marker = plot.rng().between(2s, 12s);
        return;
    }
    if (plot.rng().chance(0.5)) {  // started again, behind a look that is young enough
        plot.add(FaultKind::kKillNode, plot.loss(), plot.rng().between(1200ms, 3s));
        plot.schedule().slow_marker = plot.rng().between(1s, 3s);
        return;
    }
    plot.add(FaultKind::kPauseNode, plot.loss(), plot.rng().between(7s, 9s));
    plot.schedule().slow_marker = plot.rng().between(2s, 12s);
}

// It is the controller that hears nobody.
void cut_off(Plot& plot) {
    plot.add(FaultKind::kPauseNode, plot.loss(), plot.rng().between(15s, 40s));
    plot.add(FaultKind::kCutController, plot.loss() + plot.rng().between(0ms, 4s), plot.rng().between(8s, 30s));
}

// etcd loses its quorum while the loss is being proven.
void etcd_lost(Plot& plot) {
    plot.add(FaultKind::kPauseNode, plot.loss(), plot.rng().between(15s, 40s));
    plot.add(FaultKind::kKillEtcdMajority, plot.loss() + plot.rng().between(4800ms, 6200ms),
             plot.rng().between(8s, 20s));
}

void two_controllers(Plot& plot) {
    plot.schedule().controllers = 2;
    plot.lose_primary();
}

// Nothing would keep the first primary from being started again.
void unfenceable(Plot& plot) {
    plot.schedule().unfenceable = 0;
    plot.lose_primary();
}

// What Patroni is told to do cannot be read: it goes on with what it knew.
void spoilt_configuration(Plot& plot) {
    plot.condition(FaultKind::kSpoilConfig, 3s, 6s);
    plot.lose_primary();
}

struct Choice {
    const char* name;
    int weight;
    void (*draw)(Plot& plot);
};
constexpr std::array kChoices = {Choice{"paused", 4, paused},
                                 Choice{"failover asked", 5, failover_asked},
                                 Choice{"wrong sync key", 5, wrong_sync_key},
                                 Choice{"maintenance", 4, maintenance},
                                 Choice{"unheard", 5, unheard},
                                 Choice{"restarted unheard", 3, restarted_unheard},
                                 Choice{"lost pid files", 4, lost_pid_files},
                                 Choice{"failsafe", 5, failsafe},
                                 Choice{"watchdog", 4, watchdog},
                                 Choice{"standby cluster", 3, standby_cluster},
                                 Choice{"alone", 5, alone},
                                 Choice{"unfit", 3, unfit},
                                 Choice{"flapping", 4, flapping},
                                 Choice{"slow recovery", 3, slow_recovery},
                                 Choice{"short stall", 4, short_stall},
                                 Choice{"agent lost", 4, agent_lost},
                                 Choice{"lease unknown", 3, lease_unknown},
                                 Choice{"lock dropped", 3, lock_dropped},
                                 Choice{"frozen", 3, frozen},
                                 Choice{"stopped", 6, stopped},
                                 Choice{"late yes", 4, late_yes},
                                 Choice{"slow marker", 4, slow_marker},
                                 Choice{"cut off", 3, cut_off},
                                 Choice{"etcd lost", 3, etcd_lost},
                                 Choice{"two controllers", 3, two_controllers},
                                 Choice{"unfenceable", 3, unfenceable},
                                 Choice{"spoilt configuration", 3, spoilt_configuration},
                                 Choice{"interrupted", 8, interrupted}};

}  // namespace

void draw_plot(Rng& rng, Schedule& schedule) {
    int total = 0;
    for (const Choice& choice : kChoices) total += choice.weight;
    int drawn = static_cast<int>(rng.below(static_cast<std::uint64_t>(total)));
    const Choice* chosen = kChoices.data();
    for (const Choice& choice : kChoices) {
        chosen = &choice;
        if ((drawn -= choice.weight) < 0) break;
    }
    schedule.plot = chosen->name;
    Plot plot(rng, schedule);
    chosen->draw(plot);
}

}  // namespace aeterna::sim
