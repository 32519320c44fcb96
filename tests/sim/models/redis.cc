#include "models/redis.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"

namespace aeterna::sim::models {
namespace {

constexpr Duration kCron = std::chrono::seconds(1);
constexpr Duration kReplicationTimeout = std::chrono::seconds(60);  // repl-timeout
constexpr Duration kSyncDelay = std::chrono::seconds(5);            // repl-diskless-sync-delay
constexpr std::int64_t kWriteBytes = 60;
constexpr std::int64_t kHelloBytes = 130;

}  // namespace

Redis::Redis(World& world, std::string name, Host& host, env::Endpoint endpoint)
    : world_(world), name_(std::move(name)), host_(host), endpoint_(std::move(endpoint)) {
    world_.disk.make_directories("/etc/redis", 0755);
    world_.disk.make_directories("/run/redis", 0755);
    world_.disk.make_directories("/data/" + name_, 0700);
    rewrite_config();
}

void Redis::rewrite_config() const {
    std::string text = fmt::format("dir /data/{}\nappendonly {}\n", name_, is_persistent ? "yes" : "no");
    if (follows_) text += fmt::format("replicaof {} {}\n", follows_->host, follows_->port);
    if (Result<Disk::Node*> node = world_.disk.make(config_file())) (*node)->content = (*node)->durable = text;
}

void Redis::read_config() {
    follows_.reset();
    Disk::Node* node = world_.disk.find(config_file());
    if (node == nullptr) return;
    for (const std::string_view line : split(node->content, '\n')) {
        const auto words = split(line, ' ');
        if (words.size() == 3 && words[0] == "replicaof") {
            follows_ = env::Endpoint{std::string(words[1]), static_cast<int>(to_integer(words[2]).value_or(0))};
        }
    }
}

void Redis::start() {
    if (is_running()) return;
    ProcessOptions options;
    options.command = "redis-server";
    options.host = &host_;
    options.uid = 106;
    options.working_directory = "/data/" + name_;
    process_ = &world_.processes.start(options);
    ++run_;
    process_->on_death.emplace_back([this, run = run_] {
        if (run == run_) died();
    });
    if (Result<Disk::Node*> node = world_.disk.make(pid_file()))
        (*node)->content = (*node)->durable = fmt::format("{}\n", process_->id.pid);
    started_at_ = link_lost_at_ = heard_at_ = world_.now();
    was_linked_ = has_replicated_ = false;
    paused_until_ = {};
    queued_.clear();
    run_id_ = fmt::format("{}-run-{}", name_, run_);
    read_config();
    load();
    world_.network.listen(endpoint_, *process_, make_resp_service(*this), &StreamService::kProtocol);
    if (follows_) connect();
    tick(run_);
}

void Redis::begin_history() {
    replid_ = fmt::format("{}-history-{}", name_, ++made_ids_);
    replid2_.clear();
    second_offset_ = -1;
    offset_ = 0;
    first_offset_ = 1;
    backlog_.clear();
}

// loadDataFromDisk(): the AOF names no history; an RDB file names that of its data, and where that ends.
void Redis::load() {
    const std::size_t had = rows_.size();
    begin_history();
    if (!is_persistent) rows_ = saved_ ? saved_->rows : std::vector<std::uint64_t>();
    if (!is_persistent && saved_) {
        (follows_ ? replid_ : replid2_) = saved_->replid;
        if (!follows_) second_offset_ = saved_->offset + 1;
        offset_ = saved_->offset;
        first_offset_ = offset_ + 1;
    }
    loaded_ = static_cast<std::int64_t>(rows_.size());
    lost_at_start_ = had > rows_.size() ? had - rows_.size() : 0;
}

void Redis::died() {
    world_.trace(name_ + " has died");
    waiting_.clear();
    drop_replicas();
    drop_upstream();
}

// replicationCron(): once a second.
void Redis::tick(std::uint64_t run) {
    if (run != run_ || !is_running()) return;
    process_->when_running([this, run] {
        if (run != run_ || !is_running()) return;
        if (!follows_) append({offset_ + kHelloBytes, 0});
        const bool is_quiet = upstream_ && upstream_->is_open && world_.now() - heard_at_ > kReplicationTimeout;
        if (is_quiet) drop_upstream();
        if (follows_ && (!upstream_ || !upstream_->is_open)) connect();
    });
    world_.scheduler.after(kCron, [this, run] { tick(run); });
}

// --- Writes --------------------------------------------------------------------------------------

void Redis::write(std::uint64_t row, Done done) {
    if (world_.now() < paused_until_ && is_master()) {
        waiting_.push_back({row, std::move(done)});
        return;
    }
    take(row, done);
}

void Redis::take(std::uint64_t row, const Done& done) {
    if (!is_master()) {
        return done(make_error(ErrorCode::kReadOnly, "READONLY You can't write against a read only replica."));
    }
    if (row != 0) rows_.push_back(row);
    append({offset_ + kWriteBytes, row});
    if (on_write && row != 0) on_write(*this);
    done(Status());
}

void Redis::hold_writes(Duration time) {
    paused_until_ = std::max(paused_until_, world_.now() + time);
    world_.scheduler.after(paused_until_ - world_.now(), [this, run = run_, until = paused_until_] {
        if (run == run_ && paused_until_ == until) let_writes_go();
    });
}

void Redis::let_writes_go() {
    if (!is_running()) return;
    paused_until_ = {};
    for (Waiting& waiting : std::exchange(waiting_, {})) take(waiting.row, waiting.done);
    for (auto& [sentinel, act] : std::exchange(queued_, {})) act();
}

void Redis::order(const void* sentinel, std::function<void()> act) {
    if (is_paused()) queued_[sentinel] = std::move(act);
    else act();
}

void Redis::append(Entry entry) {
    offset_ = entry.end;
    backlog_.push_back(entry);
    for (const LinkPointer& link : replicas_) {
        if (link->is_open && link->is_synced) send(link, entry);
    }
}

// --- Replication ---------------------------------------------------------------------------------

void Redis::send(const LinkPointer& link, const Entry& entry) {
    link->under_way.push_back(entry);
    world_.network.carry(host_, link->replica->host_, true, [link] {
        Redis& replica = *link->replica;
        if (!link->is_open || !replica.is_running()) return;
        replica.process_->when_running([link] { link->replica->receive(link); });
    });
}

// Whatever arrives first carries what was sent first.
void Redis::receive(const LinkPointer& link) {
    if (!link->is_open || link != upstream_ || link->under_way.empty()) return;
    const Entry entry = link->under_way.front();
    link->under_way.pop_front();
    heard_at_ = world_.now();
    if (entry.end <= offset_) return;
    if (entry.row != 0) rows_.push_back(entry.row);
    append(entry);
}

void Redis::follow(std::optional<env::Endpoint> master) {
    if (master == follows_) return;
    drop_upstream();
    drop_replicas();
    if (!master) {
        // shiftReplicationId()
        replid2_ = replid_;
        second_offset_ = offset_ + 1;
        replid_ = fmt::format("{}-history-{}", name_, ++made_ids_);
    }
    follows_ = std::move(master);
    world_.trace(fmt::format("{} {}", name_, follows_ ? "follows " + follows_->to_string() : "is a master"));
    link_lost_at_ = world_.now();
    was_linked_ = false;
    if (follows_) connect();
    // What waits on a pause goes on by the new role's rules.
    if (follows_ && world_.now() < paused_until_) let_writes_go();
}

void Redis::connect() {
    Redis* source = find_server ? find_server(*follows_) : nullptr;
    const bool is_there = source != nullptr && source != this && source->is_running() &&
                          world_.network.is_open(&host_, &source->host_) &&
                          world_.network.is_open(&source->host_, &host_);
    if (!is_there) return;
    auto link = std::make_shared<Link>();
    link->source = source;
    link->replica = this;
    drop_upstream();
    upstream_ = link;
    heard_at_ = world_.now();
    world_.network.carry(host_, source->host_, true, [link] {
        if (!link->is_open || !link->source->is_running()) return link->source->close(link);
        link->source->process_->when_running([link] { link->source->accept(link); });
    });
}

bool Redis::can_continue(const Redis& replica) const {
    const bool is_in_backlog = replica.offset_ + 1 >= first_offset_ && replica.offset_ <= offset_;
    if (!is_in_backlog) return false;
    if (replica.replid_ == replid_) return true;
    return replica.replid_ == replid2_ && replica.offset_ + 1 <= second_offset_;
}

void Redis::accept(const LinkPointer& link) {
    Redis& replica = *link->replica;
    if (!link->is_open || !replica.is_running()) return;
    if (follows_ && !is_link_up()) return close(link);  // NOMASTERLINK
    replicas_.push_back(link);
    if (!can_continue(replica)) {
        world_.scheduler.after(kSyncDelay + world_.rng().between(100ms, 600ms), [link] {
            Redis& source = *link->source;
            if (!link->is_open || !source.is_running()) return;
            source.process_->when_running([link] { link->source->copy_all(link); });
        });
        return;
    }
    link->is_synced = replica.was_linked_ = replica.has_replicated_ = true;
    if (replica.replid_ != replid_) {
        replica.drop_replicas();
        replica.replid2_ = replica.replid_;
        replica.second_offset_ = replica.offset_ + 1;
        replica.replid_ = replid_;
    }
    for (const Entry& entry : backlog_) {
        if (entry.end > replica.offset_) send(link, entry);
    }
}

void Redis::copy_all(const LinkPointer& link) {
    Redis& replica = *link->replica;
    if (!link->is_open || !replica.is_running() || replica.process_->is_stopped()) return;
    if (follows_ && !is_link_up()) return close(link);
    world_.trace(fmt::format("{} copies all of {}: {} rows instead of {}", replica.name_, name_, rows_.size(),
                             replica.rows_.size()));
    if (on_copy) on_copy(*this, replica, replica.rows_.size());
    replica.drop_replicas();
    replica.rows_ = rows_;
    replica.replid_ = replid_;
    replica.replid2_.clear();
    replica.second_offset_ = -1;
    replica.offset_ = offset_;
    replica.first_offset_ = offset_ + 1;
    replica.backlog_.clear();
    replica.save();
    replica.heard_at_ = world_.now();
    link->is_synced = replica.was_linked_ = replica.has_replicated_ = true;
}

void Redis::close(const LinkPointer& link) {
    if (!link->is_open) return;
    link->is_open = false;
    std::erase(link->source->replicas_, link);
    // A handshake that came to nothing is no link.
    if (link->is_synced) link->replica->link_lost_at_ = world_.now();
}

// A replica hears of it when the path lets it.
void Redis::drop_replicas() {
    for (const LinkPointer& link : std::exchange(replicas_, {})) {
        world_.network.carry(host_, link->replica->host_, true, [link] { link->source->close(link); });
    }
}

void Redis::drop_upstream() {
    if (upstream_) close(upstream_);
    upstream_.reset();
}

}  // namespace aeterna::sim::models
