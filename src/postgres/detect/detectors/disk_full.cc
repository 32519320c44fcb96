// postgres.disk_full: a server has no room to write, or next to none. Its host's executor measures the file systems below it,
// also when the server is dead; without one its own refusals (SQLSTATE 53100) say it.
//
// A server without room for WAL ends with PANIC and does not start until there is some; one without room for data refuses
// what would extend a table and goes on with the rest, the heartbeat's row among it.
#include <fmt/core.h>

#include <algorithm>

#include "postgres/detect/detectors/detectors.h"

namespace aeterna::postgres {

namespace {

constexpr std::string_view kDiskFull = "53100";  // PostgreSQL, Appendix A
// A segment of WAL more and it is over; on a large disk 5 % are enough for hours.
constexpr std::uint64_t kMostNeeded = 1ULL << 30;

bool is_nearly_full(const env::Room& room) {
    return room.free_bytes < std::min(room.total_bytes / 20, kMostNeeded);
}

}  // namespace

Verdict judge_disk(const World& world, const NodeSettings& node) {
    const NodeObservations& of = world.of(node.name);
    Verdict verdict;
    const std::pair<const char*, const Look*> words[] = {
        {" heartbeat", &of.heartbeat}, {" SQL", &of.sql}, {" connect", &of.connect}};
    for (const auto& [vantage, look] : words) {
        if (look->answered() || look->sqlstate != kDiskFull) continue;
        verdict.reasons.push_back(describe_look(world, node.name + vantage, *look));
    }
    for (const DiskView& disk : of.disks.value ? *of.disks.value : std::vector<DiskView>{}) {
        if (!is_nearly_full(disk.room)) continue;
        verdict.reasons.push_back(fmt::format("{} disk: '{}' has {} MiB of {} MiB free", node.name, disk.path,
                                              disk.room.free_bytes >> 20, disk.room.total_bytes >> 20));
    }
    if (!verdict.reasons.empty()) {
        verdict.condition = true;
        verdict.summary = fmt::format("the disk of '{}' is full", node.name);
    } else if (of.disks.value || of.sql.answered()) {
        verdict.condition = false;
    }
    return verdict;
}

}  // namespace aeterna::postgres
