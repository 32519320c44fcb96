// Postgres: one PostgreSQL server with its data directory. The WAL is a list of records, a row is
// one of them, so that what two servers have in common and what a rewind throws away can be read
// off. Modelled after PostgreSQL 15's documentation: a standby follows while its WAL is a beginning
// of the primary's; a commit waits for synchronous_standby_names; promotion begins a new timeline;
// a postmaster's death ends its sessions.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "env/sim/services.h"
#include "env/sim/world.h"

namespace aeterna::sim::models {

struct WalRecord {
    std::int64_t end = 0;  // LSN after it
    int timeline = 1;
    std::uint64_t row = 0;  // 0: no row of the workload
    friend bool operator==(const WalRecord& a, const WalRecord& b) {
        return a.end == b.end && a.timeline == b.timeline;
    }
};

enum class ControlState { kShutDown, kInProduction, kInRecovery };

class Postgres {
  public:
    Postgres(World& world, std::string name, Host& host, env::Endpoint endpoint,
             std::uint64_t system_identifier);
    Postgres(const Postgres&) = delete;
    Postgres& operator=(const Postgres&) = delete;

    Duration slowest_recovery = std::chrono::milliseconds(2500);
    // What its Patroni does. Nothing here blocks: "starting" takes its time by itself.
    void start(bool as_standby);
    void stop_immediate();
    // Clean: what is streaming has all of it.
    void stop_fast();
    void promote();
    void follow(Postgres* upstream);
    void set_sync_names(std::vector<std::string> names);
    // Throws away what `source` does not have. The caller has checked that this is possible.
    void rewind_to(const Postgres& source);

    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] Host& host() const { return host_; }
    [[nodiscard]] const env::Endpoint& endpoint() const { return endpoint_; }
    [[nodiscard]] std::string data_directory() const { return data_directory_; }
    [[nodiscard]] Process* process() const { return process_; }
    [[nodiscard]] bool is_running() const { return process_ != nullptr && process_->is_alive(); }
    [[nodiscard]] bool is_responsive() const { return is_running() && !process_->is_stopped(); }
    [[nodiscard]] bool is_starting() const { return is_running() && !accepts_; }
    [[nodiscard]] bool is_primary() const { return is_running() && !in_recovery_; }
    [[nodiscard]] bool is_streaming() const { return upstream_ != nullptr && is_receiving_; }
    [[nodiscard]] Postgres* upstream() const { return upstream_; }
    [[nodiscard]] ControlState control() const { return control_; }
    [[nodiscard]] std::int64_t lsn() const { return wal_.empty() ? kFirstLsn : wal_.back().end; }
    // Since the last message from the upstream, keepalives left out.
    [[nodiscard]] Duration receiver_silence() const { return world_.now() - received_at_; }
    [[nodiscard]] std::int64_t redo_lsn() const { return kFirstLsn; }
    [[nodiscard]] int timeline() const { return timeline_; }
    [[nodiscard]] const std::vector<WalRecord>& wal() const { return wal_; }
    [[nodiscard]] std::uint64_t system_identifier() const { return system_identifier_; }
    struct Standby {
        std::string name;
        bool is_streaming = false;
        bool is_sync = false;
    };
    [[nodiscard]] std::vector<Standby> standbys() const;
    // True when this WAL is no beginning of the other's: it must be rewound before it can follow.
    [[nodiscard]] bool has_diverged_from(const Postgres& other) const;
    [[nodiscard]] bool has_row(std::uint64_t row) const;

    // A client's INSERT: `done` is called once it is as durable as the settings ask; never, when
    // the server dies first.
    using Done = std::function<void(Status)>;
    void insert(std::uint64_t row, std::int64_t bytes, Done done);
    // Told after each record that this server, as a primary, has written.
    std::function<void(const Postgres&, const WalRecord&)> on_write;
    // Starts, ends, promotions.
    std::function<void()> on_change;

  private:
    friend class PostgresSql;
    static constexpr std::int64_t kFirstLsn = 0x3000000;
    struct Link {
        Postgres* standby = nullptr;
        std::uint64_t generation = 0;
        std::int64_t flushed = 0;
    };
    struct Waiting {
        std::int64_t lsn;
        Done done;
    };

    void begin_accepting();
    void died();
    void schedule_connect(Duration delay);
    void connect_upstream();
    void accept_standby(Postgres& standby, std::uint64_t generation);
    void upstream_answers(bool accepted, std::uint64_t generation);
    void send(Link& link, std::size_t from);
    void receive(const std::vector<WalRecord>& records, std::uint64_t generation, int timeline);
    void standby_flushed(const Postgres& standby, std::uint64_t generation, std::int64_t lsn);
    [[nodiscard]] bool is_synced(std::int64_t lsn) const;
    void release_waiting();
    void note_change() const;
    void write_pid_file() const;
    // A segment of the present timeline lies in pg_wal, as small as a file can be: nobody replays
    // it.
    void write_segment() const;

    World& world_;
    std::string name_;
    Host& host_;
    env::Endpoint endpoint_;
    std::uint64_t system_identifier_;
    std::string data_directory_;
    // On disk.
    std::vector<WalRecord> wal_;
    int timeline_ = 1;
    ControlState control_ = ControlState::kShutDown;
    // Of the running server.
    Process* process_ = nullptr;
    bool accepts_ = false;
    bool in_recovery_ = true;
    std::vector<std::string> sync_names_;
    std::vector<Link> links_;
    std::vector<Waiting> waiting_;
    Postgres* upstream_ = nullptr;
    bool is_receiving_ = false;
    MonoTime received_at_{};
    std::uint64_t generation_ = 0;  // of the present connection to the upstream
    std::uint64_t run_ = 0;         // counts starts
};

// Rows of `lost` that its WAL has beyond what `kept` has.
[[nodiscard]] std::size_t common_prefix(const std::vector<WalRecord>& a,
                                        const std::vector<WalRecord>& b);

}  // namespace aeterna::sim::models
