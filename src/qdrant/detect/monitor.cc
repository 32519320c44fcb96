#include "qdrant/detect/monitor.h"

#include <fmt/format.h>

#include <algorithm>

namespace aeterna::qdrant {
namespace {

constexpr std::size_t kEventLimit = 50;

engine::Health health_of(const std::optional<Color>& color) {
    if (!color) return engine::Health::kUnknown;
    switch (*color) {
        case Color::kGreen: return engine::Health::kOk;
        case Color::kYellow: return engine::Health::kDegraded;
        case Color::kRed: return engine::Health::kDown;
    }
    return engine::Health::kUnknown;
}

// A node that never answered is taken for what the others are.
std::string server_of(const std::string& node, const Seen& seen) {
    const auto own = seen.nodes.find(node);
    if (own != seen.nodes.end() && own->second.version) {
        return own->second.version->is_real() ? "real" : "stand-in";
    }
    for (const auto& [name, other] : seen.nodes) {
        if (other.version && !other.version->is_real()) return "stand-in";
    }
    return "real";
}

}  // namespace

QdrantMonitor::QdrantMonitor(SettingsPointer settings, const env::Env& env)
    : settings_(std::move(settings)), env_(env), board_(*settings_) {
    for (const NodeSettings& node : settings_->nodes) urls_[node.name] = node.url;
}

std::vector<engine::ProbeTask> QdrantMonitor::probes() {
    return make_probes(settings_, board_, env_);
}

std::vector<engine::Reach> QdrantMonitor::reach() {
    const Seen seen = board_.snapshot();
    const engine::JudgeContext context{env_.clock.now(), env_.clock.wall_now(), false, false};
    std::vector<engine::Reach> reached;
    for (const NodeSettings& node : settings_->nodes) {
        const NodeSeen& known = seen.nodes.at(node.name);
        const Answer answer = present_answer(known, context);
        // A refusal and a cut connection are answers too: its kernel spoke.
        const bool answered = is_alive(answer) || answer == Answer::kRefused || answer == Answer::kCut;
        reached.push_back({node.name + " API", node.host, answered, known.api.answer != Answer::kNever});
    }
    return reached;
}

engine::Judgement QdrantMonitor::judge(const engine::JudgeContext& context) {
    Seen seen = board_.snapshot();
    if (context.stalled) trusted_since_ = context.now;
    forget_before(trusted_since_, seen);
    const Verdict verdict = cluster_status(seen, urls_, context);
    engine::Judgement judgement;
    engine::StoreStatus& status = judgement.status;
    status.store = "qdrant";
    status.health = health_of(verdict.color);
    status.reasons = verdict.reasons;
    status.extra["cluster_status"] =
        verdict.color ? Json(std::string(color_name(*verdict.color))) : Json(nullptr);
    for (const NodeSettings& node : settings_->nodes) {
        status.nodes.push_back(node_status(node, seen, verdict.answers.at(node.name)));
    }
    judgement.findings = detectors_.update(seen, verdict, context);
    judgement.events = events_since(judgement, verdict, context.wall_now);
    return judgement;
}

engine::NodeStatus QdrantMonitor::node_status(const NodeSettings& node, const Seen& seen,
                                              Answer answer) const {
    const NodeSeen& known = seen.nodes.at(node.name);
    engine::NodeStatus status;
    status.name = node.name;
    status.kind = "qdrant";
    status.role = "peer";
    status.state = std::string(answer_name(answer));
    status.site = node.site;
    status.server = server_of(node.name, seen);
    if (answer == Answer::kServing) {
        if (known.version) status.note = known.version->version;
        const bool is_leader = known.api.cluster && known.api.cluster->enabled &&
                               known.api.cluster->leader == known.api.cluster->peer_id;
        if (is_leader) status.note += ", raft leader";
        if (known.collections.is_ready == false) status.note += ", not ready yet";
    }
    return status;
}

std::vector<engine::StoreEvent> QdrantMonitor::events_since(const engine::Judgement& judgement,
                                                            const Verdict& verdict, WallTime at) {
    std::vector<engine::StoreEvent> events;
    const auto add = [&](std::string kind, const std::string& subject, std::string detail) {
        if (events.size() < kEventLimit)
            events.push_back({at, "qdrant", std::move(kind), subject, std::move(detail)});
    };
    for (const engine::Finding& finding : judgement.findings) {
        if (finding.detector != "qdrant.node_down") continue;
        const bool is_firing = finding.state == engine::FindingState::kFiring;
        if (is_firing && down_.insert(finding.subject).second) {
            add("node.down", finding.subject,
                finding.reasons.empty() ? finding.summary : finding.reasons.front());
        } else if (finding.state == engine::FindingState::kClear &&
                   down_.erase(finding.subject) > 0) {
            add("node.up", finding.subject, finding.subject + " answers again");
        }
    }
    if (verdict.color) {
        std::set<std::string> dead;
        for (const ReplicaSeen& replica : verdict.replicas) {
            const std::string label =
                fmt::format("{}/{} on {}", replica.collection, replica.shard, replica.node);
            if (replica.state == "Dead") dead.insert(label);
            if (replica.state == "Dead" && !dead_replicas_.contains(label))
                add("replica.dead", replica.node, label);
            if (is_readable_state(replica.state) && dead_replicas_.contains(label)) {
                add("replica.active", replica.node, label);
            } else if (dead_replicas_.contains(label)) {
                dead.insert(label);  // being recovered: not active yet
            }
        }
        dead_replicas_ = std::move(dead);
        if (last_color_ && *last_color_ != *verdict.color) {
            add("status.changed", std::string(kClusterSubject),
                fmt::format("{} to {}{}", color_name(*last_color_), color_name(*verdict.color),
                            verdict.reasons.empty() ? "" : ": " + verdict.reasons.front()));
        }
        last_color_ = verdict.color;
    }
    return events;
}

}  // namespace aeterna::qdrant
