#include "models/sentinel.h"

#include <fmt/format.h>

#include <algorithm>

namespace aeterna::sim::models {
namespace {

constexpr Duration kTick = std::chrono::milliseconds(100);
constexpr Duration kInfo = std::chrono::seconds(10);
constexpr Duration kHello = std::chrono::seconds(2);
constexpr Duration kTiltGap = std::chrono::seconds(2);
constexpr Duration kTilt = std::chrono::seconds(30);

}  // namespace

int Sentinel::unknown_commands = 0;

Sentinel::Sentinel(World& world, std::string name, Host& host, env::Endpoint endpoint, std::vector<Redis*> servers)
    : world_(world),
      name_(std::move(name)),
      host_(host),
      endpoint_(std::move(endpoint)),
      servers_(std::move(servers)),
      master_(servers_.front()) {
    for (const Redis* server : servers_) seen_[server].is_known = true;
}

void Sentinel::start() {
    if (is_running()) return;
    ProcessOptions options;
    options.command = "redis-sentinel";
    options.host = &host_;
    options.uid = 106;
    process_ = &world_.processes.start(options);
    ++run_;
    state_ = State::kNone;
    promoted_ = nullptr;
    is_odown_ = false;
    subscribers_.clear();
    started_at_ = ticked_at_ = world_.now();
    tilt_until_ = {};
    for (auto& [server, seen] : seen_) {
        seen.pong = seen.role_since = seen.astray_since = world_.now();
        seen.info_at = {};
        seen.is_connected = true;
        seen.is_master = server == master_;
    }
    world_.network.listen(endpoint_, *process_, make_resp_service(*this), &StreamService::kProtocol);
    tick(run_);
}

void Sentinel::tick(std::uint64_t run) {
    if (run != run_ || !is_running()) return;
    process_->when_running([this, run] {
        if (run == run_ && is_running()) look(world_.now());
    });
    world_.scheduler.after(kTick + world_.rng().between(0ms, 20ms), [this, run] { tick(run); });
}

void Sentinel::look(MonoTime now) {
    if (now - ticked_at_ > kTiltGap) {
        tilt_until_ = now + kTilt;
        publish("+tilt", "#tilt mode entered");
    }
    ticked_at_ = now;
    if (master_ == nullptr) return;
    discover(now);
    for (Redis* server : servers_) {
        if (seen_[server].is_known) ping(*server, seen_[server], now);
    }
    if (now >= hello_at_) {
        hello_at_ = now + kHello;
        hello();
    }
    if (now < tilt_until_) return;
    put_right(now);
    judge(now);
    if (state_ != State::kNone) fail_over(now);
}

// --- Watching ------------------------------------------------------------------------------------

bool Sentinel::hears(const Redis& server) const {
    return server.is_responsive() && world_.network.is_open(&host_, &server.host()) &&
           world_.network.is_open(&server.host(), &host_);
}

bool Sentinel::hears(const Sentinel& peer) const {
    return peer.is_responsive() && world_.network.is_open(&host_, &peer.host_) &&
           world_.network.is_open(&peer.host_, &host_);
}

void Sentinel::ping(Redis& server, Seen& seen, MonoTime now) {
    const bool is_heard = hears(server);
    seen.is_connected = server.is_running();
    if (!is_heard || now - seen.pong < kPing) return;
    seen.pong = now;
    const bool is_hurried = state_ != State::kNone || is_odown_ || is_down(*master_, now);
    if (now - seen.info_at < (is_hurried ? kPing : kInfo) && seen.info_at != MonoTime{}) return;
    seen.info_at = now;
    if (seen.is_master != server.is_master()) seen.role_since = now;
    seen.is_master = server.is_master();
    Redis* follows = nullptr;
    for (Redis* other : servers_) {
        if (server.follows() == other->endpoint()) follows = other;
    }
    if (seen.follows != follows) seen.astray_since = now;
    seen.follows = follows;
}

// Replicas of a master that was only just named are found in its INFO.
void Sentinel::discover(MonoTime) {
    if (!hears(*master_)) return;
    for (Redis* server : servers_) {
        Seen& seen = seen_[server];
        if (seen.is_known || !server->is_running() || server->follows() != master_->endpoint()) continue;
        seen.is_known = true;
        seen.pong = world_.now();
        publish("+slave", instance(*server));
    }
}

bool Sentinel::is_down(const Redis& server, MonoTime now) const {
    const Seen& seen = seen_.at(&server);
    if (now - seen.pong > kDownAfter) return true;
    return &server == master_ && !seen.is_master && now - seen.role_since > kDownAfter + 2 * kInfo;
}

bool Sentinel::agrees_that_down(const Redis& server) const {
    return is_responsive() && world_.now() >= tilt_until_ && master_ == &server && is_down(server, world_.now());
}

// +convert-to-slave and +fix-slave-config: what is not as it should be for four hello periods is put right.
void Sentinel::put_right(MonoTime now) {
    const Seen& leader = seen_[master_];
    const bool is_sane = leader.is_master && !is_down(*master_, now) && now - leader.info_at < 2 * kInfo;
    if (!is_sane || state_ != State::kNone) return;
    for (Redis* server : servers_) {
        Seen& seen = seen_[server];
        if (server == master_ || !seen.is_known || !hears(*server) || is_down(*server, now)) continue;
        if (now - seen.info_at > kInfo) continue;
        const bool is_astray = !seen.is_master && seen.follows != master_;
        const MonoTime since = seen.is_master ? seen.role_since : seen.astray_since;
        if ((!seen.is_master && !is_astray) || now - since < 4 * kHello) continue;
        publish(seen.is_master ? "+convert-to-slave" : "+fix-slave-config", instance(*server));
        turn(*server, *master_);
        seen.role_since = seen.astray_since = now;
    }
}

void Sentinel::turn(Redis& server, const Redis& master) {
    server.order(this, [&server, to = master.endpoint()] {
        server.follow(to);
        server.rewrite_config();
    });
}

void Sentinel::judge(MonoTime now) {
    if (!is_down(*master_, now)) {
        if (is_odown_) publish("-odown", instance(*master_));
        if (down_since_ != MonoTime{}) publish("-sdown", instance(*master_));
        is_odown_ = false;
        down_since_ = {};
        return;
    }
    if (down_since_ == MonoTime{}) {
        down_since_ = now;
        publish("+sdown", instance(*master_));
    }
    std::size_t votes = 1;
    for (const Sentinel* peer : peers) votes += hears(*peer) && peer->agrees_that_down(*master_) ? 1 : 0;
    if (votes >= kQuorum && !is_odown_) publish("+odown", instance(*master_) + " #quorum 2/2");
    is_odown_ = votes >= kQuorum;
    const bool is_time = attempt_at_ == MonoTime{} || now - attempt_at_ >= 2 * kFailoverTimeout;
    if (is_odown_ && state_ == State::kNone && is_time) begin_failover(now, false);
}

void Sentinel::hello() {
    for (Sentinel* peer : peers) {
        if (!peer->is_responsive() || peer->master_ == nullptr) continue;
        // Both hear a server that carries it.
        const bool is_carried = std::any_of(servers_.begin(), servers_.end(), [&](const Redis* server) {
            return hears(*server) && peer->hears(*server) && seen_[server].is_known;
        });
        if (!is_carried) continue;
        peer->epoch_ = std::max(peer->epoch_, epoch_);
        // sentinelGetCurrentMasterAddress(): a replica that is promoted already is named before the failover is over.
        Redis& named = state_ == State::kReconfigure ? *promoted_ : *master_;
        if (config_epoch_ > peer->config_epoch_) peer->switch_to(named, config_epoch_);
    }
}

void Sentinel::switch_to(Redis& master, std::int64_t epoch) {
    config_epoch_ = epoch;
    if (master_ == &master) return;
    const Redis* old = master_;
    master_ = &master;
    state_ = State::kNone;
    promoted_ = nullptr;
    is_odown_ = false;
    down_since_ = {};
    for (auto& [server, seen] : seen_) {
        seen.is_known = true;
        seen.pong = seen.role_since = seen.astray_since = world_.now();
        seen.info_at = {};
        // A leftover master is seen as one at its next INFO.
        seen.is_master = server == master_;
    }
    publish("+switch-master", fmt::format("aeterna-master {} {} {} {}", old->endpoint().host, old->endpoint().port,
                                          master_->endpoint().host, master_->endpoint().port));
}

}  // namespace aeterna::sim::models
