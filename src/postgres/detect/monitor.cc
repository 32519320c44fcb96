// One cluster's monitor.
#include "postgres/detect/monitor.h"

#include "postgres/detect/probes.h"
#include "postgres/detect/status.h"

namespace aeterna::postgres {

namespace {

engine::Reach reach_of(std::string vantage, const std::string& host, const Look& look) {
    const bool tried = look.repeats > 0;
    return {std::move(vantage), host,
            tried && look.answer != Answer::kSilent && look.answer != Answer::kNever, tried};
}

}  // namespace

PostgresMonitor::PostgresMonitor(const Settings& settings, const env::Env& env)
    : settings_(settings), env_(env), board_(settings), detectors_(settings) {}

std::vector<engine::ProbeTask> PostgresMonitor::probes() {
    return make_probes(settings_, env_, board_, settings_.heartbeat_approved);
}

engine::Judgement PostgresMonitor::judge(const engine::JudgeContext& context) {
    if (context.stalled) valid_from_ = context.now;
    const World world =
        make_world(settings_, board_.snapshot(), context, valid_from_, changes_.last_primary());
    engine::Judgement judgement;
    judgement.findings = detectors_.judge(world);
    judgement.events = changes_.compare(world, judgement.findings);
    judgement.status = build_status(world);
    return judgement;
}

std::vector<engine::Reach> PostgresMonitor::reach() {
    const Snapshot seen = board_.snapshot();
    std::vector<engine::Reach> all;
    for (const NodeSettings& node : settings_.nodes) {
        const auto found = seen.nodes.find(node.name);
        if (found == seen.nodes.end()) continue;
        all.push_back(reach_of(node.agent + " REST", node.host, found->second.rest));
        all.push_back(reach_of(node.name + " SQL", node.host, found->second.sql));
    }
    if (seen.etcd_health.value) {
        for (std::size_t i = 0; i < seen.etcd_health.value->size(); ++i) {
            const auto& member = (*seen.etcd_health.value)[i];
            all.push_back({etcd_node_name(i), "", member.answered, true});
        }
    }
    if (settings_.client) all.push_back(reach_of("client path", "", seen.client));
    return all;
}

}  // namespace aeterna::postgres
