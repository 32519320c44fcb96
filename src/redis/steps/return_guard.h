// ReturnGuard: meets an old master when it comes back as a master, before clients do.
//
// For a master that nobody could fence: a restarted one, or a paused one that wakes up. It is asked every few
// milliseconds; a connection to a paused process is kept, so that ours is among the first commands that it reads. Its
// writes are paused at once (they work while it loads, and end by themselves if we die), and kept paused; once a replica
// is proven promoted, what only the old master has is kept, and it is made a replica. A pause and not REPLICAOF comes
// first, because REPLICAOF begins the copy that destroys the tail.
//
// While an execution holds it (arm, disarm), that one says who was promoted, and its word is enough to hold; but where that
// one does not answer for 15 s and a majority of the Sentinels names the old master, somebody has to take writes; and one
// that came back while we stood still has taken them already, where a majority names it (docs/decisions/018). Without one
// (return_sentry.h) the guard looks for itself: it goes on holding only as long as the Sentinels name another node, or the
// heir that it saw before still says that it is master. Whoever the Sentinels name is let go.
//
// Where it cannot make it a replica, it lets the Sentinels: a pause of writes holds up their orders, too (kBreath).
//
// One thread of its own, from start() to the destructor, over its own connections.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "redis/client/cluster.h"
#include "redis/steps/tail.h"

namespace aeterna::redis {

// A process that runs needs milliseconds from one try, or one phase of a step, to the next.
inline constexpr Duration kStoodStill = std::chrono::seconds(2);

class ReturnGuard {
  public:
    struct Report {
        std::optional<WallTime> held_at;  // its writes were paused first
        std::optional<WallTime> demoted_at;
        bool is_given_back = false;  // a majority of the Sentinels names it again: its writes go on
        std::string note;  // the latest news, one line
        std::optional<Salvaged> salvaged;
    };
    // Files go into `directory`.
    ReturnGuard(SettingsPointer settings, const env::Env& env, RedisNode old_master,
                std::string directory);
    ~ReturnGuard();
    ReturnGuard(const ReturnGuard&) = delete;

    void start();
    // An execution relies on it: it holds without asking anybody, and files go into `directory` from now on.
    void arm(const std::string& directory);
    void disarm();
    // A promotion was proven: from now on the old master is demoted, until disarm(). `facts` are those that prove
    // the lineage.
    void demote_for(const std::string& new_master, const Json& facts);
    // Held writes go on, and nothing is held any more.
    void release();
    // It has done what it was for, or was released.
    [[nodiscard]] bool is_over() const { return is_over_ || is_released_; }
    [[nodiscard]] Report report() const;
    // The thread's body; public for tests.
    void run(const std::stop_token& stop);

  private:
    enum class Next { kAgain, kDone };
    struct Promotion {
        std::string new_master;
        Json facts;
    };
    // Whose the master's place is, as far as can be seen.
    struct Others {
        enum class Word { kUnknown, kReplaced, kBack };
        Word word = Word::kUnknown;
        std::optional<Promotion> promotion;  // who demotes it, when that one answers
    };
    [[nodiscard]] Next meet(const std::stop_token& stop);
    [[nodiscard]] Next hold(Connection& connection, const std::stop_token& stop);
    [[nodiscard]] Next settle(Connection& connection, const NodeInfo& old,
                              const Promotion& promotion, const std::stop_token& stop);
    [[nodiscard]] Others look_around(const env::Context& context);
    void breathe(Connection& connection, const NodeInfo& old, const std::stop_token& stop);
    void remember_heir(const std::stop_token& stop);
    [[nodiscard]] Status keep_tail(const NodeInfo& old, const RedisNode& new_master, const env::Context& context);
    bool keep_stream(const StreamRange& range, const env::Context& context);  // false: see tail_trouble_
    [[nodiscard]] bool is_back(const Promotion& promotion, const env::Context& context);
    [[nodiscard]] bool has_served(const Promotion& promotion, const env::Context& context);
    [[nodiscard]] Next give_back(Connection& connection, const std::string& why, const env::Context& context);
    [[nodiscard]] bool is_armed() const;
    [[nodiscard]] std::optional<Promotion> promotion() const;
    void note(const std::string& line);

    SettingsPointer settings_;
    const env::Env& env_;
    RedisNode old_master_;
    Cluster cluster_;
    mutable std::mutex mutex_;
    std::string directory_;
    bool is_armed_ = false;
    Report report_;
    std::optional<Promotion> promotion_;
    std::atomic<bool> is_released_ = false, is_over_ = false;
    // Of the guard's thread alone.
    std::string heir_replid_;  // the history that took over, as it was seen before the return
    MonoTime look_for_heir_at_ = MonoTime::min();
    std::optional<MonoTime> tried_at_;
    bool may_have_served_ = false;  // it may be back for as long as we stood still, and nobody has been asked yet
    std::optional<MonoTime> heir_away_since_;  // while it is held: the promoted one does not answer
    bool is_heir_dead_ = false;  // its port refuses: nobody orders anybody to follow it
    bool is_tail_kept_ = false;
    std::string tail_trouble_;  // in words, when it could not be
    std::unique_ptr<env::Thread> thread_;  // last: its body uses all of the above
};

// The guards of one process: at most one per node, whoever wants it.
class ReturnGuards {
  public:
    ReturnGuards(SettingsPointer settings, const env::Env& env) : settings_(std::move(settings)), env_(env) {}
    // The one that is at work for the node, else a new one, started.
    [[nodiscard]] std::shared_ptr<ReturnGuard> of(const RedisNode& node, const std::string& directory);

  private:
    SettingsPointer settings_;
    const env::Env& env_;
    std::mutex mutex_;
    std::map<std::string, std::weak_ptr<ReturnGuard>> guards_;  // by node
};

}  // namespace aeterna::redis
