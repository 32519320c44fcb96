// Sentinel: one process of Redis Sentinel 7.0 with one master, as src/sentinel.c has it at stock timings: a ping a
// second, subjectively down after down-after (30 s), objectively by quorum, a leader elected by a majority in a new
// epoch, one attempt per two failover-timeouts (180 s), the replica chosen by priority and offset; the result spreads
// by hellos (each 2 s) of a higher configuration epoch; a strange role is put right after four hello periods. TILT
// after a gap of two seconds between two ticks.
//
// Left out: scripts, renaming, authentication, resets, several masters; who reaches whom is asked of the network
// directly, without messages of their own.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/redis.h"

namespace aeterna::sim::models {

// sentinel.c's defaults, and the lab's quorum of three.
inline constexpr Duration kPing = std::chrono::seconds(1);
inline constexpr Duration kDownAfter = std::chrono::seconds(30);
inline constexpr Duration kFailoverTimeout = std::chrono::seconds(180);
inline constexpr std::size_t kQuorum = 2;

class Sentinel final : public RespServer {
  public:
    Sentinel(World& world, std::string name, Host& host, env::Endpoint endpoint, std::vector<Redis*> servers);
    Sentinel(const Sentinel&) = delete;
    Sentinel& operator=(const Sentinel&) = delete;

    std::vector<Sentinel*> peers;  // without itself
    // Told before it is ordered to change something, and of the PING before an order.
    std::function<void(const Sentinel&, const Process& client, const std::string& command)> on_order;
    // Told before it promotes; `is_forced`: because it was ordered to fail over.
    std::function<void(const Sentinel&, const Redis& chosen, bool is_forced)> on_select;

    // With the memory of its configuration file.
    void start();
    std::string answer(const redis::Command& command, const std::shared_ptr<RespSession>& session) override;

    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] const env::Endpoint& endpoint() const { return endpoint_; }
    [[nodiscard]] Process* process() const { return process_; }
    [[nodiscard]] bool is_running() const { return process_ != nullptr && process_->is_alive(); }
    [[nodiscard]] bool is_responsive() const { return is_running() && !process_->is_stopped(); }
    // nullptr after REMOVE.
    [[nodiscard]] Redis* master() const { return master_; }
    [[nodiscard]] bool hears(const Redis& server) const;
    [[nodiscard]] bool is_tilted() const { return world_.now() < tilt_until_; }
    // Between its beginning and the end of a failover of its own.
    [[nodiscard]] bool is_failing_over() const { return state_ != State::kNone; }
    // Whom it is promoting; nullptr when none.
    [[nodiscard]] const Redis* promoted() const { return promoted_; }
    // SENTINEL FAILOVER, by a person.
    void fail_over_by_hand();
    // SENTINEL REMOVE, then MONITOR of that one, by a person.
    void tell_by_hand(Redis& master);
    static int unknown_commands;

  private:
    void forget();
    void watch_anew();
    enum class State { kNone, kWaitStart, kSelect, kWaitPromotion, kReconfigure };
    struct Seen {
        MonoTime pong{};  // of the last answered ping
        bool is_connected = true;
        bool is_known = false;   // from its master's INFO
        bool is_master = false;  // as its last INFO said
        MonoTime role_since{}, info_at{};
        Redis* follows = nullptr;
        MonoTime astray_since{};  // follows somebody else
    };

    void tick(std::uint64_t run);
    void look(MonoTime now);
    void ping(Redis& server, Seen& seen, MonoTime now);
    void discover(MonoTime now);
    void put_right(MonoTime now);
    void turn(Redis& server, const Redis& master);
    void judge(MonoTime now);
    void fail_over(MonoTime now);
    void begin_failover(MonoTime now, bool is_forced);
    void abort_failover(const char* why);
    [[nodiscard]] bool is_elected();
    [[nodiscard]] int vote(Sentinel& candidate, std::int64_t epoch);
    [[nodiscard]] Redis* select(MonoTime now) const;
    void end_failover();
    void switch_to(Redis& master, std::int64_t epoch);
    void hello();
    [[nodiscard]] bool hears(const Sentinel& peer) const;
    [[nodiscard]] bool is_down(const Redis& server, MonoTime now) const;
    [[nodiscard]] bool agrees_that_down(const Redis& server) const;
    [[nodiscard]] std::string flags_of(const Redis& server) const;
    void publish(const std::string& event, const std::string& text);
    [[nodiscard]] std::string instance(const Redis& server) const;
    [[nodiscard]] std::string sentinel(const redis::Command& command, const Process& by);
    [[nodiscard]] std::string master_fields() const;
    [[nodiscard]] std::string replica_fields() const;
    [[nodiscard]] std::string check_quorum() const;

    World& world_;
    std::string name_;
    Host& host_;
    env::Endpoint endpoint_;
    std::vector<Redis*> servers_;
    Process* process_ = nullptr;
    std::uint64_t run_ = 0;
    Redis* master_ = nullptr;
    std::map<const Redis*, Seen> seen_;
    std::int64_t epoch_ = 0, config_epoch_ = 0, voted_epoch_ = 0, failover_epoch_ = 0;
    Sentinel* voted_for_ = nullptr;
    State state_ = State::kNone;
    bool is_forced_ = false, is_odown_ = false;
    Redis* promoted_ = nullptr;
    MonoTime started_at_{}, down_since_{}, attempt_at_{}, state_since_{}, ticked_at_{}, tilt_until_{}, hello_at_{};
    std::vector<std::weak_ptr<RespSession>> subscribers_;
};

}  // namespace aeterna::sim::models
