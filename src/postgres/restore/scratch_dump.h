// A database out of a base backup and the WAL behind it, as a dump: a server in a sandbox is brought to the target,
// stock pg_dump asks it, and it is ended. Nothing of it reaches the live servers.
#pragma once

#include <string>
#include <vector>

#include "postgres/restore/load_plan.h"
#include "postgres/restore_test/scratch_restore.h"

namespace aeterna::postgres {

class ScratchDump {
  public:
    // `order` has a scratch room.
    ScratchDump(const env::Env& env, env::FileSystem& files, const engine::RestoreOrder& order);

    // Touches nothing; says as what the dump counts. As ScratchRestore::plan.
    [[nodiscard]] Result<engine::RestorePlan> plan(repository::Repository& repository, const env::Context& context);
    [[nodiscard]] int major() const { return scratch_.major(); }
    // Of the database that `wish` means, else of `target`; with the rows of what is wished. kNotFound, kServer;
    // kGuardRefused where --clean means unlogged tables.
    [[nodiscard]] Result<DumpedDatabase> make(repository::Repository& repository, const LoadWish& wish,
                                              const std::string& target, const env::Context& context);
    // Where make() has put it, readable by us.
    [[nodiscard]] std::string file() const { return folder() + "/database.dump"; }

  private:
    [[nodiscard]] std::string folder() const { return scratch_.place().sandbox + "/dump"; }
    [[nodiscard]] Result<DumpedDatabase> choose(const LoadWish& wish, const std::string& target,
                                                const env::Context& context);
    [[nodiscard]] static Result<std::vector<std::string>> names_of(std::string_view question, const LoadWish& wish,
                                                                   env::SqlConnection& session,
                                                                   const env::Context& context);
    // kGuardRefused where --clean would drop the rows of what comes without any; else it is said.
    Status judge_unlogged(const LoadWish& wish, const std::vector<std::string>& names) const;
    Status dump(const LoadWish& wish, const std::string& database, const env::Context& context);

    const env::Env& env_;
    engine::ScratchRoom room_;
    std::function<void(const std::string&)> note_;
    ScratchRestore scratch_;
};

}  // namespace aeterna::postgres
