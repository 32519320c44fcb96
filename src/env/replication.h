// The port to PostgreSQL's streaming replication protocol, physical mode (manual, "Streaming Replication Protocol"):
// one command at a time, its answer as a sequence of parts that is pulled, so that nothing piles up on our side.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "env/sql.h"

namespace aeterna::env {

struct ReplicationPart {
    enum class Kind {
        kRows,       // a row set; a command without one gives none
        kCopyBegin,  // COPY OUT, or COPY BOTH: from now on send() works
        kCopyData,   // one CopyData message
        kCopyEnd,    // the server's half is over, ours was closed with it; row sets may follow (end of a timeline)
        kEnd,        // the command is done; the next one may begin
    };
    Kind kind = Kind::kEnd;
    SqlRows rows;
    std::string_view data;  // of kCopyData; valid until the next call
};

// One walsender; one thread at a time. Errors as those of SqlConnection. kTimeout and kCancelled of next(), send() and
// end_copy() leave the session as it was: nothing is lost, and the call may be made again. Any other error of
// the server ends the command (the session stays usable); a lost connection ends the session (effect kUnknown).
class ReplicationConnection {
  public:
    virtual ~ReplicationConnection() = default;
    // Sends a command of the replication grammar. kUsage while an earlier one is not at its kEnd. After a timeout the
    // session is dead and the command's outcome unknown.
    [[nodiscard]] virtual Status start(const std::string& command, const Context& context) = 0;
    // The next part of the answer. kUsage when no command runs.
    [[nodiscard]] virtual Result<ReplicationPart> next(const Context& context) = 0;
    // COPY BOTH: one CopyData message (a standby status update). At most one unsent message is kept: kTimeout
    // before it was taken when the one before could not be sent yet, and then `message` was not taken.
    [[nodiscard]] virtual Status send(std::string_view message, const Context& context) = 0;
    // COPY BOTH: closes our half. What the server sent before it saw this still comes, then kCopyEnd.
    [[nodiscard]] virtual Status end_copy(const Context& context) = 0;
    // Warnings of the server since the last call, the newest 64.
    [[nodiscard]] virtual std::vector<std::string> take_warnings() = 0;
    [[nodiscard]] virtual bool is_usable() const = 0;
};

class ReplicationConnector {
  public:
    virtual ~ReplicationConnector() = default;
    // The target's database plays no part. kAuthentication where pg_hba.conf has no line for `replication` (28000) and
    // kPermission where the role lacks REPLICATION (42501).
    [[nodiscard]] virtual Result<std::unique_ptr<ReplicationConnection>> connect(const SqlTarget& target,
                                                                                 const Context& context) = 0;
};

// A command that is answered by rows alone (IDENTIFY_SYSTEM, SHOW, TIMELINE_HISTORY, READ_REPLICATION_SLOT,
// CREATE_REPLICATION_SLOT, DROP_REPLICATION_SLOT): its last row set, empty for none. kProtocol when it begins a COPY.
// After a timeout or a stop the answer still comes: close the session.
[[nodiscard]] Result<SqlRows> ask(ReplicationConnection& connection, const std::string& command,
                                  const Context& context);
// As the replication grammar reads it: 'it''s' and "a""b". A backslash is an ordinary character there.
[[nodiscard]] std::string replication_literal(std::string_view text);
[[nodiscard]] std::string replication_name(std::string_view text);

}  // namespace aeterna::env
