// What a Redis server answers: the commands that the program sends; another one fails the run.
#include <fmt/format.h>

#include "base/strings.h"
#include "models/redis.h"

namespace aeterna::sim::models {
namespace {

std::int64_t seconds(Duration duration) { return std::chrono::duration_cast<std::chrono::seconds>(duration).count(); }

// As many bytes as the offsets count.
std::string in_stream(std::uint64_t row) {
    if (row == 0) return fmt::format("*2\r\n$7\r\nPUBLISH\r\n$105\r\n{:0>105}\r\n", 0);
    return fmt::format("*2\r\n$3\r\nSET\r\n$40\r\n{:0>40}\r\n", row);
}

}  // namespace

int Redis::unknown_commands = 0;

std::string Redis::answer(const redis::Command& command, const std::shared_ptr<RespSession>& session) {
    const std::string word = lower(command.front());
    if (word == "ping" && on_order) on_order(*this, session->client(), word);
    if (word == "ping") return resp_status("PONG");
    if (word == "info") return resp_text(info());
    if (word == "role") return role();
    if (word == "set") return set(session);
    if (word == "client") return client(command, session->client());
    if (word == "config") return config(command);
    if (word == "replicaof") return replicaof(command, session->client());
    if (word == "psync") return psync(command);
    ++unknown_commands;
    return resp_error("ERR unknown command '" + command.front() + "'");
}

// A part of the stream, for somebody who reads it and leaves.
std::string Redis::psync(const redis::Command& command) {
    const std::int64_t first = command.size() == 3 ? to_integer(command[2]).value_or(0) : 0;
    const bool is_known =
        command.size() == 3 && (command[1] == replid_ || (command[1] == replid2_ && first <= second_offset_));
    if (!is_known || first < first_offset_ || first > offset_ + 1) return resp_error("ERR a full copy is not modelled");
    std::string text = resp_status("CONTINUE");
    for (const Entry& entry : backlog_) {
        if (entry.end >= first) text += in_stream(entry.row);
    }
    return text;
}

std::string Redis::set(const std::shared_ptr<RespSession>& session) {
    write(0, [session](const Status& done) {
        session->send(done ? resp_status("OK") : resp_error(done.error().message));
    });
    return "";
}

std::string Redis::client(const redis::Command& command, const Process& by) {
    const std::string word = command.size() > 1 ? lower(command[1]) : "";
    if (word == "pause" && command.size() == 4) {
        if (on_order) on_order(*this, by, word);
        hold_writes(std::chrono::milliseconds(to_integer(command[2]).value_or(0)));
    }
    if (word == "unpause") let_writes_go();
    return resp_status("OK");
}

std::string Redis::config(const redis::Command& command) {
    const std::string word = command.size() > 1 ? lower(command[1]) : "";
    if (word == "rewrite") rewrite_config();
    if (word == "set" && command.size() == 4 && command[2] == "replica-priority")
        priority_ = to_integer(command[3]).value_or(100);
    if (word != "get" || command.size() != 3) return resp_status("OK");
    if (command[2] == "replica-priority") return resp_texts({command[2], std::to_string(priority_)});
    return resp_texts({command[2], ""});
}

std::string Redis::replicaof(const redis::Command& command, const Process& by) {
    if (command.size() != 3) return resp_error("ERR wrong number of arguments");
    const std::string what = command[1] + " " + command[2];
    if (on_order) on_order(*this, by, what);
    if (lower(what) == "no one") follow(std::nullopt);
    else follow(env::Endpoint{command[1], static_cast<int>(to_integer(command[2]).value_or(0))});
    return resp_status("OK");
}

std::string Redis::info() const {
    std::string text = fmt::format(
        "redis_version:7.0.15\r\nrun_id:{}\r\nuptime_in_seconds:{}\r\nloading:0\r\naof_enabled:{}\r\n"
        "rdb_last_load_keys_loaded:{}\r\nmaxmemory_policy:noeviction\r\nrole:{}\r\nmaster_replid:{}\r\n"
        "master_replid2:{}\r\nmaster_repl_offset:{}\r\nsecond_repl_offset:{}\r\n"
        "repl_backlog_first_byte_offset:{}\r\ntotal_net_repl_input_bytes:{}\r\n",
        run_id_, seconds(world_.now() - started_at_), is_persistent ? 1 : 0, is_persistent ? 0 : loaded_,
        is_master() ? "master" : "slave", replid_, replid2_.empty() ? std::string(40, '0') : replid2_, offset_,
        second_offset_, first_offset_, has_replicated_ ? offset_ + 1 : 0);
    if (!rows_.empty()) text += fmt::format("db0:keys={},expires=0,avg_ttl=0\r\n", rows_.size());
    std::size_t number = 0;
    for (const LinkPointer& link : replicas_) {
        if (!link->is_open) continue;
        text += fmt::format("slave{}:ip={},port={},state={},offset={},lag=0\r\n", number++,
                            link->replica->host_.address, link->replica->endpoint_.port,
                            link->is_synced ? "online" : "wait_bgsave", link->replica->offset_);
    }
    if (!follows_) return text;
    text += fmt::format(
        "master_host:{}\r\nmaster_port:{}\r\nmaster_link_status:{}\r\nmaster_last_io_seconds_ago:{}\r\n"
        "master_sync_in_progress:0\r\nslave_repl_offset:{}\r\nslave_priority:{}\r\n",
        follows_->host, follows_->port, is_link_up() ? "up" : "down",
        is_link_up() ? seconds(world_.now() - heard_at_) : -1, offset_, priority_);
    if (!is_link_up()) {
        // A link that has not been up since REPLICAOF says -1 (tried on 7.0.15).
        text += fmt::format("master_link_down_since_seconds:{}\r\n", was_linked_ ? seconds(link_down_for()) : -1);
    }
    return text;
}

std::string Redis::role() const {
    if (is_master()) return resp_array({resp_text("master"), resp_integer(offset_), resp_array({})});
    const char* link = is_link_up() ? "connected" : upstream_ && upstream_->is_open ? "handshake" : "connect";
    return resp_array({resp_text("slave"), resp_text(follows_->host), resp_integer(follows_->port), resp_text(link),
                       resp_integer(is_link_up() ? offset_ : -1)});
}

}  // namespace aeterna::sim::models
