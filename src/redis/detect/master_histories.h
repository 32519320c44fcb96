// MasterHistories: which history (master_replid) each master wrote when our probes heard it last. When it is dead nobody else can say:
// replicas that missed its restart have another one. Thread-safe.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "base/time.h"

namespace aeterna::redis {

class MasterHistories {
  public:
    struct Heard {
        std::string replid;
        MonoTime at{};
    };
    void note(const std::string& node, const std::string& replid, MonoTime at) {
        const std::lock_guard lock(mutex_);
        heard_[node] = {replid, at};
    }
    // Nothing: it was never heard as a master.
    [[nodiscard]] std::optional<Heard> of(const std::string& node) const {
        const std::lock_guard lock(mutex_);
        const auto found = heard_.find(node);
        return found == heard_.end() ? std::nullopt : std::optional(found->second);
    }

  private:
    mutable std::mutex mutex_;
    std::map<std::string, Heard> heard_;
};

}  // namespace aeterna::redis
