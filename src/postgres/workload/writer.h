// PostgresWriter: one numbered row per call, each its own transaction, as an application with a
// kept connection would. Exact outcomes: what was certainly not done is kFail, what may have been
// is kUnknown.
#pragma once

#include <memory>

#include "engine/drill/drill_store.h"
#include "postgres/settings.h"

namespace aeterna::postgres {

// Schema and table of the workload; `at` is the server's own time of the row.
[[nodiscard]] const char* drill_table_sql();

// The outcome of an INSERT that failed after the session existed. Pure. Only an error that the
// server raised before the commit (read-only, missing table …) is a certain failure; a session that
// ended (57P01 during a commit that waits for a standby has committed!) is unknown.
[[nodiscard]] engine::WriteOutcome classify_write_error(const Error& error);

class PostgresWriter final : public engine::Writer {
  public:
    // `settings` and `env` must outlive it.
    PostgresWriter(const Settings& settings, env::Endpoint address, std::string drill_id,
                   const env::Env& env)
        : settings_(settings),
          address_(std::move(address)),
          drill_id_(std::move(drill_id)),
          env_(env) {}

    [[nodiscard]] engine::WriteReply write(std::uint64_t id, const env::Context& context) override;

  private:
    // The answering node's name by its address; its address when it is not configured.
    [[nodiscard]] std::string node_at(const std::string& address) const;

    const Settings& settings_;
    env::Endpoint address_;
    std::string drill_id_;
    const env::Env& env_;
    std::unique_ptr<env::SqlConnection> session_;
};

}  // namespace aeterna::postgres
