// PostgreSQL over libpq, never blocking in it: connection and query are driven by poll(2) with the context's
// deadline. Names are resolved here (libpq's own look-up knows no deadline), so libpq gets hostaddr only.
#include "env/sql.h"

#include <fmt/format.h>

#include <cstdlib>

#include "env/posix/libpq.h"
#include "env/posix/ports.h"
#include "env/posix/wait.h"

namespace aeterna::env {
namespace {

class LibpqConnection final : public SqlConnection {
  public:
    LibpqConnection(LibpqSession connection, std::string what)
        : connection_(std::move(connection)), what_(std::move(what)) {}

    Result<SqlRows> query(const std::string& sql, const std::vector<std::optional<std::string>>& parameters,
                          const Context& context) override {
        if (!connection_) {
            return make_error(ErrorCode::kConnectionLost, fmt::format("{}: the session is closed", what_));
        }
        AETERNA_TRY(check_context(context, what_));
        std::vector<const char*> values;
        for (const auto& parameter : parameters) values.push_back(parameter ? parameter->c_str() : nullptr);
        if (PQsendQueryParams(connection_.get(), sql.c_str(), static_cast<int>(values.size()), nullptr, values.data(),
                              nullptr, nullptr, 0) != 1) {
            return lost();
        }
        if (auto sent = flush_libpq(connection_.get(), what_, context); !sent) return dead(std::move(sent).error());
        return collect(context);
    }

    bool is_usable() const override { return connection_ != nullptr && PQstatus(connection_.get()) == CONNECTION_OK; }

  private:
    Result<SqlRows> collect(const Context& context) {
        SqlRows rows;
        std::optional<Error> failed;
        while (true) {
            auto result = next_libpq_result(connection_.get(), what_, context);
            if (!result) return dead(std::move(result).error());
            if (!*result) break;
            switch (PQresultStatus(result->get())) {
                case PGRES_TUPLES_OK:
                case PGRES_COMMAND_OK:
                case PGRES_EMPTY_QUERY: rows = libpq_rows(result->get()); break;
                case PGRES_COPY_IN:
                case PGRES_COPY_OUT:
                case PGRES_COPY_BOTH:
                    return dead(make_error(ErrorCode::kUsage, fmt::format("{}: COPY is not supported", what_)));
                default: failed = libpq_statement_error(result->get(), what_);
            }
        }
        if (!failed) return rows;
        if (PQstatus(connection_.get()) != CONNECTION_OK) return dead(std::move(*failed));
        return std::move(*failed);
    }

    Error lost() { return dead(libpq_session_error(connection_.get(), what_)); }

    // No PQcancel: it blocks, and the statement's outcome stays unknown anyway.
    Error dead(Error error) {
        connection_.reset();
        error.effect = Effect::kUnknown;
        return error;
    }

    LibpqSession connection_;
    std::string what_;
};

class LibpqConnector final : public SqlConnector {
  public:
    Result<std::unique_ptr<SqlConnection>> connect(const SqlTarget& target, const Context& context) override {
        const std::string what = fmt::format("PostgreSQL at '{}'", target.endpoint.to_string());
        AETERNA_ASSIGN(LibpqSession session, open_libpq_session(target, LibpqMode::kSql, what, context));
        return std::make_unique<LibpqConnection>(std::move(session), what);
    }
};

}  // namespace

std::unique_ptr<SqlConnector> make_libpq_connector() {
    // What begin() can't override: libpq would send or read these for every session.
    for (const char* name :
         {"PGSERVICE", "PGSERVICEFILE", "PGOPTIONS", "PGDATESTYLE", "PGTZ", "PGGEQO", "PGSSLCERT", "PGSSLKEY",
          "PGSSLCRL", "PGSSLCRLDIR", "PGSSLROOTCERT", "PGREQUIREPEER", "PGREQUIRESSL", "PGSSLSNI"}) {
        ::unsetenv(name);
    }
    return std::make_unique<LibpqConnector>();
}

}  // namespace aeterna::env
