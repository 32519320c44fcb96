#include "repository/retention.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

namespace aeterna::repository {
namespace {

using Series = std::tuple<std::string, std::string, std::string>;

std::string day_of(WallTime time) { return format_time(time).substr(0, 10); }

// The Monday of the week.
std::string week_of(WallTime time) {
    const auto days = std::chrono::floor<std::chrono::days>(time);
    const unsigned since_monday = std::chrono::weekday(days).iso_encoding() - 1;
    return day_of(days - std::chrono::days(since_monday));
}

struct Rule {
    const char* name;
    unsigned count;
    std::string (*bucket_of)(WallTime);
};

// Judges one series, newest first.
class Judge {
  public:
    Judge(const RetentionPolicy& policy, WallTime now) : policy_(policy), now_(now) {
        rules_ = {{"hourly", policy.hourly, [](WallTime time) { return format_time(time).substr(0, 13); }},
                  {"daily", policy.daily, day_of},
                  {"weekly", policy.weekly, week_of},
                  {"monthly", policy.monthly, [](WallTime time) { return format_time(time).substr(0, 7); }}};
        buckets_.resize(rules_.size());
    }

    std::vector<std::string> reasons(const Backup& backup) {
        std::vector<std::string> found;
        const bool is_newest = seen_ == 0;
        if (seen_++ < policy_.last) found.emplace_back("last");
        if (policy_.within > Duration::zero() && now_ - backup.started_at <= policy_.within) found.emplace_back("within");
        for (std::size_t i = 0; i < rules_.size(); ++i) {
            const std::string bucket = rules_[i].bucket_of(backup.started_at);
            const bool is_new = buckets_[i].empty() || buckets_[i].back() != bucket;
            if (!is_new || buckets_[i].size() >= rules_[i].count) continue;
            buckets_[i].push_back(bucket);
            found.push_back(fmt::format("{} {}", rules_[i].name, bucket));
        }
        if (found.empty() && is_newest) found.emplace_back("the newest of its series");
        return found;
    }

  private:
    const RetentionPolicy& policy_;
    const WallTime now_;
    std::vector<Rule> rules_;
    std::vector<std::vector<std::string>> buckets_;
    unsigned seen_ = 0;
};

}  // namespace

std::vector<RetentionDecision> decide_retention(const std::vector<Backup>& backups, const RetentionPolicy& policy,
                                                WallTime now, const std::set<std::string>& damaged) {
    std::vector<RetentionDecision> decisions;
    for (const Backup& backup : backups) decisions.push_back({backup.id, true, "no retention is asked for"});
    if (policy.is_empty()) return decisions;
    std::vector<std::size_t> order(backups.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return std::tie(backups[a].started_at, backups[a].id) > std::tie(backups[b].started_at, backups[b].id);
    });
    // Sound backups are judged among themselves, damaged ones among all: what they would have kept is kept beside.
    std::map<Series, Judge> sound, all;
    for (const std::size_t i : order) {
        const Backup& backup = backups[i];
        const Series series{backup.kind, backup.store, backup.name};
        const bool is_damaged = damaged.count(backup.id) > 0;
        std::vector<std::string> reasons = all.try_emplace(series, policy, now).first->second.reasons(backup);
        if (!is_damaged) reasons = sound.try_emplace(series, policy, now).first->second.reasons(backup);
        decisions[i].is_kept = !reasons.empty();
        decisions[i].reason = (is_damaged ? "damaged; " : "") +
                              (reasons.empty() ? std::string("no rule keeps it") : join(reasons, ", "));
    }
    return decisions;
}

}  // namespace aeterna::repository
