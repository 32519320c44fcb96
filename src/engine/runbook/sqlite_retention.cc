// The order matters: incidents and executions go first, then the events that none of those left,
// and no drill, needs. Each statement is one transaction of bounded size, so that nobody waits long
// for the journal.
#include "engine/runbook/sqlite_retention.h"

namespace aeterna::engine::sqlite {
namespace {

// An execution that may still be gone on with keeps its place, however old: see is_resumable().
constexpr const char* kPrune[] = {
    "DELETE FROM requests WHERE id IN (SELECT id FROM requests WHERE answer <> 'null' AND at < ?1 "
    "LIMIT 2000)",

    "DELETE FROM incidents WHERE id IN (SELECT id FROM incidents AS i WHERE closed_at < ?1"
    " AND NOT EXISTS (SELECT 1 FROM drills WHERE started_at <= i.closed_at"
    "  AND (ended_at IS NULL OR ended_at >= i.opened_at)) LIMIT 2000)",

    "DELETE FROM executions WHERE id IN (SELECT id FROM executions AS e WHERE ended_at < ?1"
    " AND (state IN ('succeeded', 'aborted') OR (state IN ('failed', 'refused')"
    "  AND facts NOT LIKE '%\"runner.unwinding\"%'))"
    " AND NOT EXISTS (SELECT 1 FROM drills WHERE started_at <= e.ended_at"
    "  AND (ended_at IS NULL OR ended_at >= e.started_at))"
    // The post-mortem of an incident that is kept tells of them.
    " AND NOT EXISTS (SELECT 1 FROM incidents WHERE opened_at <= e.ended_at + 60000000"
    "  AND (closed_at IS NULL OR closed_at + 60000000 >= e.started_at)) LIMIT 500)",

    "DELETE FROM steps WHERE sequence IN (SELECT sequence FROM steps"
    " WHERE execution_id NOT IN (SELECT id FROM executions) LIMIT 5000)",

    // A post-mortem looks a minute around its incident.
    "DELETE FROM events WHERE sequence IN (SELECT sequence FROM events AS v WHERE at < ?1"
    " AND NOT EXISTS (SELECT 1 FROM drills WHERE started_at <= v.at AND (ended_at IS NULL OR "
    "ended_at >= v.at))"
    " AND NOT EXISTS (SELECT 1 FROM incidents WHERE opened_at - 60000000 <= v.at"
    "  AND (closed_at IS NULL OR closed_at + 60000000 >= v.at))"
    " AND NOT EXISTS (SELECT 1 FROM executions WHERE started_at <= v.at"
    "  AND (ended_at IS NULL OR ended_at >= v.at)) LIMIT 5000)",
};

}  // namespace

Result<std::size_t> prune_journal(Connection& connection, WallTime before) {
    std::size_t removed = 0;
    for (const char* sql : kPrune) {
        Statement statement(connection, connection.prepare(sql));
        if (std::string_view(sql).find("?1") != std::string_view::npos) statement.bind(before);
        AETERNA_TRY(statement.run());
        removed += connection.changes();
    }
    return removed;
}

}  // namespace aeterna::engine::sqlite
