// The lines of postgresql.auto.conf that make a restored server recover. Pure.
#pragma once

#include <map>
#include <string>

namespace aeterna::postgres {

// A value as a configuration file has it, in quotes.
[[nodiscard]] std::string conf_string(const std::string& text);
// By `restore_command` to what `target` sets (recovery_target_…), whatever stands before them.
[[nodiscard]] std::string recovery_conf(const std::string& restore_command,
                                        const std::map<std::string, std::string>& target);

}  // namespace aeterna::postgres
