#include "redis/steps/return_sentry.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/runbook/journal.h"

namespace aeterna::redis {
namespace {

// Its port refuses, or it is silent: when it comes back, nobody knows as what.
bool is_away(const engine::NodeStatus& node) { return node.state == "stopped" || node.state == "unreachable"; }

}  // namespace

void ReturnSentry::look(const engine::StoreStatus& status, bool may_act) {
    if (!may_act) return stand_down();
    for (auto post = posts_.begin(); post != posts_.end();) {
        tell_news(post->first, post->second);
        if (post->second.guard->is_over()) returned_.insert(post->first);
        post = post->second.guard->is_over() ? posts_.erase(post) : std::next(post);
    }
    for (const engine::NodeStatus& node : status.nodes) {
        if (!is_away(node)) returned_.erase(node.name);
        if (node.fenced) fenced_.insert(node.name);
        else if (node.role == "replica" || node.name == status.primary.value_or("")) fenced_.erase(node.name);
    }
    // One whose return is guarded calls itself master, too.
    if (!status.primary || posts_.count(*status.primary) > 0) return;
    const bool has_primary = std::any_of(status.nodes.begin(), status.nodes.end(), [&](const auto& node) {
        return node.name == *status.primary && node.role == "primary";
    });
    if (!has_primary) return;
    for (const engine::NodeStatus& node : status.nodes) {
        const RedisNode* away = settings_->find_node(node.name);
        // A fenced one cannot come back, and whoever lifts the fence has written whom it follows; but a person may have lifted it,
        // and the Sentinels have forgotten it where they were told anew.
        const bool is_let_go = node.role == "primary" && fenced_.count(node.name) > 0;
        const bool may_come_back = is_away(node) || is_let_go;
        const bool is_met = posts_.count(node.name) > 0 || returned_.count(node.name) > 0;
        if (away == nullptr || node.name == *status.primary || !may_come_back || node.fenced || is_met) continue;
        const std::string directory =
            state_directory_ + "/salvage/" + engine::make_record_id("return-" + node.name, env_.clock.wall_now(), env_.random.next());
        if (is_let_go) fenced_.erase(node.name);  // once
        posts_[node.name].guard = guards_->of(*away, directory);
        tell("guard.set", node.name, fmt::format("its return is guarded: {} is the master", *status.primary));
    }
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
}

void ReturnSentry::stand_down() {
    for (auto& [node, post] : posts_) {
        tell_news(node, post);
        tell("guard.lifted", node, "no leave to act: its return is guarded no longer");
    }
    posts_.clear();
}

}  // namespace aeterna::redis
