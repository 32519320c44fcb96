// PostgreSQL over libpq, never blocking in it: connection and query are driven by poll(2) with the context's
// deadline. Names are resolved here (libpq's own look-up knows no deadline), so libpq gets hostaddr only.
// Protocol facts: libpq's chapter "Asynchronous Command Processing"; SQLSTATE classes: Appendix A.
#include "env/sql.h"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

#include "base/strings.h"
#include "env/posix/errors.h"
#include "env/posix/ports.h"
#include "env/posix/resolve.h"
#include "env/posix/wait.h"

namespace aeterna::env {
namespace {

struct ConnectionCloser {
    void operator()(PGconn* connection) const { PQfinish(connection); }
};
using Connection = std::unique_ptr<PGconn, ConnectionCloser>;

struct ResultCloser {
    void operator()(PGresult* result) const { PQclear(result); }
};
using QueryResult = std::unique_ptr<PGresult, ResultCloser>;

ErrorCode code_of_sqlstate(std::string_view state) {
    if (state == "25006") return ErrorCode::kReadOnly;
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
                              std::all_of(rest.begin(), rest.begin() + 5, [](char c) {
                                  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
                              });
        if (is_state) return std::string(rest.substr(0, 5));
    }
    return "";
}

// libpq tells system errors by their text only.
ErrorCode code_of_text(std::string_view text) {
    const auto says = [&](std::string_view part) { return text.find(part) != std::string_view::npos; };
    for (const int number : {ECONNREFUSED, ECONNRESET, EPIPE, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT}) {
        if (says(errno_text(number))) return socket_error_code(number);
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

// The line that says why: libpq begins with 'connection to server at …, port … failed: '.
std::string reason_in(std::string_view text) {
    const std::size_t failed = text.find(" failed: ");
    return one_line(failed == std::string_view::npos ? text : text.substr(failed + 9));
}

Error connection_error(PGconn* connection, const std::string& what) {
    const std::string text = PQerrorMessage(connection);
    const std::string state = sqlstate_in(text);
    const ErrorCode code = state.empty() ? code_of_text(text) : code_of_sqlstate(state);
    return make_error(code, fmt::format("{}: {}", what, reason_in(text)),
                      code == ErrorCode::kAuthentication ? "Check the user and its password." : "");
}

SqlRows read_rows(const PGresult* result) {
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

class LibpqConnection final : public SqlConnection {
  public:
    LibpqConnection(Connection connection, std::string what)
        : connection_(std::move(connection)), what_(std::move(what)) {}

    Result<SqlRows> query(const std::string& sql, const std::vector<std::optional<std::string>>& parameters,
                          const Context& context) override {
        if (!connection_) {
            return make_error(ErrorCode::kConnectionLost, fmt::format("{}: the session is closed", what_));
        }
        AETERNA_TRY(check_context(context, what_));
        std::vector<const char*> values;
        for (const auto& parameter : parameters) values.push_back(parameter ? parameter->c_str() : nullptr);
        if (PQsendQueryParams(connection_.get(), sql.c_str(), static_cast<int>(values.size()), nullptr,
                              values.data(), nullptr, nullptr, 0) != 1) {
            return lost();
        }
        if (auto sent = flush(context); !sent) return dead(std::move(sent).error());
        return collect(context);
    }

    bool is_usable() const override {
        return connection_ != nullptr && PQstatus(connection_.get()) == CONNECTION_OK;
    }

  private:
    // While we send, the server may send too (an error, a notice): both directions are served.
    Status flush(const Context& context) {
        while (true) {
            const int pending = PQflush(connection_.get());
            if (pending == 0) return {};
            if (pending < 0) return connection_error(connection_.get(), what_);
            pollfd socket{PQsocket(connection_.get()), POLLIN | POLLOUT, 0};
            AETERNA_TRY(wait_ready(std::span<pollfd>(&socket, 1), context, what_));
            if ((socket.revents & (POLLIN | POLLERR | POLLHUP)) != 0 &&
                PQconsumeInput(connection_.get()) != 1) {
                return connection_error(connection_.get(), what_);
            }
        }
    }

    Result<QueryResult> next_result(const Context& context) {
        while (PQisBusy(connection_.get()) != 0) {
            AETERNA_TRY(wait_ready(PQsocket(connection_.get()), POLLIN, context, what_));
            if (PQconsumeInput(connection_.get()) != 1) return connection_error(connection_.get(), what_);
        }
        return QueryResult(PQgetResult(connection_.get()));
    }

    Result<SqlRows> collect(const Context& context) {
        SqlRows rows;
        std::optional<Error> failed;
        while (true) {
            auto result = next_result(context);
            if (!result) return dead(std::move(result).error());
            if (!*result) break;
            switch (PQresultStatus(result->get())) {
                case PGRES_TUPLES_OK:
                case PGRES_COMMAND_OK:
                case PGRES_EMPTY_QUERY: rows = read_rows(result->get()); break;
                case PGRES_COPY_IN:
                case PGRES_COPY_OUT:
                case PGRES_COPY_BOTH:
                    return dead(make_error(ErrorCode::kUsage, fmt::format("{}: COPY is not supported", what_)));
                default: failed = statement_error(result->get());
            }
        }
        if (!failed) return rows;
        if (PQstatus(connection_.get()) != CONNECTION_OK) return dead(std::move(*failed));
        return std::move(*failed);
    }

    Error statement_error(const PGresult* result) const {
        const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        const char* text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
        if (state == nullptr) {  // made by libpq: the connection broke
            return make_error(code_of_text(PQresultErrorMessage(result)),
                              fmt::format("{}: {}", what_, one_line(PQresultErrorMessage(result))));
        }
        return make_error(code_of_sqlstate(state),
                          fmt::format("{}: {} (SQLSTATE {})", what_, one_line(text ? text : ""), state));
    }

    Error lost() { return dead(connection_error(connection_.get(), what_)); }

    // No PQcancel: it blocks, and the statement's outcome stays unknown anyway.
    Error dead(Error error) {
        connection_.reset();
        error.effect = Effect::kUnknown;
        return error;
    }

    Connection connection_;
    std::string what_;
};

void ignore_notice(void*, const PGresult*) {}

Connection begin(const SqlTarget& target, const SocketAddress& address) {
    const std::string host_address = address.numeric_host();
    const std::string port = std::to_string(target.endpoint.port);
    // Whatever is given here can't be changed by an environment variable.
    const std::array<std::pair<const char*, std::string>, 18> parameters = {{
        {"host", target.endpoint.host},
        {"hostaddr", host_address},
        {"port", port},
        {"user", target.user},
        {"password", target.password.reveal()},
        {"passfile", "/dev/null/none"},
        {"dbname", target.database},
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
    Connection connection(PQconnectStartParams(names.data(), values.data(), /*expand_dbname=*/0));
    if (connection) {
        PQsetErrorVerbosity(connection.get(), PQERRORS_VERBOSE);
        PQsetNoticeReceiver(connection.get(), ignore_notice, nullptr);
    }
    return connection;
}

Result<Connection> connect_one(const SqlTarget& target, const SocketAddress& address,
                               const std::string& what, const Context& context) {
    Connection connection = begin(target, address);
    if (!connection) return make_error(ErrorCode::kInternal, fmt::format("{}: out of memory", what));
    if (PQstatus(connection.get()) == CONNECTION_BAD) return connection_error(connection.get(), what);
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    while (state != PGRES_POLLING_OK) {
        if (state == PGRES_POLLING_FAILED) return connection_error(connection.get(), what);
        const short events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        AETERNA_TRY(wait_ready(PQsocket(connection.get()), events, context, what));
        state = PQconnectPoll(connection.get());
    }
    PQsetErrorVerbosity(connection.get(), PQERRORS_DEFAULT);
    PQsetnonblocking(connection.get(), 1);
    return connection;
}

class LibpqConnector final : public SqlConnector {
  public:
    Result<std::unique_ptr<SqlConnection>> connect(const SqlTarget& target, const Context& context) override {
        const std::string what = fmt::format("PostgreSQL at '{}'", target.endpoint.to_string());
        AETERNA_TRY(check_context(context, what));
        AETERNA_ASSIGN(const std::vector<SocketAddress> addresses, resolve(target.endpoint, context));
        Error last = make_error(ErrorCode::kUnreachable, fmt::format("{}: no address", what));
        for (std::size_t i = 0; i < addresses.size(); ++i) {
            const MonoTime now = std::chrono::steady_clock::now();
            const Context share =
                context.until(now + (context.deadline - now) / static_cast<int>(addresses.size() - i));
            auto connection = connect_one(target, addresses[i], what, share);
            if (connection) return std::make_unique<LibpqConnection>(std::move(*connection), what);
            last = std::move(connection).error();
            if (last.code == ErrorCode::kCancelled || last.code == ErrorCode::kAuthentication) break;
        }
        return last;
    }
};

}  // namespace

std::unique_ptr<SqlConnector> make_libpq_connector() {
    // What begin() can't override: libpq would send or read these for every session.
    for (const char* name : {"PGSERVICE", "PGSERVICEFILE", "PGOPTIONS", "PGDATESTYLE", "PGTZ", "PGGEQO",
                             "PGSSLCERT", "PGSSLKEY", "PGSSLCRL", "PGSSLCRLDIR", "PGSSLROOTCERT",
                             "PGREQUIREPEER", "PGREQUIRESSL", "PGSSLSNI"}) {
        ::unsetenv(name);
    }
    return std::make_unique<LibpqConnector>();
}

}  // namespace aeterna::env
