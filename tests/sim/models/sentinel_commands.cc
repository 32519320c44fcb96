// What a Sentinel answers; a command that it does not know fails the run.
#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "models/sentinel.h"

namespace aeterna::sim::models {
namespace {

constexpr std::string_view kMasterName = "aeterna-master";

std::int64_t milliseconds(Duration duration) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

}  // namespace

std::string Sentinel::instance(const Redis& server) const {
    const std::string address = fmt::format("{} {}", server.endpoint().host, server.endpoint().port);
    if (&server == master_) return fmt::format("master {} {}", kMasterName, address);
    return fmt::format("slave {}:{} {} @ {} {} {}", server.endpoint().host, server.endpoint().port, address,
                       kMasterName, master_->endpoint().host, master_->endpoint().port);
}

void Sentinel::publish(const std::string& event, const std::string& text) {
    if (world_.is_traced()) world_.trace(fmt::format("{} {} {}", name_, event, text));
    std::erase_if(subscribers_, [](const auto& held) { return held.expired(); });
    for (const auto& held : subscribers_) {
        if (const auto session = held.lock()) session->send(resp_texts({"pmessage", "*", event, text}));
    }
}

std::string Sentinel::answer(const redis::Command& command, const std::shared_ptr<RespSession>& session) {
    const std::string word = lower(command.front());
    const bool is_subscriber = std::any_of(subscribers_.begin(), subscribers_.end(),
                                           [&](const auto& held) { return held.lock() == session; });
    if (word == "ping" && on_order && !is_subscriber) on_order(*this, session->client(), word);
    if (word == "ping") return resp_status("PONG");
    if (word == "info")
        return resp_text(fmt::format("uptime_in_seconds:{}\r\nsentinel_masters:1\r\nsentinel_tilt:{}\r\n",
                                     milliseconds(world_.now() - started_at_) / 1000, is_tilted() ? 1 : 0));
    if (word == "sentinel") return sentinel(command, session->client());
    if (word == "psubscribe") {
        // The peer lives as long as the connection.
        subscribers_.emplace_back(session);
        return resp_array({resp_text("psubscribe"), resp_text("*"), resp_integer(1)});
    }
    ++unknown_commands;
    return resp_error("ERR unknown command '" + command.front() + "'");
}

void Sentinel::forget() {
    master_ = nullptr;
    state_ = State::kNone;
    promoted_ = nullptr;
    is_odown_ = false;
}

// MONITOR: of its master it knows the address, of everybody else nothing.
void Sentinel::watch_anew() {
    for (auto& [server, seen] : seen_) {
        seen = Seen();
        seen.is_known = server == master_;
        seen.is_master = server == master_;
        seen.pong = seen.role_since = seen.astray_since = world_.now();
    }
    config_epoch_ = 0;
    attempt_at_ = down_since_ = {};
}

void Sentinel::tell_by_hand(Redis& master) {
    if (!is_responsive()) return;
    forget();
    master_ = &master;
    watch_anew();
}

std::string Sentinel::sentinel(const redis::Command& command, const Process& by) {
    const std::string word = command.size() > 1 ? lower(command[1]) : "";
    const bool changes = word == "failover" || word == "remove" || word == "monitor";
    if (changes && on_order) on_order(*this, by, word);
    if (word == "monitor" && command.size() == 6) {
        if (master_ != nullptr) return resp_error("ERR Duplicate master name.");
        for (Redis* server : servers_) {
            if (server->endpoint().host == command[3]) master_ = server;
        }
        if (master_ == nullptr) return resp_error("ERR Invalid IP address or hostname specified");
        watch_anew();
        return resp_status("OK");
    }
    if (master_ == nullptr)
        return word == "get-master-addr-by-name" ? "*-1\r\n" : resp_error("ERR No such master with that name");
    if (word == "master") return master_fields();
    if (word == "replicas") return replica_fields();
    if (word == "ckquorum") return check_quorum();
    if (word == "get-master-addr-by-name") {
        const bool is_promoted = state_ == State::kReconfigure && promoted_ != nullptr;
        const env::Endpoint& address = (is_promoted ? promoted_ : master_)->endpoint();
        return resp_texts({address.host, std::to_string(address.port)});
    }
    if (word == "set") return resp_status("OK");
    if (word == "remove") {
        forget();
        return resp_status("OK");
    }
    if (word == "failover") {
        if (state_ != State::kNone) return resp_error("INPROG Failover already in progress");
        if (select(world_.now()) == nullptr) return resp_error("NOGOODSLAVE No suitable replica to promote");
        begin_failover(world_.now(), true);
        return resp_status("OK");
    }
    ++unknown_commands;
    return resp_error("ERR Unknown sentinel subcommand '" + word + "'");
}

std::string Sentinel::flags_of(const Redis& server) const {
    std::string flags = &server == master_ ? "master" : "slave";
    const MonoTime now = world_.now();
    if (is_down(server, now)) flags += ",s_down";
    if (&server == master_ && is_odown_) flags += ",o_down";
    if (!seen_.at(&server).is_connected) flags += ",disconnected";
    if (&server == master_ && state_ != State::kNone) flags += ",failover_in_progress";
    if (&server == promoted_) flags += ",promoted";
    return flags;
}

std::string Sentinel::master_fields() const {
    const Seen& seen = seen_.at(master_);
    const MonoTime now = world_.now();
    std::size_t replicas = 0;
    for (const Redis* server : servers_) replicas += server != master_ && seen_.at(server).is_known ? 1 : 0;
    std::vector<std::string> fields{"name",
                                    std::string(kMasterName),
                                    "ip",
                                    master_->endpoint().host,
                                    "port",
                                    std::to_string(master_->endpoint().port),
                                    "flags",
                                    flags_of(*master_),
                                    "last-ok-ping-reply",
                                    std::to_string(milliseconds(now - seen.pong)),
                                    "role-reported",
                                    seen.is_master ? "master" : "slave",
                                    "down-after-milliseconds",
                                    "30000",
                                    "config-epoch",
                                    std::to_string(config_epoch_),
                                    "num-slaves",
                                    std::to_string(replicas),
                                    "num-other-sentinels",
                                    std::to_string(peers.size()),
                                    "quorum",
                                    "2",
                                    "failover-timeout",
                                    "180000",
                                    "parallel-syncs",
                                    "1"};
    if (down_since_ != MonoTime{}) {
        fields.insert(fields.end(), {"s-down-time", std::to_string(milliseconds(now - down_since_) + 1)});
        if (is_odown_)
            fields.insert(fields.end(), {"o-down-time", std::to_string(milliseconds(now - down_since_) + 1)});
    }
    if (state_ != State::kNone)
        fields.insert(fields.end(), {"failover-state", state_ == State::kWaitStart ? "wait_start" : "wait_promotion"});
    return resp_texts(fields);
}

std::string Sentinel::replica_fields() const {
    std::vector<std::string> replicas;
    const MonoTime now = world_.now();
    for (const Redis* server : servers_) {
        const Seen& seen = seen_.at(server);
        if (server == master_ || !seen.is_known) continue;
        const Duration info_age = seen.info_at == MonoTime{} ? Duration(1h) : now - seen.info_at;
        replicas.push_back(
            resp_texts({"ip", server->endpoint().host, "port", std::to_string(server->endpoint().port), "flags",
                        flags_of(*server), "last-ok-ping-reply", std::to_string(milliseconds(now - seen.pong)),
                        "info-refresh", std::to_string(milliseconds(info_age)), "master-link-down-time",
                        std::to_string(milliseconds(server->link_down_for())), "master-link-status",
                        server->is_link_up() ? "ok" : "err", "slave-priority", std::to_string(server->priority()),
                        "slave-repl-offset", std::to_string(server->offset())}));
    }
    return resp_array(replicas);
}

std::string Sentinel::check_quorum() const {
    std::size_t usable = 1;
    for (const Sentinel* peer : peers) usable += hears(*peer) ? 1 : 0;
    if (usable >= 2)
        return resp_status(
            fmt::format("OK {} usable Sentinels. Quorum and failover authorization can be reached", usable));
    return resp_error(fmt::format(
        "NOQUORUM {} usable Sentinels. Not enough available Sentinels to reach the specified quorum for this master",
        usable));
}

}  // namespace aeterna::sim::models
