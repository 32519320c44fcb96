// Redis: one Redis 7.0 server with its replication, as src/replication.c has it: a history is named by its replid and
// counted in bytes; a promoted replica begins a new one and remembers the old one up to the fork (replid2); a replica
// goes on where it was while its history is a beginning of its master's, else it throws its data away and copies all,
// after repl-diskless-sync-delay (5 s), and keeps the file. A server that starts again has its data when it is persistent,
// else what it saved or copied last, and a history of its own that remembers the file's; a replica goes on with the
// file's. A replica without its master's link serves nobody (NOMASTERLINK).
//
// Left out: databases, expiry, memory, the time that a save takes, AOF files.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "env/sim/world.h"
#include "models/resp_service.h"

namespace aeterna::sim::models {

class Redis final : public RespServer {
  public:
    Redis(World& world, std::string name, Host& host, env::Endpoint endpoint);
    Redis(const Redis&) = delete;
    Redis& operator=(const Redis&) = delete;

    bool is_persistent = true;
    std::function<Redis*(const env::Endpoint&)> find_server;
    // Told after each write that a master has taken.
    std::function<void(const Redis&)> on_write;
    // Told before `to` gives its rows away for all of this one's.
    std::function<void(const Redis& from, const Redis& to, std::size_t had)> on_copy;
    // Told before a role is changed, or writes are paused ("pause"), by a command of that process, and of
    // the PING before an order ("ping").
    std::function<void(const Redis&, const Process& client, const std::string& command)> on_order;

    // As its configuration file says; nothing when it runs.
    void start();
    // BGSAVE: what a server without AOF begins with when it starts again.
    void save() { saved_ = Saved{rows_, replid_, offset_}; }
    // It has followed that one for long: their histories are the same.
    void begin_with(const Redis& master) { replid_ = master.replid_; }
    // An application's SET of that row. Never answered when the server dies first.
    using Done = std::function<void(Status)>;
    void write(std::uint64_t row, Done done);
    // REPLICAOF, by whoever: nothing = NO ONE.
    void follow(std::optional<env::Endpoint> master);
    void hold_writes(Duration time);  // CLIENT PAUSE … WRITE
    // An order of that Sentinel: behind a pause of writes it waits, as its connection does for the PUBLISH of its hello.
    void order(const void* sentinel, std::function<void()> act);
    void rewrite_config() const;

    std::string answer(const redis::Command& command, const std::shared_ptr<RespSession>& session) override;

    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] Host& host() const { return host_; }
    [[nodiscard]] const env::Endpoint& endpoint() const { return endpoint_; }
    [[nodiscard]] Process* process() const { return process_; }
    [[nodiscard]] std::string config_file() const { return "/etc/redis/" + name_ + ".conf"; }
    [[nodiscard]] std::string pid_file() const { return "/run/redis/" + name_ + ".pid"; }
    [[nodiscard]] bool is_running() const { return process_ != nullptr && process_->is_alive(); }
    [[nodiscard]] bool is_responsive() const { return is_running() && !process_->is_stopped(); }
    [[nodiscard]] bool is_master() const { return !follows_; }
    [[nodiscard]] bool is_paused() const { return world_.now() < paused_until_; }
    [[nodiscard]] bool takes_writes() const { return is_responsive() && is_master() && !is_paused(); }
    [[nodiscard]] const std::optional<env::Endpoint>& follows() const { return follows_; }
    [[nodiscard]] bool is_link_up() const { return upstream_ && upstream_->is_open && upstream_->is_synced; }
    // Since its start, or since it was told to follow its master.
    [[nodiscard]] bool has_been_linked() const { return was_linked_; }
    [[nodiscard]] Duration link_down_for() const { return is_link_up() ? Duration() : world_.now() - link_lost_at_; }
    // From its master.
    [[nodiscard]] Duration unheard_for() const { return is_link_up() ? world_.now() - heard_at_ : link_down_for(); }
    [[nodiscard]] std::int64_t offset() const { return offset_; }
    [[nodiscard]] const std::string& replid() const { return replid_; }
    [[nodiscard]] const std::string& replid2() const { return replid2_; }
    [[nodiscard]] const std::string& run_id() const { return run_id_; }
    [[nodiscard]] std::int64_t priority() const { return priority_; }
    [[nodiscard]] const std::vector<std::uint64_t>& rows() const { return rows_; }
    [[nodiscard]] MonoTime started_at() const { return started_at_; }
    // Its present life began without any data.
    [[nodiscard]] bool has_begun_empty() const { return loaded_ == 0; }
    // And with so many rows, so many less than the life before ended with.
    [[nodiscard]] std::size_t loaded_rows() const { return static_cast<std::size_t>(loaded_); }
    [[nodiscard]] std::size_t rows_lost_at_start() const { return lost_at_start_; }
    static int unknown_commands;

  private:
    struct Entry {
        std::int64_t end = 0;
        std::uint64_t row = 0;  // 0: a PING or a Sentinel's hello
    };
    struct Saved {
        std::vector<std::uint64_t> rows;
        std::string replid;
        std::int64_t offset = 0;
    };
    // One replica's connection to one server.
    struct Link {
        Redis* source = nullptr;
        Redis* replica = nullptr;
        bool is_open = true;
        bool is_synced = false;
        std::deque<Entry> under_way;
    };
    using LinkPointer = std::shared_ptr<Link>;
    struct Waiting {
        std::uint64_t row;
        Done done;
    };

    void died();
    void tick(std::uint64_t run);
    void read_config();
    void begin_history();
    void load();
    void append(Entry entry);
    void send(const LinkPointer& link, const Entry& entry);
    void receive(const LinkPointer& link);
    void connect();
    void accept(const LinkPointer& link);
    void copy_all(const LinkPointer& link);
    void close(const LinkPointer& link);
    void drop_replicas();
    void drop_upstream();
    [[nodiscard]] bool can_continue(const Redis& replica) const;
    void let_writes_go();
    void take(std::uint64_t row, const Done& done);
    [[nodiscard]] std::string info() const;
    [[nodiscard]] std::string role() const;
    [[nodiscard]] std::string set(const std::shared_ptr<RespSession>& session);
    [[nodiscard]] std::string client(const redis::Command& command, const Process& by);
    [[nodiscard]] std::string config(const redis::Command& command);
    [[nodiscard]] std::string psync(const redis::Command& command);
    [[nodiscard]] std::string replicaof(const redis::Command& command, const Process& by);

    World& world_;
    std::string name_;
    Host& host_;
    env::Endpoint endpoint_;
    Process* process_ = nullptr;
    std::uint64_t run_ = 0;
    MonoTime started_at_{}, paused_until_{}, link_lost_at_{}, heard_at_{};
    bool was_linked_ = false;  // to the master that it follows now, in this life
    bool has_replicated_ = false;  // from any master, in this life
    std::string run_id_, replid_, replid2_;
    std::int64_t offset_ = 0, second_offset_ = -1, first_offset_ = 1, priority_ = 100, loaded_ = 0;
    std::vector<std::uint64_t> rows_;
    std::vector<Entry> backlog_;
    std::optional<env::Endpoint> follows_;
    LinkPointer upstream_;
    std::vector<LinkPointer> replicas_;
    std::vector<Waiting> waiting_;
    std::map<const void*, std::function<void()>> queued_;  // by Sentinel: its last order
    std::optional<Saved> saved_;
    std::size_t lost_at_start_ = 0;
    int made_ids_ = 0;
};

}  // namespace aeterna::sim::models
