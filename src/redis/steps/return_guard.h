// ReturnGuard: meets the old master when it comes back as a master, before clients do.
//
// For a master that nobody could fence: a restarted one, or a paused one that wakes up. It is asked
// every few milliseconds; a connection to a paused process is kept, so that ours is among the first
// commands that it reads. Its writes are paused at once (they work while it loads, and end by
// themselves if we die), and kept paused; once a replica is proven promoted, what only the old
// master has is kept, and it is made a replica. A pause and not REPLICAOF comes first, because
// REPLICAOF begins the copy that destroys the tail.
//
// One thread of its own, from start() to the destructor, over its own connections.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "redis/client/cluster.h"
#include "redis/steps/tail.h"

namespace aeterna::redis {

class ReturnGuard {
  public:
    struct Report {
        std::optional<WallTime> held_at;  // its writes were paused first
        std::optional<WallTime> demoted_at;
        std::string note;  // the latest news, one line
        std::optional<Salvaged> salvaged;
    };
    // Files go into `directory`.
    ReturnGuard(SettingsPointer settings, const env::Env& env, RedisNode old_master,
                std::string directory);
    ~ReturnGuard();
    ReturnGuard(const ReturnGuard&) = delete;

    void start();
    // A promotion was proven: from now on the old master is demoted. `facts` are those that prove
    // the lineage.
    void demote_for(const std::string& new_master, const Json& facts);
    // The failover was given up: held writes go on, and nothing is held any more.
    void release();
    [[nodiscard]] Report report() const;
    // The thread's body; public for tests.
    void run(const std::stop_token& stop);

  private:
    enum class Next { kAgain, kDone };
    struct Promotion {
        std::string new_master;
        Json facts;
    };
    [[nodiscard]] Next meet(const std::stop_token& stop);
    [[nodiscard]] Next hold(Connection& connection, const std::stop_token& stop);
    [[nodiscard]] Next settle(Connection& connection, const NodeInfo& old,
                              const Promotion& promotion, const std::stop_token& stop);
    void keep_tail(const NodeInfo& old, const RedisNode& new_master, const env::Context& context);
    [[nodiscard]] bool is_back(const env::Context& context);
    [[nodiscard]] std::optional<Promotion> promotion() const;
    void note(const std::string& line);

    SettingsPointer settings_;
    const env::Env& env_;
    RedisNode old_master_;
    std::string directory_;
    Cluster cluster_;
    mutable std::mutex mutex_;
    Report report_;
    std::optional<Promotion> promotion_;
    std::atomic<bool> is_released_ = false;
    bool is_tail_kept_ = false;
    std::unique_ptr<env::Thread> thread_;  // last: its body uses all of the above
};

}  // namespace aeterna::redis
