// A stack of one store for the drill's tests. Its two nodes keep their records in memory; that the primary "node-1" lives
// is decided by a real process (`sleep`), found by its pid file, which the drill really kills, stops and starts again.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "../env/real_env.h"
#include "../support/fake_env.h"
#include "engine/drill/drill_store.h"
#include "engine/runbook/journal.h"

namespace aeterna::stack::test {

using env::testing::Directory;
using env::testing::real;
using env::testing::within;

// The real ports, but time jumps instead of passing.
inline env::Env with_clock(env::Clock& clock) {
    const env::Env& base = real();
    return {clock,       base.random, base.threads,       base.files, base.processes,
            base.dialer, base.http,   base.http_listener, base.sql,   base.log};
}

// A node's process: starts with the object, is ended with it, whoever restarted it meanwhile.
class NodeProcess {
  public:
    NodeProcess(std::string node, std::string pid_file) : node_(std::move(node)), pid_file_(std::move(pid_file)) {
        env::SpawnOptions options;
        options.argv = {"sleep", "120"};
        const auto id = real().processes.spawn(options);
        EXPECT_TRUE(id) << id.error().to_string();
        if (!id) return;
        const Status written = real().files.write_durable(pid_file_, fmt::format("{}\n", id->pid));
        EXPECT_TRUE(written) << written.error().to_string();
    }
    ~NodeProcess() {
        if (const auto info = now()) std::ignore = real().processes.signal(info->id, 9);
    }
    NodeProcess(const NodeProcess&) = delete;
    NodeProcess& operator=(const NodeProcess&) = delete;

    [[nodiscard]] std::optional<env::ProcessInfo> now() const {
        const auto text = real().files.read(pid_file_);
        return text && !text->empty() ? real().processes.inspect(std::atoi(text->c_str())) : std::nullopt;
    }
    [[nodiscard]] env::ProcessId id() const {
        const auto info = now();
        return info ? info->id : env::ProcessId{};
    }
    [[nodiscard]] bool is_running() const {
        const auto info = now();
        return info && info->state != 'T';
    }
    [[nodiscard]] config::HostProcess configuration() const {
        const std::string script = fmt::format("sleep 120 </dev/null >/dev/null 2>&1 & echo $! > '{}'", pid_file_);
        config::HostProcess configured;
        configured.node = node_;
        configured.pid_file = pid_file_;
        configured.start = {"/bin/sh", "-c", script};
        configured.honours_fence = true;  // our executor is all that starts it
        return configured;
    }

  private:
    std::string node_;
    std::string pid_file_;
};

// Two nodes with asynchronous replication and a failover of a fixed length. Thread-safe.
class FakeCluster {
  public:
    struct Behaviour {
        Duration detection = 100ms;  // until the "watcher" opens an incident
        Duration outage = 400ms;     // until node-2 takes over
        std::size_t lost_tail = 0;   // the last so many acknowledged records never reached node-2
        bool refuses_writes = false;
    };

    FakeCluster(std::string store, const NodeProcess& process, engine::Journal& journal, Behaviour behaviour)
        : store_(std::move(store)), process_(process), journal_(journal), behaviour_(behaviour) {}

    // Called once, when the primary is first seen without life.
    std::function<void()> on_silence;

    [[nodiscard]] const std::string& store() const { return store_; }
    // An empty node is the client's path: whoever is primary.
    engine::WriteReply write(const std::string& node, std::uint64_t id) {
        const std::lock_guard lock(mutex_);
        observe();
        const std::string target = node.empty() ? primary_ : node;
        if (behaviour_.refuses_writes) return {engine::WriteOutcome::kFail, target, "no writes by order"};
        if (target == "node-1" && !process_.is_running()) {
            const bool is_gone = !process_.now();
            return {is_gone ? engine::WriteOutcome::kFail : engine::WriteOutcome::kUnknown, target, "no answer"};
        }
        if (target != primary_) return {engine::WriteOutcome::kFail, target, "read-only"};
        acknowledged_.push_back(id);
        return {engine::WriteOutcome::kOk, target, ""};
    }
    std::vector<std::uint64_t> records() {
        const std::lock_guard lock(mutex_);
        std::vector<std::uint64_t> present;
        for (const std::uint64_t id : acknowledged_) {
            if (!dropped_.contains(id)) present.push_back(id);
        }
        std::sort(present.begin(), present.end());
        return present;
    }
    [[nodiscard]] std::string primary() {
        const std::lock_guard lock(mutex_);
        return primary_;
    }
    [[nodiscard]] std::set<std::uint64_t> dropped() {
        const std::lock_guard lock(mutex_);
        return dropped_;
    }
    // From the first sign of death to the new primary.
    [[nodiscard]] Duration outage() {
        const std::lock_guard lock(mutex_);
        return silent_since_ ? promoted_at_ - *silent_since_ : Duration::zero();
    }
    // What a watcher would say.
    engine::StackStatus status() {
        const std::lock_guard lock(mutex_);
        engine::StackStatus status;
        status.healthy = process_.is_running();
        engine::StoreStatus store;
        store.store = store_;
        store.health = status.healthy ? engine::Health::kOk : engine::Health::kDegraded;
        status.stores.push_back(store);
        return status;
    }

