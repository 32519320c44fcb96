// postgres.archiver_failing: a server's archive_command fails. What it cannot archive it keeps, until the disk is full.
#include <fmt/core.h>

#include "postgres/detect/detectors/detectors.h"

namespace aeterna::postgres {

Verdict judge_archiver(const World& world, const NodeSettings& node) {
    const auto& look = world.of(node.name).wal;
    if (!look.value) return Verdict::unknown();
    if (!look.value->archiver_fails) return Verdict::clear();
    Verdict verdict;
    verdict.condition = true;
    verdict.summary = fmt::format("the archiver of '{}' fails", node.name);
    verdict.reasons = {fmt::format("{} WAL: '{}' was not archived; the reason is in the server's log", node.name,
                                   look.value->failed_file)};
    return verdict;
}

}  // namespace aeterna::postgres
