// ScratchServer: a PostgreSQL server on a restored data directory in a sandbox, from its start to its end.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "env/env.h"
#include "postgres/restore_test/scratch_config.h"

namespace aeterna::postgres {

struct ScratchOrder {
    ScratchPlace place;
    ServerPrograms programs;
    std::optional<env::User> user;  // whom everything runs as; nothing: ourselves
    std::string superuser = "postgres";
    std::vector<std::string> preload;
};

class ScratchServer {
  public:
    ScratchServer(ScratchOrder order, const env::Env& env) : order_(std::move(order)), env_(env) {}
    // Ends it at once if it still runs.
    ~ScratchServer();
    ScratchServer(const ScratchServer&) = delete;
    ScratchServer& operator=(const ScratchServer&) = delete;

    // Nobody may run on its directory. Writes its configuration, starts it, and returns when it takes writes. kServer with its last words when it ends
    // instead, kNoSpace when those say so; kAuthentication when there is no such superuser.
    Status start(const env::Context& context);
    [[nodiscard]] bool is_running() const { return id_ && env_.processes.is_alive(*id_); }
    [[nodiscard]] const ControlData& control() const { return control_; }
    [[nodiscard]] env::SqlTarget target(const std::string& database) const;
    [[nodiscard]] Result<std::unique_ptr<env::SqlConnection>> connect(const std::string& database,
                                                                      const env::Context& context) const;
    // One of PostgreSQL's programs, as the server's user, by the way to this server.
    [[nodiscard]] Result<env::RunResult> run(const std::string& program, const std::vector<std::string>& words,
                                             const env::Context& context) const;
    // "-h", …: how a client program of PostgreSQL reaches it.
    [[nodiscard]] std::vector<std::string> connection_words() const;
    // A clean end, with a last checkpoint. kServer when it ended before, kDeadline when it does not end.
    Status stop(const env::Context& context);
    // How long its recovery replayed, as its log says it; nothing where it did not, or says nothing.
    [[nodiscard]] std::optional<Duration> replay() const;
    // The last line of its log that says why it ended.
    [[nodiscard]] std::string last_words() const;

  private:
    Status write_configuration() const;
    Status await_writes(const env::Context& context) const;
    [[nodiscard]] Error ended() const;
    [[nodiscard]] bool was_killed() const;

    ScratchOrder order_;
    const env::Env& env_;
    ControlData control_;
    std::optional<env::ProcessId> id_;
};

}  // namespace aeterna::postgres
