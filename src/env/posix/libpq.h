// What SQL sessions and replication sessions share: connecting without blocking in libpq, and its errors as ours.
// Protocol facts: libpq's chapter "Asynchronous Command Processing"; SQLSTATE classes: Appendix A.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <string>

#include "env/sql.h"

namespace aeterna::env {

struct LibpqCloser {
    void operator()(PGconn* connection) const { PQfinish(connection); }
    void operator()(PGresult* result) const { PQclear(result); }
};
using LibpqSession = std::unique_ptr<PGconn, LibpqCloser>;
using LibpqResult = std::unique_ptr<PGresult, LibpqCloser>;

enum class LibpqMode { kSql, kPhysicalReplication };

// A session in non-blocking mode, over the first address of the target's host that answers; each address has its share
// of the time that is left. `what` leads the messages of errors.
[[nodiscard]] Result<LibpqSession> open_libpq_session(const SqlTarget& target, LibpqMode mode, const std::string& what,
                                                      const Context& context);

// Why the session failed as a whole.
[[nodiscard]] Error libpq_session_error(PGconn* session, const std::string& what);
// Why a statement failed; the message carries the SQLSTATE.
[[nodiscard]] Error libpq_statement_error(const PGresult* result, const std::string& what);
// A result that has rows, or the count of a command without any.
[[nodiscard]] SqlRows libpq_rows(const PGresult* result);

// Sends what waits to be sent. While we send, the server may send too (an error, a notice): both directions are served.
[[nodiscard]] Status flush_libpq(PGconn* session, const std::string& what, const Context& context);
// The next result of what was sent, null after the last one.
[[nodiscard]] Result<LibpqResult> next_libpq_result(PGconn* session, const std::string& what, const Context& context);

}  // namespace aeterna::env
