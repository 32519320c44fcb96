// See bootstrap.h. Passwords are hexadecimal (secrets.h), so that they need no quoting; utility
// statements take no parameters.
#include "lab/bootstrap.h"

#include <fmt/format.h>

#include "lab/server_config.h"

namespace aeterna::lab {
namespace {

Result<std::unique_ptr<env::SqlConnection>> connect(const CheckContext& lab, int host,
                                                    const char* database,
                                                    const env::Context& context) {
    env::SqlTarget target;
    target.endpoint = lab.layout.endpoint("postgres", host);
    target.user = "postgres";
    target.password = lab.secrets.secret("postgres_superuser");
    target.database = database;
    target.ssl_mode = "disable";
    target.application_name = "aeterna-dr lab";
    return lab.env.sql.connect(target, context);
}

Result<bool> exists(env::SqlConnection& connection, const std::string& sql, const std::string& name,
                    const env::Context& context) {
    AETERNA_ASSIGN(const env::SqlRows rows, connection.query(sql, {name}, context));
    return !rows.rows.empty();
}

Status make_role(env::SqlConnection& connection, const std::string& role,
                 const std::string& password, const std::string& attributes,
                 const env::Context& context) {
    AETERNA_ASSIGN(const bool is_there,
                   exists(connection, "SELECT 1 FROM pg_roles WHERE rolname = $1", role, context));
    const std::string verb = is_there ? "ALTER" : "CREATE";
    for (const std::string& sql :
         {fmt::format("{} ROLE {} LOGIN {} PASSWORD '{}'", verb, role, attributes, password),
          fmt::format("GRANT pg_monitor TO {}", role)}) {
        const auto done = connection.query(sql, {}, context);
        if (!done) return done.error();
    }
    return {};
}

}  // namespace

Status prepare_database(const CheckContext& lab, int host, const env::Context& context) {
    AETERNA_ASSIGN(auto connection, connect(lab, host, "postgres", context));
    // A failed statement would be logged with the password in it.
    for (const char* sql : {"SET log_min_error_statement = panic", "SET log_statement = none"}) {
        const auto done = connection->query(sql, {}, context);
        if (!done) return done.error();
    }
    // Base backups; capture streams WAL and keeps its slot.
    AETERNA_TRY(make_role(*connection, kRole, lab.secrets.reveal("postgres_aeterna_dr"),
                          "REPLICATION", context));
    AETERNA_TRY(make_role(*connection, kExporterRole, lab.secrets.reveal("postgres_exporter"), "",
                          context));
    AETERNA_ASSIGN(
        const bool is_there,
        exists(*connection, "SELECT 1 FROM pg_database WHERE datname = $1", kDatabase, context));
    if (!is_there) {
        const auto done =
            connection->query(fmt::format("CREATE DATABASE {}", kDatabase), {}, context);
        if (!done) return done.error();
    }
    AETERNA_ASSIGN(connection, connect(lab, host, kDatabase, context));
    const std::string table =
        "CREATE TABLE IF NOT EXISTS aeterna_dr.lab_check (id int PRIMARY KEY, at timestamptz)";
    for (const std::string& sql :
         {fmt::format("GRANT CREATE, TEMPORARY ON DATABASE {} TO {}", kDatabase, kRole),
          fmt::format("CREATE SCHEMA IF NOT EXISTS aeterna_dr AUTHORIZATION {}", kRole),
          fmt::format("SET ROLE {}", kRole), table}) {
        const auto done = connection->query(sql, {}, context);
        if (!done) return done.error();
    }
    return {};
}

}  // namespace aeterna::lab
