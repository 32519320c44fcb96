// Board: where the probes of one monitor post what they saw and the judge reads it. Thread-safe; the lock is held for
// copying only.
#pragma once

#include <mutex>
#include <utility>

namespace aeterna::engine {

// Seen: a copyable value, a store's observations with their times.
template <class Seen>
class Board {
  public:
    explicit Board(Seen initial) : seen_(std::move(initial)) {}

    [[nodiscard]] Seen snapshot() const {
        const std::lock_guard lock(mutex_);
        return seen_;
    }

    // Shows `read` what was seen, without a copy; it must not block.
    template <class Read>
    void read(Read read) const {
        const std::lock_guard lock(mutex_);
        read(seen_);
    }

    // Lets `change` edit what was seen; it must not block.
    template <class Change>
    void post(Change change) {
        const std::lock_guard lock(mutex_);
        change(seen_);
    }

  private:
    mutable std::mutex mutex_;
    Seen seen_;
};

// A Seen whose `nodes` has an entry for each of the store's configured nodes.
template <class Seen, class Settings>
[[nodiscard]] Seen with_every_node(const Settings& settings) {
    Seen seen;
    for (const auto& node : settings.nodes) seen.nodes[node.name];
    return seen;
}

}  // namespace aeterna::engine
