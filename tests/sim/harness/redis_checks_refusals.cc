// What spoke against an act of a controller when it was decided, and against its choice of the replica.
#include <fmt/format.h>

#include <algorithm>

#include "harness/redis_checks.h"

namespace aeterna::sim {
namespace {

// From the look that proves a death to the act: three looks at servers that do not answer, and writes of the journal.
constexpr Duration kKnownToProof = std::chrono::seconds(6);
// Acts that are no farther apart stand on one proof.
constexpr Duration kOneExecution = std::chrono::seconds(30);
// A row each 50 ms; what is under way is no choice.
constexpr std::size_t kRowsOfOneSecond = 20;
// A link that was lost so long before the master is one that is no longer good for a promotion: 10 s, and the looks.
constexpr Duration kLostLong = std::chrono::seconds(15);
constexpr Duration kNotLostLong = std::chrono::seconds(5);
// From REMOVE to MONITOR, with a silent Sentinel between them.
constexpr Duration kTaught = std::chrono::seconds(6);

}  // namespace

bool RedisChecks::is_in_reach(int node) const {
    return is_near(0, node) && cluster_.host(node).slow == Duration();
}

// By the Sentinels that can be asked now; what another one has heard is out of sight.
Duration RedisChecks::gone_for(int node) const {
    MonoTime last{};
    for (int i = 0; i < RedisCluster::kNodes; ++i) {
        if (!cluster_.sentinel(i).is_responsive() || !is_in_reach(i)) continue;
        last = std::max(last, answered_at_[static_cast<std::size_t>(node)][static_cast<std::size_t>(i)]);
    }
    return world_.now() - last;
}

void RedisChecks::look_at_refusals(MonoTime now) {
    bool is_tilted = false, is_under_way = false, is_another = false;
    int answering = 0, living = 0;
    for (int i = 0; i < RedisCluster::kNodes; ++i) {
        const models::Redis& server = cluster_.redis(i);
        const bool says_master = server.is_responsive() && server.is_master() && is_in_reach(i);
        is_another = is_another || (i != last_master_ && says_master);
        const models::Sentinel& sentinel = cluster_.sentinel(i);
        living += sentinel.is_running() ? 1 : 0;
        if (!sentinel.is_responsive()) continue;
        answering += is_open(0, i) ? 1 : 0;  // a slow one may have answered
        if (!is_in_reach(i)) continue;
        is_tilted = is_tilted || sentinel.is_tilted();
        is_under_way = is_under_way || sentinel.is_failing_over();
    }
    another_master_.note(is_another, now);
    tilted_.note(is_tilted, now);
    under_way_.note(is_under_way, now);
    unseen_majority_.note(answering < 2 && living >= 2, now);
    no_majority_.note(answering < 2, now);
}

// An execution that was interrupted may go on with what it has decided: where the crew was not disturbed, an act
// follows its proof at once.
std::vector<std::string> RedisChecks::refusals(int node) {
    std::vector<std::string> why;
    const MonoTime now = world_.now();
    look_at_refusals(now);  // what was so at the last look may be over
    const bool goes_on = acted_at_ != MonoTime{} && now - acted_at_ < kOneExecution;
    if (!schedule_.is_crew_calm() || goes_on) return why;
    const auto refuse = [&](const Spans& spans, const char* line) {
        if (spans.covers(now - kKnownToProof, now)) why.emplace_back(line);
    };
    refuse(another_master_, "another node was master, too");
    refuse(tilted_, "a Sentinel was in TILT mode");
    refuse(under_way_, "a Sentinel was failing over");
    refuse(unseen_majority_, "a majority of the Sentinels could elect out of its sight");
    const bool is_silent = cluster_.redis(node).is_running() && !is_emptied(cluster_.redis(node));
    if (is_silent && node == cluster_.unfenceable)
        refuse(no_majority_, "it was only silent, cannot be fenced, and no majority of the Sentinels said so");
    return why;
}

// What speaks against promoting that one in place of the last master.
std::vector<std::string> RedisChecks::against_choice(int promoted, int controller) const {
    std::vector<std::string> why;
    const MonoTime now = world_.now();
    const models::Redis& chosen = cluster_.redis(promoted);
    const models::Redis& old = cluster_.redis(last_master_);
    const std::string& history = histories_[static_cast<std::size_t>(last_master_)];
    // Who is heard again has been gone all the same when the order was given.
    const bool is_ordered = ordered_at_ != MonoTime{} && now - ordered_at_ < kOneExecution;
    const Duration gone = std::max(gone_for(last_master_), is_ordered ? now - gone_since_ : Duration());
    // It came back empty, and took more since than anybody has left of what it lost: that is worth more now.
    const bool has_outgrown = has_lost_rows(old, 0) && !has_lost_rows(old, old.rows().size());
    // It served with less for so long that this is its history by now, and the chosen one has followed it since.
    const bool is_long_its_own = chosen.replid() == old.replid() && now - old.started_at() > kOneExecution;
    // A master with less than one that has been turned to it: that one has not copied it yet, and its rows are worth more
    // than the master's history, whoever has that.
    const bool is_fuller = chosen.rows().size() > old.rows().size();
    for (int i = 0; i < RedisCluster::kNodes; ++i) {
        const models::Redis& other = cluster_.redis(i);
        const bool is_known = heard_[static_cast<std::size_t>(i)][static_cast<std::size_t>(controller)].covers(
            now - kKnownToAll, now);
        if (i == promoted || i == last_master_ || !is_known || other.is_master()) continue;
        const bool has_history = other.replid() == history && other.follows() == old.endpoint();
        // Whom another Sentinel has promoted a moment ago writes a new one.
        const bool is_another = chosen.replid() != history && !chosen.is_master() && !is_long_its_own;
        // That it came back empty, a process that no controller has heard has told nobody.
        const bool is_untold = has_lost_rows(old, 0) && met_[static_cast<std::size_t>(last_master_)] != old.started_at();
        if (has_history && is_another && !is_untold && !has_outgrown && !is_fuller && other.unheard_for() < gone + kNotLostLong)
            why.push_back(fmt::format("{} had its master's history, and it another one", other.name()));
        if (other.replid() != old.replid()) continue;
        if (other.rows().size() > chosen.rows().size() + kRowsOfOneSecond)
            why.push_back(
                fmt::format("{} had {} rows, it {}", other.name(), other.rows().size(), chosen.rows().size()));
    }
    // It may be killed since: any copy is better than what it had.
    if (has_lost_rows(old, old.rows().size())) return why;
    if (chosen.replid() != old.replid() && chosen.rows().size() * 10 < old.rows().size())
        why.push_back(fmt::format("it had {} of its master's {} rows", chosen.rows().size(), old.rows().size()));
    if (!chosen.is_master() && !chosen.has_been_linked()) why.emplace_back("its link was never up");
    // Where no Sentinel is left nobody can say when the master was lost.
    bool is_any_witness = false;
    for (int i = 0; i < RedisCluster::kNodes; ++i)
        is_any_witness = is_any_witness || (cluster_.sentinel(i).is_responsive() && is_in_reach(i));
    if (is_any_witness && chosen.unheard_for() > gone + kLostLong)
        why.push_back(
            fmt::format("its link was lost {:.0f} s before its master", to_seconds(chosen.unheard_for() - gone)));
    return why;
}

void RedisChecks::selected(const models::Sentinel& by, const models::Redis& chosen) {
    const auto ordered = ordered_by_.find(&by);
    if (ordered == ordered_by_.end()) return;
    judge_choice(chosen, ordered->second);
    if (on_forced_promotion) on_forced_promotion(by);
}

void RedisChecks::judge_choice(const models::Redis& chosen, int controller) {
    promoted_ = RedisCluster::number_of(chosen.name());
    const std::vector<std::string> why = against_choice(promoted_, controller);
    for (const std::string& line : why)
        violated(fmt::format("{} was promoted by our order, but {}", chosen.name(), line));
}

// Telling the Sentinels begins with that.
void RedisChecks::forgotten(const models::Sentinel& told, int controller) {
    const int named = cluster_.master();
    // One that names another is put right.
    if (named >= 0 && told.master() != &cluster_.redis(named)) return;
    if (controller < 0 || named < 0 || named == promoted_) return;
    const auto index = static_cast<std::size_t>(named);
    const MonoTime now = world_.now(), from = now - kKnownToAll;
    const bool is_known = heard_[index][static_cast<std::size_t>(controller)].covers(from, now);
    const bool has_rows = !has_lost_rows(cluster_.redis(named), 0);
    if (!has_rows || !named_[index].covers(from, now) || !is_known || replaced_[index].is_open) return;
    // It went on after an interruption when those that had turned back to the old master were gone again.
    const bool is_watched = watched_[index][static_cast<std::size_t>(controller)].covers(from, now);
    if (promoted_ >= 0 && !is_watched && naming(named) < 2) return;
    // One that is told the same name again has only got another epoch.
    world_.scheduler.after(kTaught, [this, &told, named] {
        if (told.master() != &cluster_.redis(named))
            violated(fmt::format("the Sentinels were told to forget redis-{}, whom they named and which served", named + 1));
    });
}

// Whoever may act makes no master a replica that the Sentinels have named all the while, and pauses nobody without
// leave.
void RedisChecks::commanded(int node, int controller, const std::string& what) {
    const std::string name = cluster_.redis(node).name();
    if (!may_command(controller, node)) violated(fmt::format("'{}' was sent to {} without leave", what, name));
    const auto index = static_cast<std::size_t>(node);
    const MonoTime now = world_.now(), from = now - kKnownToAll;
    const bool is_named = named_[index].covers(from, now);
    const bool is_known = heard_[index][static_cast<std::size_t>(controller)].covers(from, now);
    const bool has_rows = !has_lost_rows(cluster_.redis(node), 0);
    if (what != "pause" && has_rows && is_named && is_known && !replaced_[index].is_open)
        violated(fmt::format("'{}' was sent to {}, whom the Sentinels name as the master", what, name));
}

}  // namespace aeterna::sim
