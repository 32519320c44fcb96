#include "postgres/restore/starting_point.h"

#include "repository/pipeline/restore.h"

namespace aeterna::postgres {

Result<StartingPoint> read_starting_point(repository::Repository& repository, const repository::Backup& backup,
                                          const env::Context& context) {
    StartingPoint point;
    AETERNA_ASSIGN(point.details, read_details(backup.details));
    AETERNA_ASSIGN(const std::string bytes,
                   repository::read_small_file(repository, backup, std::string(kControlPath), kMostControlBytes, context));
    AETERNA_ASSIGN(point.control, parse_control_file(bytes));
    const std::uint64_t segment = point.control.segment_bytes;
    if (segment > 0) point.wal_from = point.details.to / segment * segment;
    return point;
}

}  // namespace aeterna::postgres
