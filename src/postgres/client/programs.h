// PostgreSQL's own client programs (pg_dump, pg_restore): which one fits a server, how it is told where to connect
// without a secret in its arguments, and what its failure says in one line.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "env/env.h"
#include "env/sql.h"

namespace aeterna::postgres {

// "pg_dump (PostgreSQL) 15.18 (Debian …)" → 15.
[[nodiscard]] std::optional<int> parse_program_major(std::string_view text);
// "15.18 (Debian 15.18-0+deb12u1)", as a server calls its version → 15.
[[nodiscard]] std::optional<int> parse_server_major(std::string_view text);

struct ClientProgram {
    std::string path;
    int major = 0;
};
// The program of `least_major`, else of the next newer one, from where Debian and the RPMs put them; else whatever PATH
// has, when it is no older. kConfiguration: there is none, or it is too old.
[[nodiscard]] Result<ClientProgram> find_client_program(env::Processes& processes, const std::string& name,
                                                        int least_major, const env::Context& context);

// What a program that only tells something prints, as one line; empty when it does not run, fails, or takes longer than ten seconds.
[[nodiscard]] std::string told_by_program(const std::vector<std::string>& argv, const env::Env& env, const env::Context& context);

// libpq's connection string, without the password. A peer that is gone is noticed within a minute.
[[nodiscard]] std::string connection_words(const env::SqlTarget& target);
// What runs `argv` against `target`: the password is in the environment, which only this user and root can read.
[[nodiscard]] env::RunOptions client_run(std::vector<std::string> argv, const env::SqlTarget& target);

// The success of a finished run, or its last error as one line: "pg_dump: query failed: ERROR:  permission denied …".
// The effect is kNone: nothing was changed.
Status judge_run(const std::string& name, const env::RunResult& result);

}  // namespace aeterna::postgres
