// Board: where the probes post and the judge reads. Thread-safe; the lock is held for copying only.
#pragma once

#include <mutex>

#include "postgres/detect/observations.h"

namespace aeterna::postgres {

class Board {
  public:
    explicit Board(const Settings& settings) {
        for (const NodeSettings& node : settings.nodes) seen_.nodes[node.name];
    }

    [[nodiscard]] Snapshot snapshot() const {
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
    Snapshot seen_;
};

// Folds a SQL answer and keeps track of since when the node has been a primary.
void post_sql(Board& board, const std::string& node, Result<SqlView> outcome, MonoTime started,
              MonoTime at);

}  // namespace aeterna::postgres
