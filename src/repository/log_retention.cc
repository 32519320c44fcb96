#include "repository/log_retention.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace aeterna::repository {
namespace {

class LogJudge {
  public:
    LogJudge(const std::vector<LogState>& logs, const std::vector<Backup>& kept) {
        for (const LogState& log : logs) {
            if (log.origin) parents_[log.name] = log.origin->log;
        }
        for (const Backup& backup : kept) {
            if (backup.log) need(backup.log->name, backup.log->from);
        }
        for (const LogState& log : logs) extend_to_parents(log, logs);
        for (const auto& [log, from] : firsts_) {
            for (const std::string& ancestor : ancestors_of(log)) has_descendant_.insert(ancestor);
        }
    }

    [[nodiscard]] LogDecision decide(const std::string& log) const {
        for (const std::string& ancestor : ancestors_of(log)) {
            if (firsts_.count(ancestor) > 0) {
                return {log, LogDecision::Act::kKeep, 0, fmt::format("a backup needs it after '{}'", ancestor)};
            }
        }
        if (const auto first = firsts_.find(log); first != firsts_.end()) {
            return {log, LogDecision::Act::kTrim, first->second,
                    "its oldest backup begins at " + hex64(first->second)};
        }
        if (has_descendant_.count(log) > 0) {
            return {log, LogDecision::Act::kRemove, 0, "every backup begins in a log that goes on from it"};
        }
        return {log, LogDecision::Act::kKeep, 0, "no backup refers to it yet"};
    }

  private:
    void need(const std::string& log, std::uint64_t from) {
        const auto [place, is_new] = firsts_.try_emplace(log, from);
        if (!is_new) place->second = std::min(place->second, from);
    }

    // A backup may begin before the byte at which its log does: what is between is its parent's.
    void extend_to_parents(const LogState& log, const std::vector<LogState>& logs) {
        const LogState* child = &log;
        for (std::size_t steps = 0; steps < logs.size(); ++steps) {
            const auto first = firsts_.find(child->name);
            if (first == firsts_.end() || !child->origin || first->second >= child->origin->at) return;
            need(child->origin->log, first->second);
            const auto parent = std::find_if(logs.begin(), logs.end(), [&](const LogState& one) { return one.name == child->origin->log; });
            if (parent == logs.end()) return;
            child = &*parent;
        }
    }

    // Nearest first; what goes round in a circle ends.
    [[nodiscard]] std::vector<std::string> ancestors_of(const std::string& log) const {
        std::vector<std::string> found;
        for (auto parent = parents_.find(log); parent != parents_.end(); parent = parents_.find(found.back())) {
            if (parent->second == log || std::find(found.begin(), found.end(), parent->second) != found.end()) break;
            found.push_back(parent->second);
        }
        return found;
    }

    std::map<std::string, std::string> parents_;
    std::map<std::string, std::uint64_t> firsts_;  // the oldest start that a kept backup has there
    std::set<std::string> has_descendant_;         // with a kept backup
};

}  // namespace

std::vector<LogDecision> decide_logs(const std::vector<LogState>& logs, const std::vector<Backup>& kept) {
    const LogJudge judge(logs, kept);
    std::vector<LogDecision> decisions;
    for (const LogState& log : logs) decisions.push_back(judge.decide(log.name));
    return decisions;
}

}  // namespace aeterna::repository
