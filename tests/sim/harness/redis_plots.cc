#include "harness/redis_plots.h"

#include <array>

namespace aeterna::sim {
namespace {

constexpr int kMaster = RedisFault::kMaster;
constexpr int kFirstMaster = 0;

// What the plots are made of.
class RedisPlot {
  public:
    RedisPlot(Rng& stream, RedisSchedule& drawn)
        : rng(stream),
          schedule(drawn),
          loss(rng.between(9s, 13s)),
          replica(1 + static_cast<int>(rng.below(2))),
          other(3 - replica) {}

    void add(RedisFaultKind kind, Duration at, Duration lasts, int target = kMaster) {
        schedule.faults.push_back({at, kind, target, lasts});
    }
    void kill_master(Duration shortest = 6s, Duration longest = 40s) {
        add(RedisFaultKind::kKill, loss, rng.between(shortest, longest));
    }
    void lose_master() {
        if (rng.chance(0.6)) kill_master();
        else add(RedisFaultKind::kPause, loss, rng.between(7s, 40s));
    }
    // Nothing else spoils the condition.
    void calm_crew() {
        schedule.crew.controllers = 1;
        schedule.crew.crash = {};
        schedule.unfenceable = -1;
    }

    Rng& rng;
    RedisSchedule& schedule;
    Duration loss;
    int replica, other;  // of the first master
};

// A master without persistence is started again before anybody calls it down.
void empty_master(RedisPlot& plot) {
    plot.schedule.is_persistent = false;
    plot.schedule.supervisor_delay = plot.rng.between(200ms, 3s);
    plot.add(RedisFaultKind::kKill, plot.loss, 1s);
}

// One without AOF comes back with what it saved last, some seconds of rows less than its replicas have; or, shut down
// in order, with all.
void older_copy(RedisPlot& plot) {
    plot.calm_crew();
    if (plot.rng.chance(0.2)) plot.schedule.unfenceable = kFirstMaster;
    plot.schedule.is_persistent = false;
    plot.loss += 12s;
    plot.schedule.save_period = plot.rng.between(7s, 20s);
    plot.schedule.is_saved_at_kill = plot.rng.chance(0.25);
    plot.schedule.supervisor_delay = plot.rng.between(20ms, plot.rng.chance(0.7) ? 300ms : 1500ms);
    plot.add(RedisFaultKind::kKill, plot.loss, 1s);
}

// Nobody has acted until a master without persistence comes back that its replicas have missed for long; one of them
// may have copied its emptiness by then.
void empty_later(RedisPlot& plot) {
    plot.calm_crew();
    plot.schedule.is_persistent = false;
    plot.schedule.supervisor_delay = {};
    const bool is_one_cut = plot.rng.chance(0.5);
    const Duration away = is_one_cut ? plot.rng.between(3s, 8s) : plot.rng.between(12s, 22s);
    if (is_one_cut) plot.add(RedisFaultKind::kCutFromServers, plot.loss + 1s, plot.rng.between(25s, 40s), plot.replica);
    plot.add(RedisFaultKind::kKill, plot.loss, away);
    plot.add(RedisFaultKind::kPauseController, plot.loss - 500ms, away + (is_one_cut ? 7500ms : 500ms));
}

// The controller is suspended when it is about to keep what an emptied master took; its replicas copy that meanwhile.
void stopped_keeping(RedisPlot& plot) {
    plot.calm_crew();
    plot.schedule.is_persistent = false;
    plot.schedule.supervisor_delay = plot.rng.between(20ms, 150ms);
    plot.add(RedisFaultKind::kKill, plot.loss, 1s);
    plot.add(RedisFaultKind::kPauseOrdering, plot.loss - 1s, plot.rng.between(9s, 14s));
}

// The master was started again with all its data and counts from nothing; one replica has copied that, the other one is
// cut off and has more bytes of the history before.
void two_histories(RedisPlot& plot) {
    plot.calm_crew();
    plot.schedule.is_persistent = true;
    plot.schedule.supervisor_delay = plot.rng.between(20ms, 60ms);
    plot.loss += 8s;
    plot.add(RedisFaultKind::kCutFromServers, plot.loss - 100ms, 60s, plot.replica);
    plot.add(RedisFaultKind::kKill, plot.loss, 1s);
    plot.add(RedisFaultKind::kPause, plot.loss + plot.rng.between(7200ms, 8800ms), plot.rng.between(10s, 30s));
}

// It wrote on alone while the Sentinels put another one in its place that was started lately; turned to that one, it has
// more bytes of their history.
void longer_tail(RedisPlot& plot) {
    plot.calm_crew();
    plot.schedule.is_persistent = plot.rng.chance(0.5);
    plot.schedule.supervisor_delay = {};
    plot.loss += 6s;
    plot.add(RedisFaultKind::kKill, plot.loss - 10s, 500ms, plot.replica);
    plot.add(RedisFaultKind::kKill, plot.loss - 9500ms, 500ms, plot.other);
    plot.add(RedisFaultKind::kCutFromServers, plot.loss, plot.rng.between(34s, 40s), kFirstMaster);
}

void unfenceable(RedisPlot& plot) {
    plot.schedule.unfenceable = kFirstMaster;
    plot.lose_master();
}

void sentinels_lost(RedisPlot& plot) {
    plot.add(RedisFaultKind::kKillSentinels, plot.loss - plot.rng.between(1s, 6s), plot.rng.between(20s, 60s),
             plot.replica);
    plot.kill_master(5s);
}

// Nobody is left to confirm that a silent master, which cannot be fenced, is dead.
void silent_unfenceable(RedisPlot& plot) {
    plot.calm_crew();
    plot.schedule.unfenceable = kFirstMaster;
    plot.add(RedisFaultKind::kKillSentinels, plot.loss - plot.rng.between(5s, 8s), 60s, plot.replica);
    plot.add(RedisFaultKind::kPause, plot.loss, plot.rng.between(15s, 40s));
}

// They live, and elect where we cannot see it.
void sentinels_unseen(RedisPlot& plot) {
    plot.calm_crew();
    plot.add(RedisFaultKind::kPauseSentinels, plot.loss - plot.rng.between(5s, 8s), plot.rng.between(20s, 40s),
             plot.replica);
    plot.lose_master();
}

void unheard_by_us(RedisPlot& plot) { plot.add(RedisFaultKind::kCutPath, plot.loss, plot.rng.between(8s, 40s)); }

void short_stall(RedisPlot& plot) { plot.add(RedisFaultKind::kPause, plot.loss, plot.rng.between(500ms, 4800ms)); }

void frozen(RedisPlot& plot) { plot.add(RedisFaultKind::kFreeze, plot.loss, plot.rng.between(8s, 40s)); }

// A person has promoted a replica, and the Sentinels have not turned it yet.
void second_master(RedisPlot& plot) {
    plot.calm_crew();
    plot.add(RedisFaultKind::kPromoteByHand, plot.loss - plot.rng.between(5s, 8s), 1s, plot.replica);
    if (plot.rng.chance(0.3)) {  // and once it is turned, the other one comes back without its data
        plot.schedule.is_persistent = false;
        plot.kill_master(18s, 28s);
    } else {
        plot.lose_master();
    }
}

// A Sentinel was ordered to fail over, and whom it promoted has died at once: it waits for it for 180 s.
void under_way(RedisPlot& plot) {
    plot.calm_crew();
    plot.add(RedisFaultKind::kHalfFailover, plot.loss - plot.rng.between(7s, 8500ms), plot.rng.between(40s, 60s),
             plot.replica);
    plot.lose_master();
}

void tilt(RedisPlot& plot) {
    plot.calm_crew();
    plot.add(RedisFaultKind::kPauseSentinel, plot.loss - 9s, plot.rng.between(2500ms, 3500ms),
             static_cast<int>(plot.rng.below(3)));
    plot.lose_master();
}

// A replica that the other servers do not reach any more has not got the last seconds; we reach it.
void one_behind(RedisPlot& plot) {
    const Duration before = plot.rng.between(3s, 8s);
    plot.add(RedisFaultKind::kCutFromServers, plot.loss - before, before + plot.rng.between(10s, 40s), plot.replica);
    if (plot.rng.chance(0.7))  // and the Sentinel beside it is the only one
        plot.add(RedisFaultKind::kKillSentinels, plot.loss - 2s, plot.rng.between(10s, 40s), plot.replica);
    plot.kill_master();
}

// Its link is quiet for long, or was given up after a minute, and it is all that is left.
void long_lost(RedisPlot& plot) {
    plot.calm_crew();
    plot.loss += plot.rng.chance(0.5) ? 22s : 75s;
    plot.add(RedisFaultKind::kCutFromServers, 4s, plot.loss + 25s, plot.replica);
    plot.add(RedisFaultKind::kKill, plot.loss - 2s, 20s, plot.other);
    plot.kill_master(15s, 25s);
}

// It was told to follow a new master that it does not reach, and is all that is left when that one dies.
void never_linked(RedisPlot& plot) {
    plot.calm_crew();
    plot.add(RedisFaultKind::kCutFromServers, plot.loss - plot.rng.between(3s, 6s), 60s, plot.replica);
    plot.kill_master(45s, 55s);
    plot.add(RedisFaultKind::kKill, plot.loss + plot.rng.between(8s, 14s), 20s);
}

// A Sentinel that was started after the master's death counts from its own start; one replica has missed the last
// minute, and has given its link up only since.
void late_sentinel(RedisPlot& plot) {
    plot.calm_crew();
    plot.loss += 48s;
    plot.add(RedisFaultKind::kCutFromServers, plot.loss - plot.rng.between(51s, 54s), 90s, plot.replica);
    plot.add(RedisFaultKind::kPauseController, plot.loss - 500ms, plot.rng.between(14s, 18s));
    plot.add(RedisFaultKind::kKillSentinel, plot.loss + 9s, plot.rng.between(2500ms, 4s), plot.other);
    plot.kill_master(30s, 40s);
}

// It has just been started without any data, and is all that is left.
void no_copy(RedisPlot& plot) {
    plot.schedule.is_persistent = false;
    plot.schedule.supervisor_delay = {};
    const Duration before = plot.rng.between(1s, 4s);
    plot.add(RedisFaultKind::kKill, plot.loss - before, 500ms, plot.replica);
    if (plot.rng.chance(0.7)) plot.add(RedisFaultKind::kKill, plot.loss - before, 30s, plot.other);
    plot.add(RedisFaultKind::kPause, plot.loss, plot.rng.between(8s, 20s));
}

// The controller's machine is suspended while it acts, and wakes up in another world.
void stood_still(RedisPlot& plot) {
    if (plot.rng.chance(0.5)) plot.schedule.unfenceable = kFirstMaster;
    if (plot.rng.chance(0.3))
        plot.add(RedisFaultKind::kKillSentinels, plot.loss - 5s, plot.rng.between(20s, 60s), plot.replica);
    if (plot.rng.chance(0.5)) plot.add(RedisFaultKind::kPause, plot.loss, plot.rng.between(6s, 12s));
    else plot.kill_master(1s, 50s);
    plot.schedule.crew.crash = {};
    plot.schedule.crew.crash.stall_at_write = 2 + static_cast<int>(plot.rng.below(14));
    plot.schedule.crew.crash.stall_for = plot.rng.chance(0.5) ? plot.rng.between(2s, 15s) : plot.rng.between(32s, 40s);
}

// The disk stands still under the marker, and the master is back before it is written.
void slow_marker(RedisPlot& plot) {
    plot.calm_crew();
    plot.add(RedisFaultKind::kPause, plot.loss, plot.rng.between(6s, 9s));
    plot.schedule.crew.slow_marker = plot.rng.between(2s, 12s);
    if (plot.rng.chance(0.3)) plot.add(RedisFaultKind::kStopController, plot.loss + plot.rng.between(5s, 20s), 1s);
}

// It is suspended right before an order, and wakes up when the master is back.
void stopped_ordering(RedisPlot& plot) {
    plot.schedule.unfenceable = kFirstMaster;
    plot.schedule.crew.crash = {};
    plot.schedule.crew.controllers = 1;
    const bool is_by_few = plot.rng.chance(0.6);
    if (is_by_few) plot.add(RedisFaultKind::kKillSentinels, plot.loss - 5s, plot.rng.between(20s, 60s), plot.replica);
    if (is_by_few && plot.rng.chance(0.5))  // by none: it promotes by hand
        plot.add(RedisFaultKind::kKillSentinel, plot.loss - 4s, plot.rng.between(20s, 60s), plot.replica);
    const Duration lasts = plot.rng.between(2s, 9s);
    if (plot.rng.chance(0.3)) plot.add(RedisFaultKind::kPause, plot.loss, 5s + lasts);
    else plot.add(RedisFaultKind::kKill, plot.loss, lasts);
    plot.add(RedisFaultKind::kPauseOrdering, plot.loss - 1s, lasts + plot.rng.between(8s, 15s));
}

// Whoever goes on after its death finds the master back.
void interrupted(RedisPlot& plot) {
    if (plot.rng.chance(0.5)) plot.schedule.unfenceable = kFirstMaster;
    if (plot.rng.chance(0.4)) plot.add(RedisFaultKind::kPause, plot.loss, plot.rng.between(5500ms, 10s));
    else plot.kill_master(500ms, 6s);
    plot.schedule.crew.crash = {};
    if (plot.rng.chance(0.3))
        plot.add(RedisFaultKind::kKillSentinels, plot.loss - 5s, plot.rng.between(20s, 60s), plot.replica);
    plot.schedule.crew.crash.at_write = 3 + static_cast<int>(plot.rng.below(14));
    plot.schedule.crew.crash.is_durable = plot.rng.chance(0.5);
    plot.schedule.crew.restart_after = plot.rng.between(500ms, 6s);
}

// It stalls, comes back for everybody else, and is out of our sight by then.
void lost_by_us(RedisPlot& plot) {
    plot.calm_crew();
    plot.add(RedisFaultKind::kPause, plot.loss, plot.rng.between(5s, 8s));
    plot.add(RedisFaultKind::kCutPath, plot.loss + plot.rng.between(500ms, 4s), plot.rng.between(15s, 40s));
    plot.schedule.crew.crash.stall_at_write = 3 + static_cast<int>(plot.rng.below(8));
    plot.schedule.crew.crash.stall_for = plot.rng.between(500ms, 2800ms);
}

// The Sentinel that promotes by our order dies before it has told the others, and the old master returns.
void untold(RedisPlot& plot) {
    plot.add(RedisFaultKind::kKillActingSentinel, plot.loss - 1s, plot.rng.between(30s, 60s));
    if (plot.rng.chance(0.5)) plot.schedule.unfenceable = kFirstMaster;
    plot.kill_master(6s, 20s);
}

// All Sentinels were away when a replica was promoted by hand; they come back with the old master, and turn back to it. Where the
// controller stands still meanwhile, they turn the promoted one as well.
void turned_back(RedisPlot& plot) {
    plot.calm_crew();
    plot.schedule.supervisor_delay = {};
    plot.schedule.unfenceable = kFirstMaster;
    const bool stands_still = plot.rng.chance(0.5);
    const Duration away = stands_still ? plot.rng.between(5s, 6s) : plot.rng.between(7s, 12s);
    if (stands_still) plot.add(RedisFaultKind::kPauseController, plot.loss + 4s, plot.rng.between(18s, 24s));
    plot.add(RedisFaultKind::kKillSentinels, plot.loss - 3s, 3s + away, plot.replica);
    plot.add(RedisFaultKind::kKillSentinel, plot.loss - 3s, 3s + away, plot.replica);
    plot.add(RedisFaultKind::kKill, plot.loss, away + plot.rng.between(0ms, 1500ms));
}

// The controller dies with its promotion by hand; when it goes on, the old master serves and the Sentinels name it.
void taken_back(RedisPlot& plot) {
    plot.calm_crew();
    plot.schedule.supervisor_delay = {};
    plot.schedule.unfenceable = kFirstMaster;
    if (plot.rng.chance(0.3)) plot.schedule.is_persistent = false;  // with nothing
    const Duration away = plot.rng.between(4s, 5s);
    plot.add(RedisFaultKind::kKillSentinels, plot.loss - 3s, 3s + away, plot.replica);
    plot.add(RedisFaultKind::kKillSentinel, plot.loss - 3s, 3s + away, plot.replica);
    plot.add(RedisFaultKind::kKill, plot.loss, plot.rng.between(3s, 4s));
    plot.schedule.crew.crash.at_write = 22 + static_cast<int>(plot.rng.below(22));
    plot.schedule.crew.restart_after = plot.rng.between(8500ms, 10500ms);  // before the promoted one is turned
}

// The controller dies when it has promoted by hand, and the old master is back before it is.
void dies_promoting(RedisPlot& plot) {
    plot.calm_crew();
    plot.schedule.supervisor_delay = {};
    plot.schedule.unfenceable = kFirstMaster;
    plot.schedule.has_stubborn_client = true;
    plot.schedule.crew.restart_after = plot.rng.between(500ms, 3s);
    plot.add(RedisFaultKind::kKillSentinels, plot.loss - 3s, 60s, plot.replica);
    plot.add(RedisFaultKind::kKillSentinel, plot.loss - 3s, 60s, plot.replica);
    plot.add(RedisFaultKind::kKillPromoting, plot.loss - 1s, 5s);
    plot.add(RedisFaultKind::kKill, plot.loss, plot.rng.between(1500ms, 4s));
}

// Nobody's fault ends it: the servers do not agree who is master. Then it is reconciled, and something may happen meanwhile.
void divided(RedisPlot& plot) {
    constexpr RedisFaultKind kKinds[] = {RedisFaultKind::kMisleadSentinel, RedisFaultKind::kForgetSecond, RedisFaultKind::kForgetMaster};
    const RedisFaultKind kind = kKinds[plot.rng.below(3)];
    plot.schedule.has_stubborn_client = plot.rng.chance(0.5);
    plot.add(kind, plot.loss, 1s, kind == RedisFaultKind::kMisleadSentinel ? static_cast<int>(plot.rng.below(3)) : plot.replica);
    if (plot.rng.chance(0.4)) return;
    constexpr RedisFaultKind kMeanwhile[] = {RedisFaultKind::kKill, RedisFaultKind::kPause, RedisFaultKind::kKillSentinel,
                                             RedisFaultKind::kPauseSentinel, RedisFaultKind::kCut, RedisFaultKind::kMisleadSentinel};
    plot.add(kMeanwhile[plot.rng.below(6)], plot.loss + plot.rng.between(18s, 32s), plot.rng.between(2s, 40s),
             plot.rng.chance(0.5) ? kMaster : static_cast<int>(plot.rng.below(3)));
}

// It is the controller that hears nobody.
void cut_off(RedisPlot& plot) {
    plot.add(RedisFaultKind::kPause, plot.loss, plot.rng.between(10s, 40s));
    plot.add(RedisFaultKind::kCutController, plot.loss + plot.rng.between(0ms, 6s), plot.rng.between(8s, 30s));
}

// Nobody gives leave, and an old master returns all the same.
void no_leave(RedisPlot& plot) {
    plot.schedule.crew.assist = plot.rng.chance(0.5) ? "propose" : "off";
    plot.kill_master(36s, 50s);
}

struct RedisChoice {
    const char* name;
    void (*draw)(RedisPlot& plot);
};
constexpr std::array kRedisChoices = {RedisChoice{"empty master", empty_master},
                                      RedisChoice{"older copy", older_copy},
                                      RedisChoice{"empty later", empty_later},
                                      RedisChoice{"stopped keeping", stopped_keeping},
                                      RedisChoice{"two histories", two_histories},
                                      RedisChoice{"longer tail", longer_tail},
                                      RedisChoice{"unfenceable", unfenceable},
                                      RedisChoice{"sentinels lost", sentinels_lost},
                                      RedisChoice{"unheard by us", unheard_by_us},
                                      RedisChoice{"short stall", short_stall},
                                      RedisChoice{"frozen", frozen},
                                      RedisChoice{"silent, unfenceable", silent_unfenceable},
                                      RedisChoice{"sentinels unseen", sentinels_unseen},
                                      RedisChoice{"second master", second_master},
                                      RedisChoice{"under way", under_way},
                                      RedisChoice{"tilt", tilt},
                                      RedisChoice{"one behind", one_behind},
                                      RedisChoice{"long lost", long_lost},
                                      RedisChoice{"never linked", never_linked},
                                      RedisChoice{"late sentinel", late_sentinel},
                                      RedisChoice{"no copy", no_copy},
                                      RedisChoice{"stood still", stood_still},
                                      RedisChoice{"slow marker", slow_marker},
                                      RedisChoice{"stopped ordering", stopped_ordering},
                                      RedisChoice{"interrupted", interrupted},
                                      RedisChoice{"lost by us again", lost_by_us},
                                      RedisChoice{"untold", untold},
                                      RedisChoice{"turned back", turned_back},
                                      RedisChoice{"taken back", taken_back},
                                      RedisChoice{"dies promoting", dies_promoting},
                                      RedisChoice{"divided", divided},
                                      RedisChoice{"cut off", cut_off},
                                      RedisChoice{"no leave", no_leave}};

}  // namespace

void draw_redis_plot(Rng& rng, RedisSchedule& schedule) {
    const RedisChoice& chosen = kRedisChoices[rng.below(kRedisChoices.size())];
    schedule.plot = chosen.name;
    RedisPlot plot(rng, schedule);
    chosen.draw(plot);
}

}  // namespace aeterna::sim
