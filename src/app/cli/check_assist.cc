#include "app/cli/check_assist.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "stack/fencing.h"

namespace aeterna::app {
namespace {

using engine::ConfigFinding;
using Level = engine::ConfigFinding::Level;

std::string implication(config::Assist assist, Duration cooldown) {
    switch (assist) {
        case config::Assist::kOff:
            return "off: a dead primary's lease or Sentinel's down-after is waited for; nothing is fenced";
        case config::Assist::kPropose:
            return "propose: waits as with off, and names the steps that would end the wait";
        case config::Assist::kAct:
            return fmt::format(
                "act: a primary that is proven dead is fenced and the wait ended, without a question; the same failure "
                "of the same node is only proposed for during {}",
                format_duration(cooldown));
    }
    return "";
}

bool has_failover(const engine::Store& store) {
    const auto runbooks = store.runbooks();
    return std::any_of(runbooks.begin(), runbooks.end(), [](const auto& info) { return info.name == "failover"; });
}

}  // namespace

std::vector<ConfigFinding> check_assist(const config::Stack& stack, const engine::Store& store) {
    const config::StoreSection* section = stack.find_store(store.name());
    if (section == nullptr) return {};
    if (!has_failover(store)) {
        if (section->assist == config::Assist::kOff) return {};
        return {{Level::kWarning, "assist", "it has no failover: the word changes nothing", "Remove it."}};
    }
    std::vector<ConfigFinding> findings;
    findings.push_back({Level::kOk, "assist", implication(section->assist, section->assist_cooldown), ""});
    std::vector<std::string> able;
    for (const auto& group : store.fence_groups()) {
        const Status fencible = stack::can_fence(stack, group);
        if (fencible) {
            able.push_back(group.back());
        } else if (section->assist != config::Assist::kOff) {
            findings.push_back({Level::kWarning, "fence " + group.back(),
                                fmt::format("{}: its death would be waited for", fencible.error().message),
                                fencible.error().hint});
        }
    }
    const std::string who = able.empty() ? "no node can be fenced from here" : join(able, ", ") + " can be fenced";
    findings.push_back({Level::kOk, "fence", who, ""});
    return findings;
}

}  // namespace aeterna::app
