// Where the servers' programs are on this machine.
#pragma once

#include <string>

#include "env/env.h"

namespace aeterna::lab {

struct Programs {
    std::string etcd;
    std::string
        python;  // Debian's: Patroni's modules are installed for it, not for another one in PATH
    std::string patroni;             // a Python script
    std::string postgres_directory;  // of postgres, initdb, pg_rewind …
    std::string redis_server;
    std::string redis_sentinel;
    std::string haproxy;
    std::string prometheus;
    std::string exporter;
    std::string self;
};

// kNotFound names every missing Debian package and the command that installs them.
[[nodiscard]] Result<Programs> find_programs(const env::Env& env);

// What to say instead of a program to get the stand-in where a real Qdrant is installed.
inline constexpr const char* kStandInWord = "stand-in";

// A real Qdrant: `option` (--qdrant), else $QDRANT_BIN, else `qdrant` in PATH; empty: the stand-in.
// kNotFound when the option or the variable names no program.
[[nodiscard]] Result<std::string> find_qdrant(const std::string& option, const env::Env& env);

// The Patroni that --patroni names: a program, as in a virtual environment's bin.
[[nodiscard]] Result<std::string> find_patroni(const std::string& option, const env::Env& env);

}  // namespace aeterna::lab
