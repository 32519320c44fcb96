// The one fold that is more than a copy.
#include "postgres/detect/board.h"

namespace aeterna::postgres {

void post_sql(Board& board, const std::string& node, Result<SqlView> outcome, MonoTime started,
              MonoTime at) {
    board.post([&](Snapshot& seen) {
        NodeObservations& of = seen.nodes[node];
        const bool was_primary = of.sql.value && !of.sql.value->in_recovery;
        fold(of.sql, std::move(outcome), started, at);
        const bool is_primary = of.sql.value && !of.sql.value->in_recovery;
        if (is_primary && !was_primary) of.primary_since = started;
    });
}

}  // namespace aeterna::postgres
