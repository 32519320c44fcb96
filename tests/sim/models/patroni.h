// Patroni: one agent beside one PostgreSQL, its HA loop in a fiber of its process. Written after
// the installed 3.0.2 (ha.py, dcs/etcd3.py, api.py); `version` 4 differs where docs of 3.2 and
// later say so: the leader key is renewed by a compare instead of an unconditional put. Modelled:
// loop_wait, ttl, retry_timeout; the watch cache that may be stale; keepalive with retries,
// demotion without the DCS; the leader race with lag gate, peers' REST, nofailover tags and the
// sync key; restart of a crashed PostgreSQL in place, primary_start_timeout; pg_rewind; synchronous
// mode; pause; manual failover and switchover by the failover key; failsafe mode; a watchdog that resets
// the host; a standby cluster without its remote primary. Not modelled: Citus, slots, callbacks.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "models/etcd.h"
#include "models/postgres.h"

namespace aeterna::sim::models {

struct PatroniSettings {
    std::string prefix = "/service/lab/";
    int version = 3;  // 3 = 3.0.2, 4 = 3.2 and later
    Duration ttl = std::chrono::seconds(30);
    Duration loop_wait = std::chrono::seconds(10);
    Duration retry_timeout = std::chrono::seconds(10);
    Duration primary_start_timeout = std::chrono::seconds(300);
    std::int64_t maximum_lag_on_failover = 1048576;
    bool synchronous_mode = false;
    bool is_paused = false;
    bool failsafe_mode = false;
    bool has_watchdog = false;     // a device at each host, mode automatic
    bool is_standby_cluster = false;  // follows a primary that nobody here knows: nobody is promoted
    [[nodiscard]] std::string config_json() const;
};

// The keys of a cluster, read.
struct PatroniView {
    struct Member {
        std::string name;
        bool nofailover = false;
        std::int64_t lease = 0;
    };
    std::string leader;  // empty: unlocked
    std::int64_t leader_lease = 0;
    std::int64_t leader_revision = 0;
    std::vector<Member> members;
    bool has_failover = false;
    bool is_failover_planned = false;  // for a time that no run lives to see
    std::string failover_leader, failover_candidate;
    bool has_sync = false;
    std::string sync_leader;
    std::vector<std::string> sync_standbys;
    std::int64_t sync_revision = 0;
    std::int64_t optime = 0;
    [[nodiscard]] bool is_unlocked() const { return leader.empty(); }
    [[nodiscard]] bool sync_matches(const std::string& name) const;
};
[[nodiscard]] PatroniView read_view(const std::map<std::string, EtcdKey>& keys,
                                    const std::string& prefix);

class Patroni {
  public:
    // `peers`: all agents of the cluster by name, this one among them; filled before start().
    Patroni(World& world, Etcd& etcd, Postgres& postgres,
            std::shared_ptr<const PatroniSettings> settings, std::vector<Patroni*>& peers,
            env::Endpoint rest);
    Patroni(const Patroni&) = delete;
    Patroni& operator=(const Patroni&) = delete;

    void start();
    bool nofailover = false;
    int thefts = 0;  // unconditional overwrites of another's leader key
    std::function<void()> on_change;
    std::function<void()> on_start;
    std::function<void()> on_watchdog;  // its host is reset

