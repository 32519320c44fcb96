#include "postgres/restore/recovery_conf.h"

#include <fmt/format.h>

namespace aeterna::postgres {

std::string conf_string(const std::string& text) {
    std::string result = "'";
    for (const char c : text) result.append(c == '\'' || c == '\\' ? 2 : 1, c);  // both are doubled: guc-file.l
    return result + "'";
}

std::string recovery_conf(const std::string& restore_command, const std::map<std::string, std::string>& target) {
    // What postgresql.conf may still have of a server that was itself restored, or delayed: a second target ends the
    // start, one that is exclusive ends before what was asked for, a delay holds each commit back, and the commands are about
    // other directories.
    std::string text =
        "recovery_target = ''\n"
        "recovery_target_name = ''\n"
        "recovery_target_time = ''\n"
        "recovery_target_xid = ''\n"
        "recovery_target_lsn = ''\n"
        "recovery_target_inclusive = on\n"
        "recovery_min_apply_delay = 0\n"
        "archive_cleanup_command = ''\n"
        "recovery_end_command = ''\n";
    text += fmt::format("restore_command = {}\n", conf_string(restore_command));
    for (const auto& [setting, value] : target) text += fmt::format("{} = {}\n", setting, conf_string(value));
    return text;
}

}  // namespace aeterna::postgres
