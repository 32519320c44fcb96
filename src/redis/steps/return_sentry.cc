#include "redis/steps/return_sentry.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/runbook/journal.h"

namespace aeterna::redis {
namespace {

bool is_another(const std::string& leader, const engine::NodeStatus& node) { return !leader.empty() && leader != node.name; }

// Whom the Sentinels name, whether it answers or not: where clients go who ask them.
std::string named_by_sentinels(const engine::StoreStatus& status) {
    const auto found = status.extra.find("sentinel_master");
    return found != status.extra.end() && found->second.is_string() ? found->second.get<std::string>() : "";
}

// Its port refuses, or it is silent: when it comes back, nobody knows as what.
bool is_away(const engine::NodeStatus& node) { return node.state == "stopped" || node.state == "unreachable"; }

}  // namespace

void ReturnSentry::take_over(const engine::ExecutionRecord& unfinished) {
    const auto old = find_string(unfinished.facts, kOldMaster);
    if (old && unfinished.facts.contains(kNewMaster)) let_go_.insert(*old);
}

void ReturnSentry::look(const engine::StoreStatus& status, bool may_act) {
    if (!may_act) return stand_down();
    for (auto post = posts_.begin(); post != posts_.end();) {
        tell_news(post->first, post->second);
        if (post->second.guard->is_over()) returned_.insert(post->first);
        post = post->second.guard->is_over() ? posts_.erase(post) : std::next(post);
    }
    const std::string named = named_by_sentinels(status);
    for (const engine::NodeStatus& node : status.nodes) {
        if (!is_away(node)) returned_.erase(node.name);
        const bool leads = node.name == status.primary.value_or("") && !is_another(named, node);
        if (node.fenced) let_go_.insert(node.name);
        else if (node.role == "replica" || leads) let_go_.erase(node.name);
    }
    const std::string leader = find_leader(status);
    for (const engine::NodeStatus& node : status.nodes) {
        const bool is_met = posts_.count(node.name) > 0 || returned_.count(node.name) > 0;
        if (settings_->find_node(node.name) == nullptr || node.fenced || is_met) continue;
        // A fenced one cannot come back, and whoever lifts the fence has written whom it follows; but a person may have lifted it,
        // and the Sentinels have forgotten it where they were told anew.
        const bool is_let_go = let_go_.count(node.name) > 0 && (is_away(node) || node.role == "primary");
        if (is_let_go && is_another(named, node)) guard(node.name, named);
        else if ((is_away(node) || is_let_go) && is_another(leader, node)) guard(node.name, leader);
    }
}

// Who leads and answers. One whose return is guarded calls itself master, too.
std::string ReturnSentry::find_leader(const engine::StoreStatus& status) const {
    const std::string primary = status.primary.value_or("");
    const bool leads = std::any_of(status.nodes.begin(), status.nodes.end(), [&](const auto& node) {
        return node.name == primary && node.role == "primary";
    });
    return leads && posts_.count(primary) == 0 ? primary : "";
}

void ReturnSentry::guard(const std::string& node, const std::string& leader) {
    const std::string directory =
        state_directory_ + "/salvage/" + engine::make_record_id("return-" + node, env_.clock.wall_now(), env_.random.next());
    let_go_.erase(node);  // once
    posts_[node].guard = guards_->of(*settings_->find_node(node), directory);
    tell("guard.set", node, fmt::format("its return is guarded: {} is the master", leader));
}

std::vector<engine::StoreEvent> ReturnSentry::take_events() { return std::exchange(events_, {}); }

void ReturnSentry::tell(const std::string& kind, const std::string& node, const std::string& detail) {
    events_.push_back({env_.clock.wall_now(), "redis", kind, node, detail});
}

void ReturnSentry::tell_news(const std::string& node, Post& post) {
    const ReturnGuard::Report report = post.guard->report();
    if (report.held_at && !std::exchange(post.is_held, true)) {
        tell("guard.held", node, "it came back as a master, and its writes were held at once");
    }
    if (report.demoted_at && !std::exchange(post.is_demoted, true)) {
        tell("guard.demoted", node, report.salvaged ? report.note + "; " + report.salvaged->summary : report.note);
    }
    // By the Sentinels, whom the guard has let.
    if (post.guard->is_over() && report.salvaged && !std::exchange(post.is_demoted, true)) {
        tell("guard.kept", node, report.note + "; " + report.salvaged->summary);
    }
}

void ReturnSentry::stand_down() {
    for (auto& [node, post] : posts_) {
        tell_news(node, post);
        tell("guard.lifted", node, "no leave to act: its return is guarded no longer");
    }
    posts_.clear();
}

}  // namespace aeterna::redis
