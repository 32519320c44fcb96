// One cluster's monitor.
#include "postgres/detect/monitor.h"

#include "postgres/detect/probes.h"
#include "postgres/detect/status.h"

namespace aeterna::postgres {

namespace {

// A vantage that has not answered lately has not answered: its probe may hang.
engine::Reach reach_of(std::string vantage, const std::string& host, const Look& look,
                       const Rhythm& rhythm, MonoTime now) {
    const bool tried = look.repeats > 0;
    const bool spoke = look.answer != Answer::kSilent && look.answer != Answer::kNever;
    const bool is_fresh = now - look.at <= rhythm.stale_after();
    return {std::move(vantage), host, tried && spoke && is_fresh, tried};
}

}  // namespace

PostgresMonitor::PostgresMonitor(const Settings& settings, const env::Env& env)
    : settings_(settings),
      env_(env),
      board_(std::make_shared<Board>(settings)),
      detectors_(settings) {}

std::vector<engine::ProbeTask> PostgresMonitor::probes() {
    return make_probes(settings_, env_, *board_, settings_.heartbeat_approved);
}

engine::Judgement PostgresMonitor::judge(const engine::JudgeContext& context) {
    if (context.stalled) trust_from(context.now);
    World world = look_at(context);
    // Who answers later than the first one must not be condemned by the silence of a cut way.
    if (was_cut_off_ && !world.cut_off()) {
        trust_from(context.now);
        world = look_at(context);
    }
    was_cut_off_ = world.cut_off();
    engine::Judgement judgement;
    judgement.findings = detectors_.judge(world);
    judgement.events = changes_.compare(world, judgement.findings);
    judgement.status = build_status(world);
    return judgement;
}

void PostgresMonitor::trust_from(MonoTime now) {
    valid_from_ = now;
    board_->post([&](Snapshot& seen) { seen.trusted_since = now; });
}

World PostgresMonitor::look_at(const engine::JudgeContext& context) const {
    return make_world(settings_, board_->snapshot(), context, valid_from_, changes_.last_primary());
}

std::vector<engine::Reach> PostgresMonitor::reach() {
    std::vector<engine::Reach> all;
    all.reserve(3 * settings_.nodes.size() + 1);
    board_->read([&](const Snapshot& seen) { add_reach(seen, all); });
    return all;
}

void PostgresMonitor::add_reach(const Snapshot& seen, std::vector<engine::Reach>& all) const {
    const MonoTime now = env_.clock.now();
    for (const NodeSettings& node : settings_.nodes) {
        const auto found = seen.nodes.find(node.name);
        if (found == seen.nodes.end()) continue;
        const NodeObservations& of = found->second;
        all.push_back(reach_of(node.agent + " REST", node.host, of.rest, kRestRhythm, now));
        all.push_back(reach_of(node.name + " SQL", node.host, of.sql, kSqlRhythm, now));
    }
    if (seen.etcd_health.value) {
        const bool is_fresh = now - seen.etcd_health.at <= kEtcdHealthRhythm.stale_after();
        for (std::size_t i = 0; i < seen.etcd_health.value->size(); ++i) {
            const auto& member = (*seen.etcd_health.value)[i];
            all.push_back({etcd_node_name(i), "", member.answered && is_fresh, true});
        }
    }
    if (settings_.client) {
        all.push_back(reach_of("client path", "", seen.client, kClientRhythm, now));
    }
}

}  // namespace aeterna::postgres
