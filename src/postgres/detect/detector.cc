// Verdicts over time.
#include "postgres/detect/detector.h"

#include "postgres/detect/detectors/detectors.h"

namespace aeterna::postgres {

Track::Track(const DetectorSpec& spec, std::string subject)
    : spec_(spec),
      subject_(std::move(subject)),
      fire_after_(spec.fire_after),
      hysteresis_({spec.fire_after, spec.clear_after}) {
    last_.detector = spec_.name;
    last_.store = "postgres";
    last_.subject = subject_;
    last_.severity = spec_.severity;
    last_.state = engine::FindingState::kUnknown;
}

engine::Finding Track::update(const World& world, Verdict verdict) {
    if (world.stalled) hysteresis_.restart();
    if (world.isolated || world.stalled) verdict = Verdict::unknown();
    const Duration fire_after = verdict.fire_after.value_or(spec_.fire_after);
    if (fire_after != fire_after_ && hysteresis_.state() != engine::FindingState::kFiring) {
        fire_after_ = fire_after;
        hysteresis_ = engine::Hysteresis({fire_after, spec_.clear_after});
    }
    const engine::FindingState state = verdict.strong
                                           ? hysteresis_.update_strong(verdict.condition, world.now)
                                           : hysteresis_.update(verdict.condition, world.now);
    if (state != last_.state || last_.since == WallTime{}) last_.since = world.wall_now;
    last_.state = state;
    const bool still_firing =
        state == engine::FindingState::kFiring && !verdict.condition.value_or(false);
    if (!still_firing) {
        // What it fired for stays readable until it clears.
        last_.summary = std::move(verdict.summary);
        last_.reasons = std::move(verdict.reasons);
    }
    return last_;
}

Detectors::Detectors(const Settings& settings) {
    for (const DetectorSpec& spec : detector_specs()) {
        if (spec.applies && !spec.applies(settings)) continue;
        if (spec.cluster_verdict) {
            watched_.push_back({&spec, nullptr, Track(spec, settings.scope)});
            continue;
        }
        for (const NodeSettings& node : settings.nodes) {
            watched_.push_back({&spec, &node, Track(spec, node.name)});
        }
    }
}

std::vector<engine::Finding> Detectors::judge(const World& world) {
    std::vector<engine::Finding> findings;
    findings.reserve(watched_.size());
    for (Watched& watched : watched_) {
        Verdict verdict = watched.node ? watched.spec->node_verdict(world, *watched.node)
                                       : watched.spec->cluster_verdict(world);
        findings.push_back(watched.track.update(world, std::move(verdict)));
    }
    return findings;
}

}  // namespace aeterna::postgres
