// Who takes and keeps the base backups: we, or a program that is there already. Of the stack file's postgres section.
#pragma once

#include <string>

#include "config/stack.h"

namespace aeterna::postgres {

struct EngineSettings {
    enum class Kind { kNative, kPgBackRest, kWalG };
    Kind kind = Kind::kNative;
    std::string name = "native";  // as the stack file has it
    std::string section;          // of the stack file that describes it
    std::string series;           // what its backups are of: the stanza, else the scope
    std::string program;          // a name in PATH, or a path
    std::string config_file;      // empty: the program's own
    std::string stanza;           // of pgBackRest
    std::string data_directory;   // of the server here, that WAL-G reads
    std::string user;             // that the program runs as; empty: ours, as root postgres
    [[nodiscard]] bool is_native() const { return kind == Kind::kNative; }
};

// As read_settings() (settings.h, settings.cc), beside it.
[[nodiscard]] EngineSettings read_engine_settings(const config::StoreSection& section);

}  // namespace aeterna::postgres
