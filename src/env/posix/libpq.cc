#include "env/posix/libpq.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/strings.h"
#include "env/posix/errors.h"
#include "env/posix/resolve.h"
#include "env/posix/wait.h"

namespace aeterna::env {
namespace {

ErrorCode code_of_sqlstate(std::string_view state) {
    if (state == "25006") return ErrorCode::kReadOnly;
    if (state == "42501") return ErrorCode::kPermission;
    if (state.substr(0, 2) == "28") return ErrorCode::kAuthentication;
    if (state == "57P01" || state == "57P02" || state == "57P03" || state == "53300") {
        return ErrorCode::kUnavailable;
    }
    return ErrorCode::kServer;
}

// The SQLSTATE in libpq's verbose text "FATAL:  28P01: password …": a failed connection has no PGresult.
std::string sqlstate_in(std::string_view text) {
    for (const std::string_view severity : {"FATAL:  ", "ERROR:  ", "PANIC:  "}) {
        const std::size_t found = text.find(severity);
        if (found == std::string_view::npos) continue;
        const std::string_view rest = text.substr(found + severity.size());
        const bool is_state = rest.size() > 5 && rest[5] == ':' &&
                              std::all_of(rest.begin(), rest.begin() + 5,
                                          [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); });
        if (is_state) return std::string(rest.substr(0, 5));
    }
    return "";
}

// What libpq says behind 'connection to server at …, port … failed: '; the whole text where it does not begin so.
std::string_view behind_failed(std::string_view text) {
    constexpr std::string_view kFailed = " failed: ", kNoSocket = "could not create socket: ";
    if (const std::size_t found = text.find(kFailed); found != std::string_view::npos) text.remove_prefix(found + kFailed.size());
    if (text.starts_with(kNoSocket)) text.remove_prefix(kNoSocket.size());
    return text;
}

// libpq tells system errors by their text only.
ErrorCode code_of_text(std::string_view text) {
    const auto says = [&](std::string_view part) { return text.find(part) != std::string_view::npos; };
    for (const int number : {ECONNREFUSED, ECONNRESET, EPIPE, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT}) {
        if (says(errno_text(number))) return socket_error_code(number);
    }
    // On a Unix socket these are something else.
    if (says("connection to server at ")) {
        for (const int number : {EINVAL, EACCES, EPERM, EHOSTDOWN, ENETDOWN, EADDRNOTAVAIL, EAFNOSUPPORT}) {
            if (behind_failed(text).starts_with(errno_text(number))) return connect_error_code(number);
        }
    }
    if (says("server closed the connection") || says("SSL SYSCALL error: EOF")) {
        return ErrorCode::kConnectionLost;
    }
    if (says("no password supplied") || says("SCRAM") || says("authentication method")) {
        return ErrorCode::kAuthentication;
    }
    if (says("invalid sslmode") || says("root certificate file")) return ErrorCode::kConfiguration;
    return ErrorCode::kServer;
}

void ignore_notice(void*, const PGresult*) {}

// `host_address` is empty for a Unix socket.
LibpqSession begin(const SqlTarget& target, LibpqMode mode, const std::string& host_address) {
    const std::string port = std::to_string(target.endpoint.port);
    // Whatever is given here can't be changed by an environment variable.
    const std::array<std::pair<const char*, std::string>, 19> parameters = {{
        {"host", target.endpoint.host},
        {"hostaddr", host_address},
        {"port", port},
        {"user", target.user},
        {"password", target.password.reveal()},
        {"passfile", "/dev/null/none"},
        {"dbname", target.database},
        {"replication", mode == LibpqMode::kPhysicalReplication ? "true" : ""},
        {"sslmode", target.ssl_mode},
        {"sslrootcert", target.ssl_root_certificate},
        {"application_name", target.application_name},
        {"client_encoding", "UTF8"},
        {"gssencmode", "disable"},
        {"target_session_attrs", "any"},
        {"keepalives", "1"},
        {"keepalives_idle", "10"},
        {"keepalives_interval", "5"},
        {"keepalives_count", "3"},
        {"channel_binding", "prefer"},
    }};
    std::vector<const char*> names;
    std::vector<const char*> values;
    for (const auto& [name, value] : parameters) {
        names.push_back(name);
        values.push_back(value.c_str());
    }
    names.push_back(nullptr);
    values.push_back(nullptr);
    LibpqSession connection(PQconnectStartParams(names.data(), values.data(), /*expand_dbname=*/0));
    if (connection) {
        PQsetErrorVerbosity(connection.get(), PQERRORS_VERBOSE);
        PQsetNoticeReceiver(connection.get(), ignore_notice, nullptr);
    }
    return connection;
}

Result<LibpqSession> connect_one(const SqlTarget& target, LibpqMode mode, const std::string& host_address,
                                 const std::string& what, const Context& context) {
    LibpqSession connection = begin(target, mode, host_address);
    if (!connection) return make_error(ErrorCode::kInternal, fmt::format("{}: out of memory", what));
    if (PQstatus(connection.get()) == CONNECTION_BAD) return libpq_session_error(connection.get(), what);
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    while (state != PGRES_POLLING_OK) {
        if (state == PGRES_POLLING_FAILED) return libpq_session_error(connection.get(), what);
        const short events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        AETERNA_TRY(wait_ready(PQsocket(connection.get()), events, context, what));
        state = PQconnectPoll(connection.get());
    }
    PQsetErrorVerbosity(connection.get(), PQERRORS_DEFAULT);
    PQsetnonblocking(connection.get(), 1);
    return connection;
}

}  // namespace

