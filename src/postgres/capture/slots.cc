#include "postgres/capture/slots.h"

#include <fmt/format.h>

#include "base/strings.h"
#include "postgres/capture/exposure.h"
#include "postgres/capture/standby_names.h"
#include "postgres/client/wal.h"

namespace aeterna::postgres {
namespace {

constexpr Duration kNodeTimeout = std::chrono::seconds(2);

constexpr std::string_view kTimeline = R"(
       CASE WHEN pg_is_in_recovery()
            THEN coalesce((SELECT received_tli FROM pg_stat_wal_receiver LIMIT 1),
                          (SELECT timeline_id FROM pg_control_checkpoint()))
            ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END)";

// A primary's insert position is behind what any commit has written, flushed by its server or not.
constexpr std::string_view kLook = R"(
SELECT NOT pg_is_in_recovery(),
       (SELECT system_identifier FROM pg_control_system()),{},
       CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END,
       (SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'),
       current_setting('synchronous_standby_names'))";

constexpr const char* kFindSlot =
    "SELECT restart_lsn, slot_type, coalesce(wal_status, '') FROM pg_replication_slots WHERE slot_name = $1";

}  // namespace

Result<env::SqlRows> NodeSessions::query(const NodeSettings& node, const std::string& sql,
                                         const std::vector<std::optional<std::string>>& parameters,
                                         const env::Context& context) {
    const env::Context bounded = env_.clock.within(kNodeTimeout, context);
    auto& session = sessions_[node.name];
    if (!session || !session->is_usable()) {
        AETERNA_ASSIGN(session, env_.sql.connect(settings_.sql_target(node.address), bounded));
    }
    auto rows = session->query(sql, parameters, bounded);
    if (!session->is_usable()) session.reset();
    return rows;
}

Result<SourceView> NodeSessions::look(const NodeSettings& node, const env::Context& context) {
    AETERNA_ASSIGN(const env::SqlRows rows, query(node, fmt::format(kLook, kTimeline), {}, context));
    SourceView view;
    view.node = node.name;
    view.is_primary = rows.first(0) == "t";
    view.system_identifier = rows.first(1).value_or("");
    view.timeline = static_cast<Timeline>(to_integer(rows.first(2).value_or("")).value_or(0));
    view.segment_bytes = static_cast<std::uint64_t>(to_integer(rows.first(4).value_or("")).value_or(0));
    view.awaits_us = is_named_standby(rows.first(5).value_or(""), settings_.synchronous_name);
    const auto end = parse_lsn(rows.first(3).value_or(""));
    if (!end || view.timeline == 0 || view.segment_bytes == 0 || view.system_identifier.empty()) {
        return make_error(ErrorCode::kProtocol, fmt::format("'{}' does not say where its WAL is", node.name));
    }
    view.end = written_end(*end, view.segment_bytes);
    return view;
}

Result<Slot> NodeSessions::ensure_slot(const NodeSettings& node, const env::Context& context) {
    AETERNA_ASSIGN(env::SqlRows rows, query(node, kFindSlot, {settings_.slot}, context));
    Slot slot;
    if (rows.first(1) && rows.first(1) != "physical") {
        return make_error(ErrorCode::kGuardRefused,
                          fmt::format("'{}' has a {} slot '{}'", node.name, *rows.first(1), settings_.slot),
                          "Name another one in the stack file (stores.postgres.slot).");
    }
    if (rows.first(1) && (rows.first(2) == "lost" || !rows.first(0))) {
        AETERNA_TRY(query(node, "SELECT pg_drop_replication_slot($1)", {settings_.slot}, context));
        rows.rows.clear();
    }
    if (rows.rows.empty()) {
        // Reserved at once: a slot without a position holds nothing.
        const auto made = query(node, "SELECT pg_create_physical_replication_slot($1, true)", {settings_.slot}, context);
        if (!made) {
            Error error = wrap_error(made.error(), fmt::format("the slot '{}' cannot be made on '{}'", settings_.slot, node.name));
            if (error.hint.empty()) error.hint = fmt::format("ALTER ROLE \"{}\" REPLICATION.", settings_.user);
            return error;
        }
        slot.was_made = true;
        AETERNA_ASSIGN(rows, query(node, kFindSlot, {settings_.slot}, context));
    }
    const auto restart = parse_lsn(rows.first(0).value_or(""));
    if (!restart) return make_error(ErrorCode::kServer, fmt::format("the slot on '{}' holds no WAL", node.name));
    slot.restart = *restart;
    return slot;
}

Result<std::optional<Lsn>> NodeSessions::slot_position(const NodeSettings& node, const env::Context& context) {
    AETERNA_ASSIGN(const env::SqlRows rows, query(node, kFindSlot, {settings_.slot}, context));
    return rows.first(1) == "physical" ? parse_lsn(rows.first(0).value_or("")) : std::nullopt;
}

Result<bool> NodeSessions::drop_slot(const NodeSettings& node, const env::Context& context) {
    AETERNA_ASSIGN(const env::SqlRows rows,
                   query(node,
                         "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
                         "WHERE slot_name = $1 AND slot_type = 'physical' AND NOT active",
                         {settings_.slot}, context));
    return !rows.rows.empty();
}

Status NodeSessions::advance_slot(const SourceView& seen, Lsn durable, const env::Context& context) {
    // A position before the slot's is an error of the function, one behind the server's end is cut. The server itself compares the
    // timeline: we may have stood still since our look, and it been promoted.
    const std::string statement = fmt::format(
        "SELECT pg_replication_slot_advance(slot_name, $2::pg_lsn) FROM pg_replication_slots "
        "WHERE slot_name = $1 AND NOT active AND restart_lsn < $2::pg_lsn AND ({}) = $3::int", kTimeline);
    const auto moved = query(*settings_.find(seen.node), statement, {settings_.slot, format_lsn(durable), std::to_string(seen.timeline)}, context);
    if (!moved) return moved.error();
    return {};
}

}  // namespace aeterna::postgres
