// The repository's logs as timelines of clusters.
#pragma once

#include <string>
#include <vector>

#include "postgres/capture/timeline_history.h"
#include "repository/log_segments.h"

namespace aeterna::postgres {

// Of every cluster, in the order of their names.
[[nodiscard]] Result<std::vector<WalLog>> list_wal_logs(repository::Repository& repository, const env::Context& context);

// kGuardRefused where the repository has WAL of other clusters and none of this one, which is `whose`: it is perhaps
// the wrong one.
Status require_known_cluster(repository::Repository& repository, const std::string& system_identifier,
                             const std::string& whose, const env::Context& context);

// What the log has of [from, to): to its first gap, empty where nothing begins at `from`. In memory as a whole.
[[nodiscard]] Result<std::string> read_stretch(repository::Repository& repository, const std::string& log, Lsn from, Lsn to,
                                               const env::Context& context);

// Makes the timeline's history file the origin of its log; before its first byte, so that a reader never sees a timeline that
// it cannot place. An empty history is one of a timeline that goes on from nothing. kProtocol.
Status put_timeline_history(repository::Repository& repository, const WalLog& log, const std::string& history,
                            const env::Context& context);

}  // namespace aeterna::postgres