Error libpq_session_error(PGconn* session, const std::string& what) {
    const std::string text = PQerrorMessage(session);
    const std::string state = sqlstate_in(text);
    const ErrorCode code = state.empty() ? code_of_text(text) : code_of_sqlstate(state);
    return make_error(code, fmt::format("{}: {}", what, one_line(behind_failed(text))),
                      code == ErrorCode::kAuthentication ? "Check the user and its password." : "");
}

Error libpq_statement_error(const PGresult* result, const std::string& what) {
    const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char* text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (state == nullptr) {  // made by libpq: the connection broke
        return make_error(code_of_text(PQresultErrorMessage(result)),
                          fmt::format("{}: {}", what, one_line(PQresultErrorMessage(result))));
    }
    return make_error(code_of_sqlstate(state),
                      fmt::format("{}: {} (SQLSTATE {})", what, one_line(text ? text : ""), state));
}

SqlRows libpq_rows(const PGresult* result) {
    SqlRows rows;
    const int columns = PQnfields(result);
    for (int column = 0; column < columns; ++column) rows.columns.emplace_back(PQfname(result, column));
    const int count = PQntuples(result);
    rows.rows.reserve(static_cast<std::size_t>(count));
    for (int row = 0; row < count; ++row) {
        auto& values = rows.rows.emplace_back();
        for (int column = 0; column < columns; ++column) {
            if (PQgetisnull(result, row, column) != 0) {
                values.emplace_back(std::nullopt);
            } else {
                values.emplace_back(std::string(PQgetvalue(result, row, column),
                                                static_cast<std::size_t>(PQgetlength(result, row, column))));
            }
        }
    }
    rows.affected = to_integer(PQcmdTuples(const_cast<PGresult*>(result))).value_or(0);
    return rows;
}

Status flush_libpq(PGconn* session, const std::string& what, const Context& context) {
    while (true) {
        const int pending = PQflush(session);
        if (pending == 0) return {};
        if (pending < 0) return libpq_session_error(session, what);
        pollfd socket{PQsocket(session), POLLIN | POLLOUT, 0};
        AETERNA_TRY(wait_ready(std::span<pollfd>(&socket, 1), context, what));
        if ((socket.revents & (POLLIN | POLLERR | POLLHUP)) != 0 && PQconsumeInput(session) != 1) {
            return libpq_session_error(session, what);
        }
    }
}

Result<LibpqResult> next_libpq_result(PGconn* session, const std::string& what, const Context& context) {
    while (PQisBusy(session) != 0) {
        AETERNA_TRY(wait_ready(PQsocket(session), POLLIN, context, what));
        if (PQconsumeInput(session) != 1) return libpq_session_error(session, what);
    }
    return LibpqResult(PQgetResult(session));
}

Result<LibpqSession> open_libpq_session(const SqlTarget& target, LibpqMode mode, const std::string& what,
                                        const Context& context) {
    AETERNA_TRY(check_context(context, what));
    if (target.endpoint.host.starts_with('/')) return connect_one(target, mode, "", what, context);
    AETERNA_ASSIGN(const std::vector<SocketAddress> addresses, resolve(target.endpoint, context));
    Error last = make_error(ErrorCode::kUnreachable, fmt::format("{}: no address", what));
    for (std::size_t i = 0; i < addresses.size(); ++i) {
        const MonoTime now = std::chrono::steady_clock::now();
        const Context share = context.until(now + (context.deadline - now) / static_cast<int>(addresses.size() - i));
        auto session = connect_one(target, mode, addresses[i].numeric_host(), what, share);
        if (session) return session;
        last = std::move(session).error();
        if (last.code == ErrorCode::kCancelled || last.code == ErrorCode::kAuthentication) break;
    }
    return last;
}

}  // namespace aeterna::env
