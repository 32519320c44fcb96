// postgres.exporter_down: the seed's signal: Prometheus' `up` of the exporter is 0, or the
// exporter's own pg_up is 0. No sample is unknown, not 0. An instance belongs to the node with the
// same address.
#include "postgres/detect/detectors/detectors.h"

namespace aeterna::postgres {

namespace {

bool belongs_to(const ExporterSample& sample, const NodeSettings& node) {
    auto endpoint = env::parse_endpoint(sample.instance);
    return sample.instance == node.name || (endpoint && endpoint->host == node.address.host);
}

}  // namespace

Verdict judge_exporter(const World& world, const NodeSettings& node) {
    const auto& exporter = world.seen.exporter;
    if (!exporter.value) return Verdict::unknown();
    for (const ExporterSample& sample : exporter.value->samples) {
        if (!belongs_to(sample, node)) continue;
        Verdict verdict;
        verdict.condition = sample.up == 0.0 || (sample.up && sample.pg_up == 0.0);
        if (*verdict.condition) {
            const char* metric = sample.up == 0.0 ? "up" : "pg_up";
            verdict.summary =
                std::string("'") + metric + "' of the exporter of '" + node.name + "' is 0";
            verdict.reasons = {std::string("prometheus: ") + metric + "{instance=\"" +
                               sample.instance + "\"} is 0"};
        } else if (!sample.up) {
            return Verdict::unknown();  // no sample is not 0
        }
        return verdict;
    }
    return Verdict::unknown();
}

}  // namespace aeterna::postgres