    [[nodiscard]] const std::string& name() const { return postgres_.name(); }
    [[nodiscard]] Process* process() const { return process_; }
    // Its REST interface asks PostgreSQL first: a stopped one makes it hang.
    [[nodiscard]] bool answers() const {
        return !(postgres_.is_running() && postgres_.process()->is_stopped());
    }
    [[nodiscard]] bool is_running() const { return process_ != nullptr && process_->is_alive(); }
    [[nodiscard]] Postgres& postgres() const { return postgres_; }
    [[nodiscard]] const env::Endpoint& rest() const { return rest_; }
    [[nodiscard]] std::string pid_file() const {
        return "/data/" + postgres_.host().name + "/patroni.pid";
    }
    [[nodiscard]] std::string working_directory() const {
        return "/data/" + postgres_.host().name + "/patroni";
    }
    // For its REST interface.
    [[nodiscard]] const PatroniView& view() const { return view_; }
    [[nodiscard]] const PatroniSettings& settings() const { return *settings_; }
    [[nodiscard]] std::string state() const;
    [[nodiscard]] std::string role() const;
    [[nodiscard]] const std::vector<Patroni*>& peers() const { return peers_; }
    [[nodiscard]] std::int64_t dcs_last_seen() const { return dcs_last_seen_; }
    [[nodiscard]] bool holds_lock() const { return is_leader_; }
    [[nodiscard]] bool leads_standby_cluster() const { return is_leader_ && settings_->is_standby_cluster; }
    [[nodiscard]] Etcd& etcd() const { return etcd_; }
    [[nodiscard]] bool is_busy() const { return is_busy_; }
    // For a ttl after the leader's last word; the leader's own while it has no DCS (ha.py, Failsafe.is_active).
    [[nodiscard]] bool is_failsafe_active() const;
    // POST /failsafe: a running primary does not accept another one.
    [[nodiscard]] bool accept_failsafe(const std::string& leader);
    [[nodiscard]] bool is_watchdog_armed() const { return is_watchdog_armed_; }
    void disarm_watchdog();
    void wake() { event_ = true, world_.scheduler.unpark(nap_); }

  private:
    enum class Lock { kHeld, kLost, kDcsError };
    struct PeerStatus {
        std::string name;
        bool is_healthy = false;
        bool in_recovery = true;
        std::int64_t lsn = 0;
        int timeline = 0;
    };

    void run();
    bool run_cycle();  // false: the DCS failed
    void load_view();
    [[nodiscard]] bool has_lock() const { return view_.leader == name(); }
    [[nodiscard]] env::Context dcs_context() const;
    template <class T, class Change>
    [[nodiscard]] Result<T> dcs(Change change);
    [[nodiscard]] Result<bool> refresh_lease(bool force);
    [[nodiscard]] Lock update_lock();
    [[nodiscard]] Result<bool> renew_key();
    [[nodiscard]] Result<bool> acquire_key();
    bool put(const std::string& key, const std::string& value, bool with_lease,
             std::int64_t if_revision = -1);
    void touch_member();

    bool handle_dcs_error();
    [[nodiscard]] bool all_accept_failsafe();
    void follow_failsafe();
    void keep_watchdog();
    void write_watchdog() const;
    bool process_unhealthy();
    bool process_healthy();
    bool recover();
    bool handle_starting();
    void enforce_primary();
    void follow_leader();
    void demote(bool graceful, bool release, bool offline);
    void release_key();
    bool process_manual_failover();
    void process_sync();
    [[nodiscard]] std::vector<std::string> pick_sync() const;
    bool write_sync(const std::vector<std::string>& standbys);
    [[nodiscard]] bool is_healthiest();
    [[nodiscard]] bool is_healthiest_among(const std::vector<std::string>& names, bool check_lag);
    [[nodiscard]] bool is_failover_possible(const std::vector<std::string>& names);
    [[nodiscard]] std::vector<PeerStatus> ask_peers(const std::vector<std::string>& names);
    [[nodiscard]] PeerStatus status() const;
    [[nodiscard]] Patroni* find(const std::string& name) const;
    void run_async(const char* what, Action body);
    [[nodiscard]] bool pause_for(Duration duration);
    void wait_for_postgres();
    void trace(const std::string& line) const;

    World& world_;
    Etcd& etcd_;
    Postgres& postgres_;
    std::shared_ptr<const PatroniSettings> settings_;
    std::vector<Patroni*>& peers_;
    env::Endpoint rest_;
    Process* process_ = nullptr;
    std::shared_ptr<EtcdCache> cache_;
    PatroniView view_;
    std::vector<std::string> old_members_;
    std::int64_t lease_ = 0;
    MonoTime lease_refreshed_{};
    std::string touched_;
    std::int64_t touched_lease_ = 0;
    bool is_leader_ = false;
    bool is_busy_ = false;  // an async action runs
    bool is_recovering_ = false;
    bool is_demoted_ = false;
    std::string known_role_ = "replica";
    std::optional<MonoTime> starting_since_;
    bool event_ = false;
    FiberRef nap_;
    std::int64_t dcs_last_seen_ = 0;
    std::optional<MonoTime> failsafe_at_;
    std::string failsafe_leader_;
    bool is_watchdog_armed_ = false;
    std::uint64_t watchdog_kept_ = 0;  // counts keepalives
};

}  // namespace aeterna::sim::models
