// Sessions: who uses the repository right now. Nobody waits for another; but what prune takes away depends on who may
// still look at it. A session is an object "sessions/<kind>-<start>-<random>", the start in microseconds by the
// storage's clock, overwritten every few minutes: its modification time says that its owner lives. One that was not
// refreshed for half an hour is stale: its owner is dead, or has to notice that it counts as dead.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "repository/ports.h"
#include "repository/storage/storage.h"

namespace aeterna::repository {

inline constexpr Duration kSessionRefresh = std::chrono::minutes(5);
inline constexpr Duration kSessionStale = std::chrono::minutes(30);

enum class SessionKind { kRead, kWrite, kPrune };

struct SessionInfo {
    std::string name;  // of the object
    SessionKind kind = SessionKind::kRead;
    WallTime started{}, refreshed{};
    bool is_stale = false;
};

// In the order of their names. Names that are none of ours are left out.
[[nodiscard]] Result<std::vector<SessionInfo>> list_sessions(Storage& storage, const env::Context& context);
// Removes those that are stale; what it removed.
[[nodiscard]] Result<std::vector<SessionInfo>> remove_stale_sessions(Storage& storage, const env::Context& context);

class Session {
  public:
    // Visible to everybody when it returns.
    [[nodiscard]] static Result<std::unique_ptr<Session>> begin(Storage& storage, SessionKind kind, const Ports& ports,
                                                                const env::Context& context);
    // Ends it; if the storage does not let go, it becomes stale by itself.
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] WallTime started() const { return started_; }
    // kUnavailable when others may think that this session is dead.
    Status verify(const env::Context& context);

  private:
    Session(Storage& storage, const Ports& ports, std::string name, WallTime started)
        : storage_(storage), ports_(ports), name_(std::move(name)), started_(started) {}
    void refresh(const std::stop_token& stop);
    [[nodiscard]] Result<bool> is_fresh(const env::Context& context);

    Storage& storage_;
    Ports ports_;
    const std::string name_;
    const WallTime started_;
    std::atomic<bool> is_lost_{false};
    std::unique_ptr<env::Thread> thread_;
};

}  // namespace aeterna::repository
