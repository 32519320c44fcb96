#include "env/replication.h"

namespace aeterna::env {
namespace {

std::string enclosed(std::string_view text, char quote) {
    std::string result(1, quote);
    for (const char c : text) {
        if (c == quote) result += quote;
        result += c;
    }
    result += quote;
    return result;
}

}  // namespace

Result<SqlRows> ask(ReplicationConnection& connection, const std::string& command, const Context& context) {
    AETERNA_TRY(connection.start(command, context));
    SqlRows rows;
    while (true) {
        AETERNA_ASSIGN(ReplicationPart part, connection.next(context));
        if (part.kind == ReplicationPart::Kind::kEnd) return rows;
        if (part.kind != ReplicationPart::Kind::kRows) {
            return make_error(ErrorCode::kProtocol, "the server began a copy where rows were asked for");
        }
        rows = std::move(part.rows);
    }
}

std::string replication_literal(std::string_view text) { return enclosed(text, '\''); }
std::string replication_name(std::string_view text) { return enclosed(text, '"'); }

}  // namespace aeterna::env
