// How a server in a sandbox is set up, so that it can reach nothing outside: it listens on a Unix socket in the sandbox
// only, archives nothing, follows nobody, applies no subscription (the workers would take the live publisher's slots),
// loads no library that nobody asked for (pg_cron and its like would begin their jobs). Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "postgres/client/server_programs.h"

namespace aeterna::postgres {

inline constexpr int kScratchPort = 5432;  // part of the socket's name only

struct ScratchPlace {
    std::string sandbox;
    [[nodiscard]] std::string data() const { return sandbox + "/data"; }
    [[nodiscard]] std::string tablespaces() const { return sandbox + "/spaces"; }
    [[nodiscard]] std::string sockets() const { return sandbox + "/s"; }
    [[nodiscard]] std::string socket_path() const { return sockets() + "/.s.PGSQL." + std::to_string(kScratchPort); }
    [[nodiscard]] std::string configuration() const { return sandbox + "/postgresql.conf"; }
    [[nodiscard]] std::string hba() const { return sandbox + "/pg_hba.conf"; }
    [[nodiscard]] std::string ident() const { return sandbox + "/pg_ident.conf"; }
    [[nodiscard]] std::string wal() const { return sandbox + "/wal"; }
    [[nodiscard]] std::string wal_script() const { return sandbox + "/get-wal"; }
    [[nodiscard]] std::string log() const { return sandbox + "/server.log"; }
};
// kConfiguration where the socket's path would be longer than the 107 bytes that the kernel takes (unix(7)).
Status check_socket_path(const ScratchPlace& place);

// Of pg_controldata's output in the language C.
struct ControlData {
    bool has_checksums = false;
    unsigned max_prepared = 0, max_locks = 64;  // recovery may need as many as the old server had
};
[[nodiscard]] Result<ControlData> parse_control_data(std::string_view text);

// How long a recovery replayed, by "redo done at 0/… system usage: …, elapsed: 0.05 s" in the server's log (PostgreSQL's
// xlogrecovery.c); nothing where it had nothing to replay.
[[nodiscard]] std::optional<Duration> replay_in(std::string_view log);

// The server's command line: what stands there outranks every file of the restored directory.
[[nodiscard]] std::vector<std::string> server_argv(const ServerPrograms& programs, const ScratchPlace& place,
                                                   const ControlData& control, const std::vector<std::string>& preload);
// Everybody who reaches the socket: it lies in a directory of the server's user alone.
[[nodiscard]] std::string scratch_hba();

}  // namespace aeterna::postgres
