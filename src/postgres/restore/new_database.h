// A database that is made and filled under another name, and gets its own when it has everything: what a kill or a power
// loss leaves halfway never passes for a whole one.
#pragma once

#include <memory>
#include <string>

#include "env/env.h"
#include "postgres/capture/logical_backup.h"

namespace aeterna::postgres {

inline constexpr std::string_view kUnfinishedPrefix = "being_restored_";
// The prefix and the name; where that is longer than names may be, a hash of the name.
[[nodiscard]] Result<std::string> unfinished_name(env::SqlConnection& server, const std::string& database, const env::Context& context);

// A session beside `target`'s database, in one that surely is not the one to be made.
[[nodiscard]] Result<std::unique_ptr<env::SqlConnection>> connect_beside(const env::Env& env, const env::SqlTarget& target,
                                                                         const env::Context& context);

class NewDatabase {
  public:
    // `target` names it as it will be called.
    NewDatabase(const env::Env& env, env::SqlTarget target);

    // Under the other name; an interrupted restore's is dropped first. Holds an advisory lock over that name from then on.
    // kGuardRefused: another restore is at it, somebody is connected to what an interrupted one left, what has that name is
    // whole or not ours (its comment tells), or the name is taken by now.
    Status make(const DumpedDatabase& like, int server_major, const env::Context& context);
    [[nodiscard]] const env::SqlTarget& unfinished() const { return unfinished_; }
    // Ends the sessions of whoever has connected meanwhile. Nothing is lost when it fails: it is there under the other name.
    // Neither this nor drop() heeds a stop or a deadline of the command, but both have one of their own.
    Status give_name(const std::string& run_id) const;
    Status drop(const std::string& run_id) const;

  private:
    [[nodiscard]] env::Context own_time(const std::string& run_id) const;
    Status lock(env::SqlConnection& server, const env::Context& context) const;
    Status drop_leftover(const std::string& comment, const env::Context& context);
    [[nodiscard]] Result<std::unique_ptr<env::SqlConnection>> own_session(const env::Context& context) const;
    Status name_once(const env::Context& context) const;

    const env::Env& env_;
    env::SqlTarget target_, unfinished_;
    std::unique_ptr<env::SqlConnection> lock_;
    std::string oid_;  // of the one that make() made
};

}  // namespace aeterna::postgres
