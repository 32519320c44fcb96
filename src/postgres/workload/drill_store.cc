// The drill's view of PostgreSQL.
#include "postgres/workload/drill_store.h"

#include "base/strings.h"
#include "postgres/client/sql.h"
#include "postgres/faults/target.h"
#include "postgres/workload/kept_rows.h"
#include "postgres/workload/writer.h"

namespace aeterna::postgres {

namespace {

using Session = std::unique_ptr<env::SqlConnection>;

class PostgresDrillStore final : public engine::DrillStore {
  public:
    PostgresDrillStore(const Settings& settings, const env::Env& env) : settings_(settings), env_(env) {}

    const std::string& name() const override { return name_; }
    const config::Objectives& objectives() const override { return settings_.objectives; }
    bool has_primary() const override { return true; }
    std::string server() const override { return "real"; }

    Status prepare(const std::string& drill_id, const env::Context& context) override {
        AETERNA_ASSIGN(Session session, open_client_path(context));
        AETERNA_TRY(make_relation(*session, drill_table_sql(), context));
        AETERNA_TRY(session->query("DELETE FROM aeterna_dr.drill_writes WHERE drill = $1", {drill_id}, context));
        return {};
    }

    Result<std::vector<engine::WritePath>> paths(const std::string& drill_id) override {
        std::vector<engine::WritePath> paths;
        if (settings_.client) {
            paths.push_back({"client", engine::PathKind::kClient, writer_to(*settings_.client, drill_id)});
        }
        for (const NodeSettings& node : settings_.nodes) {
            paths.push_back({node.name, engine::PathKind::kDirect, writer_to(node.address, drill_id)});
        }
        return paths;
    }

    // From the surviving primary itself: the proxy might still lead to an old one.
    Result<std::vector<std::uint64_t>> read_back(const std::string& drill_id, const env::Context& context) override {
        AETERNA_ASSIGN(Session session, open_primary(context));
        AETERNA_ASSIGN(env::SqlRows rows, session->query("SELECT id FROM aeterna_dr.drill_writes WHERE drill = $1 "
                                                         "AND NOT pg_is_in_recovery() ORDER BY id",
                                                         {drill_id}, context));
        std::vector<std::uint64_t> ids;
        ids.reserve(rows.rows.size());
        for (const auto& row : rows.rows) {
            const auto id = row.empty() || !row[0] ? std::nullopt : to_integer(*row[0]);
            if (!id) return make_error(ErrorCode::kProtocol, "the drill table returned a row without a number");
            ids.push_back(static_cast<std::uint64_t>(*id));
        }
        // Had it been demoted in between, the filter would have hidden every row.
        AETERNA_ASSIGN(SqlView after, observe(*session, context));
        if (after.in_recovery) {
            return make_error(ErrorCode::kUnavailable, "the primary was demoted while it was read back");
        }
        return ids;
    }

    Result<engine::FaultTarget> fault_target(engine::FaultKind, const env::Context& context) override {
        return find_fault_target(settings_, env_, context);
    }

    Result<KeptWrites> find_kept(repository::Repository& repository, const std::string& drill_id,
                                 const std::vector<std::uint64_t>& lost, const env::Context& context) override {
        AETERNA_ASSIGN(const std::string primary, find_live_primary(settings_, env_, context));
        NodeSessions sessions(settings_, env_);
        AETERNA_ASSIGN(const SourceView view, sessions.look(*settings_.find(primary), context));
        return find_kept_rows(repository, view, drill_id, lost, context);
    }

    Status clean_up(const std::string& drill_id, const env::Context& context) override {
        AETERNA_ASSIGN(Session session, open_primary(context));
        AETERNA_ASSIGN(env::SqlRows missing,
                       session->query("SELECT to_regclass('aeterna_dr.drill_writes') IS NULL", {}, context));
        if (missing.first() == "t") return {};
        AETERNA_TRY(session->query("DELETE FROM aeterna_dr.drill_writes WHERE drill = $1", {drill_id}, context));
        AETERNA_ASSIGN(env::SqlRows others,
                       session->query("SELECT EXISTS (SELECT 1 FROM aeterna_dr.drill_writes)", {}, context));
        if (others.first() == "f") AETERNA_TRY(session->query("DROP TABLE aeterna_dr.drill_writes", {}, context));
        return {};
    }

  private:
    std::unique_ptr<engine::Writer> writer_to(const env::Endpoint& address, const std::string& drill_id) const {
        return std::make_unique<PostgresWriter>(settings_, address, drill_id, env_);
    }

    Result<Session> open_client_path(const env::Context& context) const {
        if (!settings_.client) return open_primary(context);
        return env_.sql.connect(settings_.sql_target(*settings_.client), context);
    }

    Result<Session> open_primary(const env::Context& context) const {
        AETERNA_ASSIGN(std::string primary, find_live_primary(settings_, env_, context));
        return env_.sql.connect(settings_.sql_target(settings_.find(primary)->address), context);
    }

    const Settings& settings_;
    const env::Env& env_;
    std::string name_ = "postgres";
};

}  // namespace

std::unique_ptr<engine::DrillStore> make_drill_store(const Settings& settings, const env::Env& env) {
    return std::make_unique<PostgresDrillStore>(settings, env);
}

}  // namespace aeterna::postgres
