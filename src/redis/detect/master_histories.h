// MasterHistories: which history (master_replid) each master wrote when our probes heard it last. When it is dead nobody else can say:
// replicas that missed its restart have another one. Thread-safe.
#pragma once

#include <map>
#include <mutex>
#include <string>

namespace aeterna::redis {

class MasterHistories {
  public:
    void note(const std::string& node, const std::string& replid) {
        const std::lock_guard lock(mutex_);
        replids_[node] = replid;
    }
    // Empty: it was never heard as a master.
    [[nodiscard]] std::string of(const std::string& node) const {
        const std::lock_guard lock(mutex_);
        const auto found = replids_.find(node);
        return found == replids_.end() ? "" : found->second;
    }

  private:
    mutable std::mutex mutex_;
    std::map<std::string, std::string> replids_;
};

}  // namespace aeterna::redis
