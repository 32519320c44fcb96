// The port to PostgreSQL's client protocol: connect and query with deadlines. Text format only.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "env/context.h"
#include "env/net.h"

namespace aeterna::env {

struct SqlTarget {
    Endpoint endpoint;  // a host that begins with '/' is the directory of a Unix socket, as for libpq
    std::string user;
    Secret password;
    std::string database;
    std::string ssl_mode = "prefer";  // libpq's sslmode
    std::string ssl_root_certificate;
    std::string application_name = "aeterna-dr";
};

struct SqlRows {
    std::vector<std::string> columns;
    std::vector<std::vector<std::optional<std::string>>> rows;  // nullopt = SQL NULL
    std::int64_t affected = 0;                                  // of INSERT, UPDATE, DELETE
    // The first row's column, or nothing.
    [[nodiscard]] std::optional<std::string> first(std::size_t column = 0) const {
        if (rows.empty() || column >= rows.front().size()) return std::nullopt;
        return rows.front()[column];
    }
};

// One session; one thread at a time. After a timeout or a lost connection the session is dead (is_usable false)
// and the statement's outcome is unknown (effect kUnknown). Errors: kReadOnly (SQLSTATE 25006), kAuthentication
// (28xxx), kPermission (42501), kUnavailable (57P01-57P03, 53300), kServer otherwise; the message carries the SQLSTATE.
class SqlConnection {
  public:
    virtual ~SqlConnection() = default;
    [[nodiscard]] virtual Result<SqlRows> query(const std::string& sql,
                                                const std::vector<std::optional<std::string>>& parameters,
                                                const Context& context) = 0;
    [[nodiscard]] virtual bool is_usable() const = 0;
};

class SqlConnector {
  public:
    virtual ~SqlConnector() = default;
    [[nodiscard]] virtual Result<std::unique_ptr<SqlConnection>> connect(const SqlTarget& target,
                                                                         const Context& context) = 0;
};

}  // namespace aeterna::env
