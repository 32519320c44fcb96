#include "postgres/restore_test/scratch_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/strings.h"

namespace aeterna::postgres {
namespace {

constexpr std::size_t kSocketPathLimit = 107;
constexpr int kFirstWithEventTriggersSetting = 17;
constexpr int kLastWithTriggerFile = 15;

// The value behind "NAME:   value".
std::string value_of(std::string_view text, std::string_view name) {
    for (const std::string_view line : split(text, '\n')) {
        if (line.starts_with(name) && line.substr(name.size()).starts_with(':')) {
            return std::string(trim(line.substr(name.size() + 1)));
        }
    }
    return "";
}

}  // namespace

Status check_socket_path(const ScratchPlace& place) {
    const std::string path = place.socket_path();
    if (path.size() <= kSocketPathLimit) return {};
    return make_error(ErrorCode::kConfiguration,
                      fmt::format("the socket's path '{}' is {} bytes too long", path, path.size() - kSocketPathLimit),
                      "Name a directory with a shorter path (--work).");
}

Result<ControlData> parse_control_data(std::string_view text) {
    const auto checksums = to_integer(value_of(text, "Data page checksum version"));
    const auto prepared = to_integer(value_of(text, "max_prepared_xacts setting"));
    const auto locks = to_integer(value_of(text, "max_locks_per_xact setting"));
    if (!checksums || !prepared || !locks || *prepared < 0 || *locks < 1) {
        return make_error(ErrorCode::kProtocol, "the output of pg_controldata is not understood");
    }
    return ControlData{*checksums != 0, static_cast<unsigned>(*prepared), static_cast<unsigned>(*locks)};
}

std::optional<Duration> replay_in(std::string_view log) {
    constexpr std::string_view kElapsed = ", elapsed: ";
    const std::size_t done = log.rfind("redo done at ");
    if (done == std::string_view::npos) return std::nullopt;
    const std::string_view line = log.substr(done, log.find('\n', done) - done);
    const std::size_t elapsed = line.find(kElapsed);
    if (elapsed == std::string_view::npos) return std::nullopt;
    const std::string_view words = line.substr(elapsed + kElapsed.size());
    const auto seconds = to_number(words.substr(0, words.find(' ')));
    return seconds && *seconds >= 0 ? std::optional(from_seconds(*seconds)) : std::nullopt;
}

std::vector<std::string> server_argv(const ServerPrograms& programs, const ScratchPlace& place,
                                     const ControlData& control, const std::vector<std::string>& preload) {
    std::vector<std::pair<std::string, std::string>> settings = {
        {"config_file", place.configuration()},
        {"hba_file", place.hba()},
        {"ident_file", place.ident()},
        {"external_pid_file", ""},
        // Reached from inside only.
        {"listen_addresses", ""},
        {"port", std::to_string(kScratchPort)},
        {"unix_socket_directories", place.sockets()},
        {"unix_socket_group", ""},
        {"unix_socket_permissions", "0700"},
        {"ssl", "off"},
        // Writes to nothing and takes from nothing outside.
        {"archive_mode", "off"},
        {"archive_command", ""},
        {"archive_library", ""},
        {"archive_cleanup_command", ""},
        {"recovery_end_command", ""},
        {"primary_conninfo", ""},
        {"primary_slot_name", ""},
        {"synchronous_standby_names", ""},
        {"max_wal_senders", "0"},
        {"max_logical_replication_workers", "0"},
        {"shared_preload_libraries", join(preload, ",")},
        {"session_preload_libraries", ""},
        {"local_preload_libraries", ""},
        // Recovers as far as it should and then takes writes.
        {"hot_standby", "off"},
        {"recovery_target_action", "promote"},
        {"max_prepared_transactions", std::to_string(control.max_prepared)},
        {"max_locks_per_transaction", std::to_string(std::max(control.max_locks, 64U))},
        // Hides nothing: no damage, and no crash behind a restart.
        {"zero_damaged_pages", "off"},
        {"ignore_checksum_failure", "off"},
        {"ignore_invalid_pages", "off"},
        {"ignore_system_indexes", "off"},
        {"restart_after_crash", "off"},
        // Modest, and at home on this machine.
        {"max_connections", "30"},
        {"shared_buffers", "128MB"},
        {"work_mem", "16MB"},
        {"maintenance_work_mem", "128MB"},
        {"huge_pages", "off"},
        {"dynamic_shared_memory_type", "mmap"},  // in the data directory: nothing of it stays in /dev/shm
        {"min_dynamic_shared_memory", "0"},
        {"jit", "off"},
        {"autovacuum", "off"},
        {"default_tablespace", ""},
        {"temp_tablespaces", ""},
        {"lc_messages", "C"},
        {"lc_monetary", "C"},
        {"lc_numeric", "C"},
        {"lc_time", "C"},
        // Into the sandbox's own log.
        {"logging_collector", "off"},
        {"log_destination", "stderr"},
        {"log_statement", "none"},
        {"log_min_duration_statement", "-1"},
        {"cluster_name", "aeterna-dr restore test"},
    };
    if (programs.major <= kLastWithTriggerFile) settings.emplace_back("promote_trigger_file", "");
    // A log-in trigger is the application's, not the data's.
    if (programs.major >= kFirstWithEventTriggersSetting) settings.emplace_back("event_triggers", "off");
    std::vector<std::string> argv{programs.path("postgres"), "-D", place.data()};
    for (const auto& [name, value] : settings) {
        argv.emplace_back("-c");
        argv.push_back(name + "=" + value);
    }
    return argv;
}

std::string scratch_hba() { return "local all all trust\n"; }

}  // namespace aeterna::postgres
