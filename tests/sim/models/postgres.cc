#include "models/postgres.h"

#include <fmt/format.h>

#include <algorithm>

#include "models/postgres_sql.h"

namespace aeterna::sim::models {
namespace {

constexpr Duration kRetryInterval = std::chrono::seconds(5);  // wal_retrieve_retry_interval
constexpr Duration kShortestFlush = std::chrono::microseconds(200);
constexpr Duration kLongestFlush = std::chrono::milliseconds(3);
constexpr std::int64_t kPromotionBytes = 400;

}  // namespace

std::size_t common_prefix(const std::vector<WalRecord>& a, const std::vector<WalRecord>& b) {
    // Equal records have equal beginnings: the first difference can be searched by halves.
    std::size_t low = 0, high = std::min(a.size(), b.size());
    while (low < high) {
        const std::size_t middle = (low + high + 1) / 2;
        if (a[middle - 1] == b[middle - 1]) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}

Postgres::Postgres(World& world, std::string name, Host& host, env::Endpoint endpoint,
                   std::uint64_t system_identifier)
    : world_(world),
      name_(std::move(name)),
      host_(host),
      endpoint_(std::move(endpoint)),
      system_identifier_(system_identifier),
      data_directory_("/data/" + host.name + "/postgres") {
    world_.disk.make_directories(data_directory_ + "/pg_wal", 0700);
    wal_.push_back({kFirstLsn + 0x100, 1, 0});
}

void Postgres::note_change() const {
    if (on_change) on_change();
}

void Postgres::write_pid_file() const {
    if (Result<Disk::Node*> node = world_.disk.make(data_directory_ + "/postmaster.pid")) {
        (*node)->content = (*node)->durable =
            fmt::format("{}\n{}\n", process_->id.pid, data_directory_);
    }
}

void Postgres::write_segment() const {
    const std::string name = fmt::format("{:08X}0000000000000003", timeline_);
    if (Result<Disk::Node*> node = world_.disk.make(data_directory_ + "/pg_wal/" + name)) {
        (*node)->content = (*node)->durable = std::string(64, '\0');
    }
}

void Postgres::start(bool as_standby) {
    if (is_running()) return;
    ProcessOptions options;
    options.command = "postgres";
    options.host = &host_;
    options.uid = 105;
    options.working_directory = data_directory_;
    process_ = &world_.processes.start(options);
    options.command = "postgres: walwriter";
    options.parent = process_->id.pid;
    Process& child = world_.processes.start(options);
    accepts_ = false;
    in_recovery_ = true;
    ++run_;
    process_->on_death.emplace_back([this, run = run_, &child] {
        // Children see the postmaster's end at their next wait.
        world_.scheduler.after(world_.rng().between(0ms, 50ms),
                               [this, &child] { world_.processes.exit(child); });
        if (run == run_) died();
    });
    write_pid_file();
    write_segment();
    world_.network.listen(endpoint_, *process_,
                          std::shared_ptr<SqlService>(std::make_shared<PostgresSql>(*this, world_)),
                          &SqlService::kProtocol);
    const bool is_clean = control_ == ControlState::kShutDown;
    const Duration takes =
        is_clean ? world_.rng().between(100ms, 500ms) : world_.rng().between(300ms, slowest_recovery);
    control_ = as_standby ? ControlState::kInRecovery : ControlState::kInProduction;
    world_.scheduler.after(takes, [this, run = run_, as_standby] {
        if (run != run_ || !is_running()) return;
        process_->when_running([this, run, as_standby] {
            if (run != run_) return;
            in_recovery_ = as_standby;
            begin_accepting();
        });
    });
    note_change();
}

void Postgres::begin_accepting() {
    accepts_ = true;
    if (in_recovery_) schedule_connect(0ms);
    note_change();
}

void Postgres::died() {
    accepts_ = false;
    is_receiving_ = false;
    ++generation_;
    waiting_.clear();
    for (const Link& link : std::exchange(links_, {})) {
        world_.network.carry(host_, link.standby->host_, true,
                             [standby = link.standby, generation = link.generation] {
                                 standby->upstream_answers(false, generation);
                             });
    }
    note_change();
}

void Postgres::stop_immediate() {
    if (is_running()) world_.processes.exit(*process_);
}

void Postgres::stop_fast() {
    if (!is_running()) return;
    // Walsenders send all, the shutdown checkpoint included, before the postmaster ends.
    for (Link& link : links_) {
        if (world_.network.is_open(&host_, &link.standby->host_) && link.standby->is_responsive() &&
            link.standby->generation_ == link.generation) {
            const std::size_t known = common_prefix(wal_, link.standby->wal_);
            link.standby->wal_.insert(link.standby->wal_.end(),
                                      wal_.begin() + static_cast<std::ptrdiff_t>(known),
                                      wal_.end());
        }
    }
    control_ = in_recovery_ ? ControlState::kInRecovery : ControlState::kShutDown;
    world_.disk.remove(data_directory_ + "/postmaster.pid");
    world_.processes.exit(*process_);
}

void Postgres::promote() {
    if (!is_running() || !in_recovery_) return;
    ++generation_;
    is_receiving_ = false;
    upstream_ = nullptr;
    in_recovery_ = false;
    control_ = ControlState::kInProduction;
    ++timeline_;
    write_segment();
    wal_.push_back({lsn() + kPromotionBytes, timeline_, 0});
    if (world_.is_traced()) world_.trace(fmt::format("{} promoted, timeline {}", name_, timeline_));
    note_change();
}

void Postgres::follow(Postgres* upstream) {
    if (upstream_ == upstream && is_receiving_) return;
    upstream_ = upstream;
    is_receiving_ = false;
    ++generation_;
    if (accepts_ && in_recovery_) schedule_connect(0ms);
}

void Postgres::rewind_to(const Postgres& source) {
    const std::size_t kept = common_prefix(wal_, source.wal_);
    if (world_.is_traced()) {
        world_.trace(
            fmt::format("{} is rewound: {} records thrown away", name_, wal_.size() - kept));
    }
    wal_.resize(kept);
    timeline_ = source.timeline_;
    control_ = ControlState::kInRecovery;
}

bool Postgres::has_diverged_from(const Postgres& other) const {
    return common_prefix(wal_, other.wal_) != wal_.size();
}

bool Postgres::has_row(std::uint64_t row) const {
    return std::any_of(wal_.rbegin(), wal_.rend(),
                       [&](const WalRecord& record) { return record.row == row; });
}

// --- Streaming -----------------------------------------------------------------------------------

void Postgres::schedule_connect(Duration delay) {
    world_.scheduler.after(delay + world_.rng().between(1ms, 20ms),
                           [this, generation = generation_, run = run_] {
                               if (generation == generation_ && run == run_ && is_running()) {
                                   process_->when_running([this] { connect_upstream(); });
                               }
                           });
}

void Postgres::connect_upstream() {
    if (upstream_ == nullptr || is_receiving_ || !in_recovery_ || !accepts_) return;
    Postgres& upstream = *upstream_;
    const std::uint64_t generation = ++generation_;
    // An upstream that never answers: the connection is given up and tried anew.
    world_.scheduler.after(2 * kRetryInterval, [this, generation, run = run_] {
        if (generation == generation_ && run == run_ && !is_receiving_) schedule_connect(0ms);
    });
    if (!world_.network.is_open(&host_, &upstream.host_) ||
        !world_.network.is_open(&upstream.host_, &host_)) {
        schedule_connect(kRetryInterval);
        return;
    }
    world_.network.carry(host_, upstream.host_, false, [this, &upstream, generation] {
        if (!upstream.is_running()) {
            world_.network.carry(upstream.host_, host_, true,
                                 [this, generation] { upstream_answers(false, generation); });
            return;
        }
        upstream.process_->when_running(
            [this, &upstream, generation] { upstream.accept_standby(*this, generation); });
    });
}

void Postgres::accept_standby(Postgres& standby, std::uint64_t generation) {
    const bool accepted = accepts_ && standby.generation_ == generation &&
                          !standby.has_diverged_from(*this) && standby.timeline_ <= timeline_;
    if (accepted) {
        std::erase_if(links_, [&](const Link& link) { return link.standby == &standby; });
        links_.push_back({&standby, generation, standby.lsn()});
    }
    world_.network.carry(host_, standby.host_, true, [&standby, generation, accepted] {
        if (standby.process_ != nullptr) {
            standby.process_->when_running([&standby, generation, accepted] {
                standby.upstream_answers(accepted, generation);
            });
        }
    });
    if (accepted) send(links_.back(), standby.wal_.size());
}

void Postgres::upstream_answers(bool accepted, std::uint64_t generation) {
    if (generation != generation_ || !is_running() || !in_recovery_) return;
    const bool was_receiving = std::exchange(is_receiving_, accepted);
    received_at_ = world_.now();
    if (accepted || upstream_ == nullptr) return;
    ++generation_;
    schedule_connect(was_receiving ? Duration(0ms) : kRetryInterval);
}

void Postgres::send(Link& link, std::size_t from) {
    std::vector<WalRecord> records(wal_.begin() + static_cast<std::ptrdiff_t>(from), wal_.end());
    Postgres& standby = *link.standby;
    world_.network.carry(host_, standby.host_, true,
                         [&standby, records = std::move(records), generation = link.generation,
                          timeline = timeline_]() mutable {
                             if (standby.process_ == nullptr) return;
                             standby.process_->when_running(
                                 [&standby, records = std::move(records), generation, timeline] {
                                     standby.receive(records, generation, timeline);
                                 });
                         });
}

void Postgres::receive(const std::vector<WalRecord>& records, std::uint64_t generation,
                       int timeline) {
    if (generation != generation_ || !in_recovery_ || !is_running() || upstream_ == nullptr) return;
    is_receiving_ = true;
    received_at_ = world_.now();
    timeline_ = std::max(timeline_, timeline);
    // What overtook an earlier message waits for it: the walsender's stream has an order.
    for (const WalRecord& record : records) {
        if (record.end <= lsn()) continue;
        const std::size_t next = wal_.size();
        if (next >= upstream_->wal_.size() || !(upstream_->wal_[next] == record)) {
            const auto at = std::find(upstream_->wal_.begin(), upstream_->wal_.end(), record);
            if (at == upstream_->wal_.end()) return;
            const std::size_t known = common_prefix(wal_, upstream_->wal_);
            if (known != wal_.size()) return;
            wal_.insert(wal_.end(), upstream_->wal_.begin() + static_cast<std::ptrdiff_t>(known),
                        at);
        }
        wal_.push_back(record);
    }
    Postgres& primary = *upstream_;
    world_.scheduler.after(world_.rng().between(kShortestFlush, kLongestFlush), [this, &primary,
                                                                                 generation,
                                                                                 flushed = lsn()] {
        if (generation != generation_ || !is_running()) return;
        process_->when_running([this, &primary, generation, flushed] {
            world_.network.carry(host_, primary.host_, true, [this, &primary, generation, flushed] {
                if (!primary.is_running()) return;
                primary.process_->when_running([this, &primary, generation, flushed] {
                    primary.standby_flushed(*this, generation, flushed);
                });
            });
        });
    });
}

void Postgres::standby_flushed(const Postgres& standby, std::uint64_t generation,
                               std::int64_t lsn) {
    for (Link& link : links_) {
        if (link.standby == &standby && link.generation == generation)
            link.flushed = std::max(link.flushed, lsn);
    }
    release_waiting();
}

std::vector<Postgres::Standby> Postgres::standbys() const {
    std::vector<Standby> found;
    for (const Link& link : links_) {
        if (link.standby->generation_ != link.generation || !link.standby->is_running()) continue;
        const bool is_named = std::find(sync_names_.begin(), sync_names_.end(),
                                        link.standby->name_) != sync_names_.end() ||
                              (!sync_names_.empty() && sync_names_.front() == "*");
        found.push_back({link.standby->name_, true, is_named});
    }
    return found;
}

// --- Commits -------------------------------------------------------------------------------------

void Postgres::set_sync_names(std::vector<std::string> names) {
    sync_names_ = std::move(names);
    release_waiting();
}

bool Postgres::is_synced(std::int64_t lsn) const {
    if (sync_names_.empty()) return true;
    return std::any_of(links_.begin(), links_.end(), [&](const Link& link) {
        const bool is_named =
            sync_names_.front() == "*" || std::find(sync_names_.begin(), sync_names_.end(),
                                                    link.standby->name_) != sync_names_.end();
        return is_named && link.flushed >= lsn;
    });
}

void Postgres::release_waiting() {
    std::vector<Waiting> left;
    for (Waiting& waiting : std::exchange(waiting_, {})) {
        if (is_synced(waiting.lsn)) {
            waiting.done(Status());
        } else {
            left.push_back(std::move(waiting));
        }
    }
    waiting_ = std::move(left);
}

void Postgres::insert(std::uint64_t row, std::int64_t bytes, Done done) {
    if (!accepts_) {
        done(make_error(ErrorCode::kUnavailable,
                        "FATAL: 57P03: the database system is starting up"));
        return;
    }
    if (in_recovery_) {
        done(make_error(ErrorCode::kReadOnly,
                        "cannot execute INSERT in a read-only transaction (SQLSTATE 25006)"));
        return;
    }
    wal_.push_back({lsn() + bytes, timeline_, row});
    const WalRecord written = wal_.back();
    if (on_write) on_write(*this, written);
    for (Link& link : links_) send(link, wal_.size() - 1);
    world_.scheduler.after(world_.rng().between(kShortestFlush, kLongestFlush),
                           [this, run = run_, lsn = written.end, done = std::move(done)] {
                               if (run != run_ || !is_running()) return;
                               process_->when_running([this, run, lsn, done] {
                                   if (run != run_) return;
                                   if (is_synced(lsn)) {
                                       done(Status());
                                   } else {
                                       waiting_.push_back({lsn, done});
                                   }
                               });
                           });
}

}  // namespace aeterna::sim::models