  private:
    void observe() {
        if (primary_ != "node-1" || process_.is_running()) return;
        const MonoTime now = real().clock.now();
        if (!silent_since_) {
            silent_since_ = now;
            if (on_silence) on_silence();
        }
        if (now - *silent_since_ >= behaviour_.detection && !std::exchange(is_detected_, true)) {
            const Status kept = journal_.put_incident({"inc-1", store_ + ".primary_down", store_, "node-1", "critical",
                                                       "open", "node-1 is down", {}, real().clock.wall_now(), {}});
            EXPECT_TRUE(kept);
        }
        if (now - *silent_since_ < behaviour_.outage) return;
        promoted_at_ = now;
        primary_ = "node-2";
        const std::size_t tail = std::min(behaviour_.lost_tail, acknowledged_.size());
        dropped_.insert(acknowledged_.end() - static_cast<std::ptrdiff_t>(tail), acknowledged_.end());
        EXPECT_TRUE(journal_.append_event({real().clock.wall_now(), store_, "primary.changed", "node-2", ""}));
    }

    std::mutex mutex_;
    std::string store_;
    const NodeProcess& process_;
    engine::Journal& journal_;
    Behaviour behaviour_;
    std::string primary_ = "node-1";
    std::vector<std::uint64_t> acknowledged_;  // in order
    std::set<std::uint64_t> dropped_;
    std::optional<MonoTime> silent_since_;
    MonoTime promoted_at_{};
    bool is_detected_ = false;
};

class FakeWriter final : public engine::Writer {
  public:
    FakeWriter(FakeCluster& cluster, std::string node) : cluster_(cluster), node_(std::move(node)) {}
    engine::WriteReply write(std::uint64_t id, const env::Context&) override { return cluster_.write(node_, id); }

  private:
    FakeCluster& cluster_;
    std::string node_;
};

class FakeDrillStore final : public engine::DrillStore {
  public:
    struct Log {
        int prepared = 0;
        int cleaned = 0;
        int read = 0;
        int failing_cleans = 0;  // the next so many fail
    };
    FakeDrillStore(FakeCluster& cluster, Log& log, std::vector<std::string> hit)
        : cluster_(cluster), log_(log), hit_(std::move(hit)) {}

    int failing_reads = 0;

    const std::string& name() const override { return cluster_.store(); }
    const config::Objectives& objectives() const override { return objectives_; }
    bool has_primary() const override { return !hit_.empty(); }
    std::string server() const override { return "real"; }
    Status prepare(const std::string&, const env::Context&) override {
        ++log_.prepared;
        return {};
    }
    Result<std::vector<engine::WritePath>> paths(const std::string&) override {
        std::vector<engine::WritePath> paths;
        paths.push_back({"client", engine::PathKind::kClient, std::make_unique<FakeWriter>(cluster_, "")});
        for (const char* node : {"node-1", "node-2"}) {
            paths.push_back({node, engine::PathKind::kDirect, std::make_unique<FakeWriter>(cluster_, node)});
        }
        return paths;
    }
    Result<std::vector<std::uint64_t>> read_back(const std::string&, const env::Context&) override {
        ++log_.read;
        if (failing_reads-- > 0) return make_error(ErrorCode::kConnectionRefused, "nobody listens");
        return cluster_.records();
    }
    Result<engine::FaultTarget> fault_target(engine::FaultKind, const env::Context&) override {
        return engine::FaultTarget{cluster_.primary(), hit_, hit_};
    }
    Status clean_up(const std::string&, const env::Context&) override {
        if (log_.failing_cleans-- > 0) return make_error(ErrorCode::kConnectionRefused, "nobody listens");
        ++log_.cleaned;
        return {};
    }

  private:
    FakeCluster& cluster_;
    Log& log_;
    std::vector<std::string> hit_;
    config::Objectives objectives_{30s, 5s};
};

// The stack "test" on one host, with its journal in a directory of its own.
class Rig {
  public:
    Rig() {
        auto opened = engine::open_sqlite_journal(directory.file("journal.db"));
        EXPECT_TRUE(opened) << opened.error().to_string();
        if (opened) journal_ = std::move(*opened);
        stack.name = "test";
        stack.state_directory = directory.path();
        stack.objectives = {1min, 1min};
        stack.hosts.resize(1);
        stack.hosts[0].name = "host-1";
        stack.hosts[0].executor = "local";
        stack.hosts[0].fence_directory = directory.file("fences");
        stack.hosts[0].processes = {process.configuration()};
    }
    [[nodiscard]] engine::Journal& journal() { return *journal_; }
    [[nodiscard]] std::size_t unhealed() { return journal_->unhealed_faults().value().size(); }
    // How many events of this kind there are.
    [[nodiscard]] std::size_t count_events(const std::string& kind) {
        const auto events = journal_->events(WallTime{}, real().clock.wall_now()).value();
        return static_cast<std::size_t>(
            std::count_if(events.begin(), events.end(), [&](const auto& event) { return event.kind == kind; }));
    }

    Directory directory;
    NodeProcess process{"node-1", directory.file("node-1.pid")};
    config::Stack stack;

  private:
    std::unique_ptr<engine::Journal> journal_;
};

}  // namespace aeterna::stack::test
