// PostgresSql: the statements that our client sends (src/postgres/client/sql.cc), answered from the
// model. A statement that it does not know is a gap of the model: it is answered with SQLSTATE
// 0A000 and counted, and a run that met one fails.
#pragma once

#include "env/sim/services.h"
#include "models/postgres.h"

namespace aeterna::sim::models {

class PostgresSql final : public SqlService {
  public:
    PostgresSql(Postgres& server, World& world) : server_(server), world_(world) {}
    void connect(const std::shared_ptr<SqlSession>& session, Promise<Status> answer) override;
    void query(const std::shared_ptr<SqlSession>& session, const std::string& sql,
               const std::vector<std::optional<std::string>>& parameters,
               Promise<Result<env::SqlRows>> answer) override;
    // Statements that no model knew, in this program's life.
    static int unknown_statements;

  private:
    [[nodiscard]] env::SqlRows observe() const;
    void beat(const Promise<Result<env::SqlRows>>& answer);

    Postgres& server_;
    World& world_;
    std::size_t beats_waiting_ = 0;
};

}  // namespace aeterna::sim::models
