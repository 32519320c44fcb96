// Judging: one snapshot, every detector, the status, and the transitions for the timeline.
#include "redis/detect/monitor.h"

#include "redis/detect/probes.h"

namespace aeterna::redis {

RedisMonitor::RedisMonitor(SettingsPointer settings, const env::Env& env, std::shared_ptr<MasterHistories> histories)
    : settings_(std::move(settings)), env_(env), board_(settings_), histories_(std::move(histories)), detectors_(make_detectors()) {}

std::vector<engine::ProbeTask> RedisMonitor::probes() { return make_probes(settings_, board_, env_); }

engine::Judgement RedisMonitor::judge(const engine::JudgeContext& context) {
    if (context.stalled) trusted_since_ = context.now;
    Snapshot snapshot = board_.snapshot();
    snapshot.now = context.now;
    snapshot.wall_now = context.wall_now;
    snapshot.isolated = context.isolated;
    snapshot.stalled = context.stalled;
    snapshot.trusted_since = trusted_since_;
    snapshot.known_master = known_master_;
    if (const auto supposed = supposed_master(snapshot)) known_master_ = supposed;
    snapshot.known_master = known_master_;
    if (const auto working = working_master(snapshot); working && histories_) {
        if (const NodeObservation* seen = fresh_node(snapshot, *working)) histories_->note(*working, seen->info.replid);
    }

    engine::Judgement judgement;
    for (const auto& detector : detectors_)
        for (engine::Finding& finding : detector->judge(snapshot))
            judgement.findings.push_back(std::move(finding));
    judgement.status = make_status(snapshot);
    judgement.events = board_.take_events();
    if (!context.isolated && !context.stalled) note_transitions(snapshot, judgement.events);
    return judgement;
}

void RedisMonitor::note_transitions(const Snapshot& snapshot, std::vector<engine::StoreEvent>& events) {
    const auto working = working_master(snapshot);
    if (working && working != reported_master_) {
        if (reported_master_)
            events.push_back({snapshot.wall_now, "redis", "master.changed", *working,
                              *reported_master_ + " was master before"});
        reported_master_ = working;
    }
    const auto note = [&](const std::string& name, const ContactState& contact) {
        if (contact.contact == Contact::kUnknown) return;
        const bool is_up = contact.contact == Contact::kAnswering || contact.contact == Contact::kBlind;
        if (!is_up && contact.contact == Contact::kSilent && contact.silent_for < 5s) return;
        const auto [entry, is_first] = is_up_.try_emplace(name, is_up);
        if (is_first || entry->second == is_up) return;
        entry->second = is_up;
        events.push_back({snapshot.wall_now, "redis", is_up ? "node.up" : "node.down", name,
                          is_up ? "it answers again" : contact.reason});
    };
    for (const RedisNode& node : settings_->nodes) note(node.name, contact_of(snapshot, node.name));
    for (const RedisNode& sentinel : settings_->sentinels)
        note(sentinel.name, contact_of_sentinel(snapshot, sentinel.name));
}

std::vector<engine::Reach> RedisMonitor::reach() {
    Snapshot snapshot = board_.snapshot();
    snapshot.now = env_.clock.now();
    snapshot.trusted_since = trusted_since_;
    std::vector<engine::Reach> reaches;
    const auto add = [&](const RedisNode& node, const ContactState& contact) {
        const bool answered = contact.contact == Contact::kAnswering ||
                              contact.contact == Contact::kRefused || contact.contact == Contact::kBlind;
        reaches.push_back({node.name + " RESP", node.host, answered, contact.contact != Contact::kUnknown});
    };
    for (const RedisNode& node : settings_->nodes) add(node, contact_of(snapshot, node.name));
    for (const RedisNode& sentinel : settings_->sentinels)
        add(sentinel, contact_of_sentinel(snapshot, sentinel.name));
    return reaches;
}

}  // namespace aeterna::redis
