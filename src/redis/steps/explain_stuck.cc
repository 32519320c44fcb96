// The causes in the order in which Sentinel itself would meet them.
#include "redis/steps/explain_stuck.h"

#include <fmt/core.h>

#include "base/strings.h"

namespace aeterna::redis {
namespace {

// SENTINEL_ELECTION_TIMEOUT plus the random delay before an attempt.
constexpr std::int64_t kAttemptMs = 12000;
// Sentinel pings each second.
constexpr std::int64_t kPingAnsweredMs = 2200;
// Longer than any Sentinel needs to miss a ping.
constexpr Duration kOwnDoubt = 5s;

double seconds(std::int64_t milliseconds) { return static_cast<double>(milliseconds) / 1000.0; }

struct Census {
    std::vector<const SentinelOpinion*> opinions;
    std::vector<std::string> silent;
    std::size_t down = 0;       // Sentinels that flag the master
    std::size_t objective = 0;  // … o_down
    bool is_running = false;    // a failover is in progress
    bool is_tilt = false;
    bool freshest_pings_only = true;  // every answering Sentinel's last ping was answered just now
    std::size_t voters = 0;     // Sentinels that exist, as far as anybody knows
    std::int64_t quorum = 0;
};

Census take_census(const StuckInput& input) {
    Census census;
    census.voters = input.sentinels.size();
    for (const SentinelAnswer& answer : input.sentinels) {
        if (!answer.opinion) {
            census.silent.push_back(answer.sentinel);
            continue;
        }
        const MasterView& master = answer.opinion->master;
        census.opinions.push_back(&*answer.opinion);
        census.is_tilt = census.is_tilt || answer.opinion->is_tilt;
        census.voters = std::max(census.voters, static_cast<std::size_t>(master.other_sentinels + 1));
        census.quorum = std::max(census.quorum, master.quorum);
        if (master.is_down()) ++census.down;
        if (master.is_down() || master.last_ok_ping_ms > kPingAnsweredMs) census.freshest_pings_only = false;
        if (master.has_flag("o_down")) ++census.objective;
        if (master.has_flag("failover_in_progress")) census.is_running = true;
    }
    return census;
}

void explain_alive(const StuckInput& input, const Census& census, std::vector<StuckCause>& causes) {
    if (!input.master_error) {
        if (census.down == 0)
            causes.push_back({"alive", "the master answers us and no Sentinel flags it as down",
                              "Use `switchover redis` to move the master role without loss.", false});
        return;
    }
    const bool is_loading = input.master_error->code == ErrorCode::kUnavailable;
    if (is_loading && census.down == 0)
        causes.push_back({"loading",
                          "the master answers '" + input.master_error->to_string() +
                              "', which Sentinel counts as alive: it will not fail over",
                          "Wait until it has loaded, or stop its process so that Sentinel promotes a replica.",
                          false});
}

void explain_detection(const Census& census, Duration waited, std::vector<StuckCause>& causes) {
    if (census.is_tilt)
        causes.push_back({"tilt", "a Sentinel is in TILT mode and takes no action for 30 s",
                          "Wait; if it stays, check the clocks and the load of the Sentinel hosts.", true});
    std::int64_t left = 0;
    for (const SentinelOpinion* opinion : census.opinions)
        if (!opinion->master.is_down())
            left = std::max(left, opinion->master.down_after_ms - opinion->master.last_ok_ping_ms);
    const auto agreed = static_cast<std::int64_t>(census.down);
    // A census is taken from Sentinels that answer; without any there is nothing to tell here.
    if (census.opinions.empty()) return;
    if (agreed == 0 && waited > kOwnDoubt && census.freshest_pings_only) {
        causes.push_back({"alive",
                          "the Sentinels' pings are answered by the master, ours are not: it may be reachable for others",
                          "Look at the network between this host and the master.", false});
        return;
    }
    if (census.objective > 0 || census.is_running || agreed >= std::max<std::int64_t>(1, census.quorum)) return;
    if (left > 0)
        causes.push_back({"down_after",
                          fmt::format("down-after-milliseconds still runs: {:.1f} s left until the last Sentinel "
                                      "may call the master down ({} of {} needed do)",
                                      seconds(left), agreed, census.quorum),
                          "Wait; a smaller down-after-milliseconds shortens the next failover.", true});
    else if (agreed == 0)
        causes.push_back({"down_after", "down-after-milliseconds has just passed; the Sentinels are about to agree",
                          "Wait.", true});
    else
        causes.push_back({"quorum",
                          fmt::format("{} Sentinels call the master down, the quorum is {}", agreed, census.quorum),
                          "Start the missing Sentinels, or lower the quorum on each with SENTINEL SET.", false});
}

void explain_majority(const Census& census, std::vector<StuckCause>& causes) {
    const std::size_t needed = census.voters / 2 + 1;
    if (census.opinions.size() >= needed) {
        for (const SentinelOpinion* opinion : census.opinions)
            if (!opinion->has_quorum) {
                causes.push_back({"majority", "a Sentinel sees too few others: " + opinion->quorum_text,
                                  "Repair the network between the Sentinels; SENTINEL RESET forgets those that no "
                                  "longer exist, but never use it while the master is down.",
                                  false});
                return;
            }
        return;
    }
    causes.push_back({"majority",
                      fmt::format("{} of {} Sentinels answer, {} must authorise a failover{}", census.opinions.size(),
                                  census.voters, needed,
                                  census.silent.empty() ? "" : "; silent: " + join(census.silent, ", ")),
                      "Start the missing Sentinels; if they cannot come back, promote the replica with the highest "
                      "offset by hand and give the Sentinels the new address (REMOVE, MONITOR) first.",
                      false});
}

void explain_candidates(const StuckInput& input, const Census& census, const RedisSettings& settings,
                        std::vector<StuckCause>& causes) {
    std::vector<std::string> reasons;
    bool has_replica = false;
    for (const SentinelOpinion* opinion : census.opinions) {
        if (opinion->master.address != input.old_master) continue;
        for (const ReplicaView& replica : opinion->replicas) {
            has_replica = true;
            const std::string reason = why_not_promotable(replica, opinion->master);
            if (reason.empty()) return;  // one good replica in one Sentinel's eyes is enough
            const std::string line = settings.name_of(replica.address) + ": " + reason;
            if (std::find(reasons.begin(), reasons.end(), line) == reasons.end()) reasons.push_back(line);
        }
    }
    if (census.opinions.empty()) return;
    causes.push_back({"no_good_replica",
                      has_replica ? "no replica may be promoted: " + join(reasons, "; ")
                                  : "the Sentinels know no replica of this master",
                      "Bring a replica back, or promote the one with the highest offset by hand after the old "
                      "master is proven dead.",
                      false});
}

void explain_attempt(const StuckInput& input, const Census& census, std::vector<StuckCause>& causes) {
    std::int64_t o_down_ms = 0;
    std::int64_t window_ms = 0;
    for (const SentinelOpinion* opinion : census.opinions) {
        if (opinion->master.address != input.old_master) continue;
        o_down_ms = std::max(o_down_ms, opinion->master.o_down_ms);
        window_ms = std::max(window_ms, 2 * opinion->master.failover_timeout_ms);
        if (opinion->master.has_flag("failover_in_progress"))
            causes.push_back({"running", "a failover is in progress, state '" +
                                             one_line(opinion->master.failover_state, 40) + "'",
                              "Wait for its end.", true});
    }
    if (census.is_running || census.objective == 0 || !causes.empty()) return;
    if (o_down_ms > kAttemptMs)
        causes.push_back({"retry_window",
                          fmt::format("the master is o_down for {:.0f} s and nobody acts: an attempt has failed, and the "
                                      "next one comes only after 2 x failover-timeout ({:.0f} s)",
                                      seconds(o_down_ms), seconds(window_ms)),
                          "Send SENTINEL FAILOVER to one Sentinel once the old master is proven dead; set "
                          "failover-timeout to 10-30 s.",
                          false});
    else
        causes.push_back({"running", "the Sentinels agree on o_down and elect a leader", "Wait.", true});
}

}  // namespace

// sentinelSelectSlave: SRI_S_DOWN, SRI_O_DOWN, disconnected, ping older than 5 × 1 s, priority 0, INFO older than
// 5 × 1 s (3 × 10 s while the master is up), link down longer than the master plus 10 × down-after.
std::string why_not_promotable(const ReplicaView& replica, const MasterView& master) {
    if (replica.has_flag("s_down") || replica.has_flag("o_down")) return "it is down itself";
    if (replica.has_flag("disconnected")) return "Sentinel has no connection to it";
    if (replica.last_ok_ping_ms > 5000) return fmt::format("its last ping is {:.0f} s old", seconds(replica.last_ok_ping_ms));
    const std::int64_t info_limit = master.has_flag("s_down") ? 5000 : 30000;
    if (replica.info_refresh_ms > info_limit)
        return fmt::format("its INFO is {:.0f} s old", seconds(replica.info_refresh_ms));
    return why_lastingly_unpromotable(replica, master);
}

std::string why_lastingly_unpromotable(const ReplicaView& replica, const MasterView& master) {
    if (replica.priority == 0) return "its replica-priority is 0";
    const std::int64_t link_limit = master.s_down_ms + 10 * master.down_after_ms;
    if (replica.master_link_down_ms > link_limit)
        return fmt::format("its link to the master is down for {:.0f} s, longer than the {:.0f} s that Sentinel allows",
                           seconds(replica.master_link_down_ms), seconds(link_limit));
    return "";
}

std::vector<StuckCause> explain_stuck(const StuckInput& input, const RedisSettings& settings) {
    const Census census = take_census(input);
    std::vector<StuckCause> causes;
    explain_alive(input, census, causes);
    explain_majority(census, causes);
    if (causes.empty()) explain_detection(census, input.waited, causes);
    // Replicas are only judged once the master counts as down: before, their state means nothing for a failover.
    if (census.down > 0 && !census.is_running) explain_candidates(input, census, settings, causes);
    explain_attempt(input, census, causes);
    if (causes.empty())
        causes.push_back({"unknown", "nothing that the Sentinels say explains it",
                          "Look into the Sentinels' logs.", false});
    return causes;
}

}  // namespace aeterna::redis
