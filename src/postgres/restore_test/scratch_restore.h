// ScratchRestore: a base backup, and the WAL to a target, in a sandbox, with a server that can be started on it and
// reaches nothing outside. For restore tests, and for dumps out of a physical backup.
#pragma once

#include <optional>

#include "engine/capture/backup.h"
#include "engine/capture/capture.h"
#include "env/file_system.h"
#include "postgres/restore_test/scratch_server.h"

namespace aeterna::postgres {

struct ScratchWish {
    engine::RestoreOrder restore;  // which backup, to where in its history; the places are chosen here
    engine::ScratchRoom room;
    std::string superuser;             // empty: 'postgres'
    std::vector<std::string> preload;  // libraries
};

class ScratchRestore {
  public:
    ScratchRestore(const env::Env& env, env::FileSystem& files, ScratchWish wish);

    // Touches nothing. As engine::Restorer::plan; kConfiguration where this machine lacks the server's programs.
    [[nodiscard]] Result<engine::RestorePlan> plan(repository::Repository& repository, const env::Context& context);
    // What plan() said; the bytes that were brought.
    [[nodiscard]] Result<std::uint64_t> fetch(repository::Repository& repository, const env::Context& context);
    // Of a plan that was made.
    [[nodiscard]] ScratchServer& server() { return *server_; }
    [[nodiscard]] int major() const { return programs_.major; }
    [[nodiscard]] const ScratchPlace& place() const { return place_; }
    // At once, if it still runs.
    void end() { server_.reset(); }

  private:
    const env::Env& env_;
    ScratchWish wish_;
    ScratchPlace place_;
    std::unique_ptr<engine::Archive> archive_;
    std::unique_ptr<engine::Restorer> restorer_;
    engine::RestorePlan plan_;
    ServerPrograms programs_;
    std::optional<ScratchServer> server_;  // last: ends before what it uses
};

}  // namespace aeterna::postgres
