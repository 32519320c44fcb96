// The agent's frame: start, loop, DCS calls, view. What it decides stands in patroni_ha.cc.
#include "models/patroni.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "models/patroni_rest.h"

namespace aeterna::sim::models {
namespace {

constexpr Duration kRetryPause = std::chrono::milliseconds(500);
constexpr Duration kDcsReadTimeout = std::chrono::milliseconds(3300);  // retry_timeout / 3

}  // namespace

std::string PatroniSettings::config_json() const {
    const auto seconds = [](Duration duration) {
        return std::chrono::duration_cast<std::chrono::seconds>(duration).count();
    };
    Json config{{"ttl", seconds(ttl)},
                {"loop_wait", seconds(loop_wait)},
                {"retry_timeout", seconds(retry_timeout)},
                {"maximum_lag_on_failover", maximum_lag_on_failover},
                {"synchronous_mode", synchronous_mode},
                {"postgresql", {{"use_pg_rewind", true}}}};
    if (is_paused) config["pause"] = true;
    if (failsafe_mode) config["failsafe_mode"] = true;
    if (is_standby_cluster) config["standby_cluster"] = {{"host", "10.9.0.1"}, {"port", 5432}};
    return dump_json(config);
}

bool PatroniView::sync_matches(const std::string& name) const {
    return has_sync && (name == sync_leader || std::find(sync_standbys.begin(), sync_standbys.end(),
                                                         name) != sync_standbys.end());
}

PatroniView read_view(const std::map<std::string, EtcdKey>& keys, const std::string& prefix) {
    PatroniView view;
    for (auto it = keys.lower_bound(prefix); it != keys.end() && it->first.starts_with(prefix);
         ++it) {
        const std::string key = it->first.substr(prefix.size());
        const EtcdKey& entry = it->second;
        if (key == "leader") {
            view.leader = entry.value;
            view.leader_lease = entry.lease;
            view.leader_revision = entry.mod_revision;
        } else if (key.starts_with("members/")) {
            view.members.push_back({key.substr(8),
                                    entry.value.find("\"nofailover\":true") != std::string::npos,
                                    entry.lease});
        } else if (key == "sync") {
            const Json sync = Json::parse(entry.value, nullptr, false);
            view.sync_leader = find_string(sync, "leader").value_or("");
            view.has_sync = !view.sync_leader.empty();
            view.sync_revision = entry.mod_revision;
            const std::string standbys = find_string(sync, "sync_standby").value_or("");
            for (const std::string_view part : split(standbys, ',')) {
                if (!part.empty()) view.sync_standbys.emplace_back(part);
            }
        } else if (key == "failover") {
            const Json failover = Json::parse(entry.value, nullptr, false);
            view.failover_leader = find_string(failover, "leader").value_or("");
            view.failover_candidate = find_string(failover, "member").value_or("");
            view.is_failover_planned = find_string(failover, "scheduled_at").has_value();
            view.has_failover = !view.failover_leader.empty() || !view.failover_candidate.empty();
        } else if (key == "status") {
            view.optime =
                find_integer(Json::parse(entry.value, nullptr, false), "optime").value_or(0);
        }
    }
    return view;
}

Patroni::Patroni(World& world, Etcd& etcd, Postgres& postgres,
                 std::shared_ptr<const PatroniSettings> settings, std::vector<Patroni*>& peers,
                 env::Endpoint rest)
    : world_(world),
      etcd_(etcd),
      postgres_(postgres),
      settings_(std::move(settings)),
      peers_(peers),
      rest_(std::move(rest)) {
    world_.disk.make_directories(working_directory(), 0700);
}

void Patroni::start() {
    if (is_running()) return;
    ProcessOptions options;
    options.command = "patroni";
    options.host = &postgres_.host();
    options.uid = 105;
    options.working_directory = working_directory();
    process_ = &world_.processes.start(std::move(options));
    if (Result<Disk::Node*> node = world_.disk.make(pid_file())) {
        (*node)->content = (*node)->durable =
            fmt::format("{}\n{}\n", process_->id.pid, process_->id.start_ticks);
    }
    world_.network.listen(
        rest_, *process_,
        std::shared_ptr<HttpService>(std::make_shared<PatroniRest>(*this, world_)),
        &HttpService::kProtocol);
    process_->on_death.emplace_back([this] {
        if (on_change) on_change();
    });
    lease_ = 0;
    touched_.clear();
    is_leader_ = is_busy_ = is_recovering_ = is_demoted_ = false;
    failsafe_at_.reset();
    known_role_ = postgres_.is_primary() && !postgres_.is_starting() ? "primary" : "replica";
    view_ = PatroniView();
    cache_ = std::make_shared<EtcdCache>();
    const std::string leader_key = settings_->prefix + "leader";
    const std::string status_key = settings_->prefix + "status";
    // KVCache wakes the loop for a change of the leader key, and replicas for the leader's new
    // position.
    cache_->on_change = [this, leader_key, status_key,
                         process = process_](const EtcdChange& change) {
        if (process != process_) return;
        const bool wakes = change.key == leader_key || (change.key == status_key && !has_lock());
        if (wakes) wake();
    };
    etcd_.follow(*process_, cache_, settings_->prefix);
    if (on_start) on_start();
    world_.scheduler.spawn(process_, "ha", [this] { run(); });
}

void Patroni::trace(const std::string& line) const {
    if (world_.is_traced()) world_.trace(fmt::format("patroni {}: {}", name(), line));
}

bool Patroni::pause_for(Duration duration) {
    Process* process = process_;
    static_cast<void>(world_.scheduler.park(world_.now() + duration, {}, "a moment"));
    return process->is_alive();
}

void Patroni::run() {
    Process* const process = process_;
    while (process->is_alive() && !cache_->is_ready) static_cast<void>(pause_for(20ms));
    MonoTime next = world_.now();
    while (process->is_alive()) {
        static_cast<void>(run_cycle());
        if (!process->is_alive()) return;
        // utils: schedule_next_run; an event ends the nap early.
        next += settings_->loop_wait;
        if (next < world_.now() || event_)
            next = std::min(next, world_.now() + settings_->loop_wait);
        if (next < world_.now()) next = world_.now();
        if (!event_) {
            nap_ = world_.scheduler.next_parking();
            static_cast<void>(world_.scheduler.park(next, {}, "its next HA loop"));
        }
        if (std::exchange(event_, false)) next = world_.now();
    }
}

void Patroni::load_view() {
    view_ = read_view(cache_->keys, settings_->prefix);
    if (!view_.is_unlocked() || old_members_.empty()) {
        old_members_.clear();
        for (const auto& member : view_.members) old_members_.push_back(member.name);
    }
    follow_failsafe();
    if (!has_lock()) is_leader_ = false;
}

env::Context Patroni::dcs_context() const { return {world_.now() + kDcsReadTimeout, {}, ""}; }

// With retries until retry_timeout, as utils.Retry.
template <class T, class Change>
Result<T> Patroni::dcs(Change change) {
    Process* const process = process_;
    const MonoTime until = world_.now() + settings_->retry_timeout;
    while (true) {
        Result<T> done = etcd_.commit<T>(*process, dcs_context().until(until), change);
        if (done) {
            dcs_last_seen_ = to_unix_us(world_.wall_now(postgres_.host())) / 1'000'000;
            return done;
        }
        if (!process->is_alive() || world_.now() + kRetryPause >= until) return done;
        static_cast<void>(pause_for(kRetryPause));
        if (!process->is_alive()) return done;
    }
}

Result<bool> Patroni::refresh_lease(bool force) {
    if (!force && lease_ != 0 && lease_refreshed_ + settings_->loop_wait > world_.now())
        return false;
    if (lease_ != 0) {
        auto kept = dcs<bool>([this, lease = lease_](EtcdStore& store) {
            return store.keep_alive(lease, world_.now()).has_value();
        });
        if (!kept) return kept;
        if (!*kept) lease_ = 0;
    }
    const bool is_new = lease_ == 0;
    if (is_new) {
        auto granted = dcs<std::int64_t>([this](EtcdStore& store) {
            const std::int64_t id = etcd_.next_lease();
            store.grant(id, settings_->ttl, world_.now());
            return id;
        });
        if (!granted) return granted.error();
        lease_ = *granted;
    }
    lease_refreshed_ = world_.now();
    return is_new;
}

// _update_leader: renews the lease; under another lease than the key's it writes the key
// again. 3.0.2 does that without looking who holds it now.
Result<bool> Patroni::renew_key() {
    auto refreshed = refresh_lease(true);
    if (!refreshed) return refreshed;
    if (view_.leader_lease == lease_) return true;
    const std::string key = settings_->prefix + "leader";
    const bool compares = settings_->version >= 4;
    return dcs<bool>([this, key, compares, lease = lease_](EtcdStore& store) {
        const EtcdKey* present = store.find(key);
        if (present != nullptr && present->value != name()) {
            if (compares) return false;
            ++thefts;
            trace("overwrites the leader key of " + present->value);
        }
        return store.put(key, name(), lease);
    });
}

// attempt_to_acquire_leader: the key must not be there.
Result<bool> Patroni::acquire_key() {
    auto refreshed = refresh_lease(false);
    if (!refreshed) return refreshed;
    const std::string key = settings_->prefix + "leader";
    return dcs<bool>([key, lease = lease_, owner = name()](EtcdStore& store) {
        const EtcdKey* present = store.find(key);
        if (present != nullptr) return present->value == owner && present->lease == lease;
        return store.put(key, owner, lease);
    });
}

Patroni::Lock Patroni::update_lock() {
    const auto renewed = renew_key();
    if (!renewed) return Lock::kDcsError;
    is_leader_ = *renewed;
    if (!*renewed) return Lock::kLost;
    failsafe_at_.reset();
    if (postgres_.is_primary() && !postgres_.is_starting()) {
        keep_watchdog();
        put("status", fmt::format("{{\"optime\":{}}}", postgres_.lsn()), false);
    }
    return Lock::kHeld;
}

bool Patroni::put(const std::string& key, const std::string& value, bool with_lease,
                  std::int64_t if_revision) {
    const std::string path = settings_->prefix + key;
    const std::int64_t lease = with_lease ? lease_ : 0;
    const auto done = etcd_.commit<bool>(*process_, dcs_context(), [=](EtcdStore& store) {
        const EtcdKey* present = store.find(path);
        if (if_revision >= 0 && (present == nullptr ? 0 : present->mod_revision) != if_revision)
            return false;
        return store.put(path, value, lease);
    });
    return done && *done;
}

std::string Patroni::state() const {
    if (!postgres_.is_running()) return is_recovering_ || is_busy_ ? "stopped" : "crashed";
    return postgres_.is_starting() ? "starting" : "running";
}

std::string Patroni::role() const {
    if (postgres_.is_running() && !postgres_.is_starting())
        return postgres_.is_primary() ? "master" : leads_standby_cluster() ? "standby_leader" : "replica";
    return is_demoted_ ? "demoted" : known_role_ == "primary" ? "master" : "replica";
}

void Patroni::touch_member() {
    Process* const process = process_;
    if (!refresh_lease(false) || !process->is_alive()) return;
    std::string data = fmt::format(
        R"({{"conn_url":"postgres://{}/postgres","api_url":"http://{}/patroni","state":"{}","role":"{}","version":"{}")",
        postgres_.endpoint().to_string(), rest_.to_string(), state(), role(),
        settings_->version >= 4 ? "4.1.5" : "3.0.2");
    if (postgres_.is_running()) {
        data += fmt::format(R"(,"xlog_location":{},"timeline":{})", postgres_.lsn(),
                            postgres_.timeline());
    }
    if (nofailover) data += R"(,"tags":{"nofailover":true})";
    data += "}";
    if (data == touched_ && touched_lease_ == lease_) return;
    if (put("members/" + name(), data, true)) {
        touched_ = data;
        touched_lease_ = lease_;
    } else if (process->is_alive()) {
        lease_refreshed_ = {};  // LeaseNotFound shows at the next keepalive
    }
}

Patroni* Patroni::find(const std::string& wanted) const {
    for (Patroni* peer : peers_) {
        if (peer->name() == wanted) return peer;
    }
    return nullptr;
}

void Patroni::run_async(const char* what, Action body) {
    if (is_busy_) return;
    is_busy_ = true;
    Process* const process = process_;
    world_.scheduler.spawn(process, what, std::move(body), [this, process] {
        if (process == process_) is_busy_ = false;
        if (process == process_ && process->is_alive()) wake();
    });
}

}  // namespace aeterna::sim::models
