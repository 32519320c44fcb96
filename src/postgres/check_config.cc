// Live checks of the stack file's postgres section.
#include "postgres/check_config.h"

#include <fmt/core.h>

#include "base/strings.h"
#include "engine/runbook/actor_lock.h"
#include "postgres/capture/slot_protection.h"
#include "postgres/client/dcs.h"
#include "postgres/client/patroni.h"
#include "postgres/client/sql.h"
#include "services/prometheus.h"

namespace aeterna::postgres {

namespace {

using Finding = engine::ConfigFinding;
using Level = engine::ConfigFinding::Level;

class Checker {
  public:
    Checker(const Settings& settings, const env::Env& env, const env::Context& context)
        : settings_(settings), env_(env), context_(context), patroni_(settings, env) {}

    std::vector<Finding> run() {
        for (const NodeSettings& node : settings_.nodes) check_rest(node);
        for (const NodeSettings& node : settings_.nodes) check_sql(node);
        if (settings_.has_repository) check_slot_protection();
        check_etcd();
        check_client();
        check_exporter();
        return std::move(findings_);
    }

  private:
    [[nodiscard]] env::Context bounded() const { return env_.clock.within(3s, context_); }

    void add(Level level, std::string subject, std::string message, std::string hint = "") {
        findings_.push_back({level, std::move(subject), std::move(message), std::move(hint)});
    }
    void failed(const std::string& subject, const Error& error, const std::string& hint) {
        add(Level::kError, subject, error.to_string(), error.hint.empty() ? hint : error.hint);
    }

    void check_rest(const NodeSettings& node) {
        const std::string subject = node.agent + " REST";
        auto state = patroni_.node(node, bounded());
        if (!state) return failed(subject, state.error(), "Check the key 'patroni' of this node.");
        add(Level::kOk, subject,
            fmt::format("{} {}, Patroni {}", state->role, state->state, state->patroni_version));
        if (!state->scope.empty() && state->scope != settings_.scope) {
            add(Level::kError, subject, "it belongs to the scope '" + state->scope + "'",
                "Correct the key 'scope'.");
        }
        if (is_version_before(state->patroni_version, 3, 2)) {
            add(Level::kWarning, subject,
                "Patroni " + state->patroni_version +
                    " lets a frozen and resumed old primary steal the leader key",
                "Upgrade to Patroni 3.2 or newer, which compares before it takes the key.");
        }
        if (state->pending_restart) {
            add(Level::kWarning, subject, "PostgreSQL has changed settings that need a restart",
                "Restart the member at a quiet time.");
        }
    }

    void check_sql(const NodeSettings& node) {
        const std::string subject = node.name + " SQL";
        auto session = env_.sql.connect(settings_.sql_target(node.address), bounded());
        if (!session)
            return failed(subject, session.error(),
                          "Check address, user, password_file and pg_hba.conf.");
        auto view = observe(**session, bounded());
        if (!view)
            return failed(subject, view.error(),
                          "Give the role the rights that `config check` prints.");
        add(Level::kOk, subject,
            fmt::format("logged in as '{}', {}, timeline {}", settings_.user,
                        view->in_recovery ? "replica" : "primary", view->timeline.value_or(0)));
        if (!system_identifier_.empty() && view->system_identifier != system_identifier_) {
            add(Level::kError, subject,
                "it belongs to another cluster (system identifier " + view->system_identifier + ")",
                "Correct the address of this node.");
        }
        system_identifier_ = view->system_identifier;
        if (!view->in_recovery) check_primary(node, **session);
    }

    void check_primary(const NodeSettings& node, env::SqlConnection& session) {
        const std::string subject = node.name + " settings";
        const auto setting = [&](const std::string& name) {
            auto rows = session.query("SELECT current_setting($1, true)", {name}, bounded());
            return rows ? rows->first().value_or("") : std::string();
        };
        if (setting("wal_log_hints") != "on" && setting("data_checksums") != "on") {
            add(Level::kWarning, subject,
                "neither wal_log_hints nor data checksums are on: pg_rewind cannot work",
                "Set wal_log_hints: on, or an old primary has to be copied anew.");
        }
        if (setting("max_slot_wal_keep_size") == "-1") {
            add(Level::kWarning, subject,
                "max_slot_wal_keep_size is unlimited: a lost replica's slot can fill the disk",
                "Set it to what the disk can spare.");
        }
        const std::string archive_mode = setting("archive_mode");
        if (archive_mode == "off") {
            add(Level::kWarning, subject, "archive_mode is off",
                "Without capture by us nothing keeps the WAL.");
        } else if (setting("archive_timeout") == "0") {
            add(Level::kWarning, subject,
                "archive_timeout is 0: a quiet server archives nothing for hours",
                "Set it to 60 s or less.");
        }
        check_rights(node, session);
    }

    void check_rights(const NodeSettings& node, env::SqlConnection& session) {
        const std::string subject = node.name + " rights";
        auto rows = session.query(
            "SELECT pg_has_role(current_user, 'pg_monitor', 'USAGE'), "
            "coalesce(has_schema_privilege(current_user, to_regnamespace('aeterna_dr')::oid, "
            "'CREATE'), "
            "         has_database_privilege(current_database(), 'CREATE')), "
            "(SELECT rolsuper FROM pg_roles WHERE rolname = current_user), "
            "(SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user)",
            {}, bounded());
        if (!rows)
            return failed(subject, rows.error(),
                          "Give the role the rights that `config check` prints.");
        if (rows->first(0) != "t") {
            add(Level::kWarning, subject,
                "'" + settings_.user + "' is no member of pg_monitor: WAL receivers stay hidden",
                "GRANT pg_monitor TO " + settings_.user + ".");
        }
        if (settings_.heartbeat_approved && rows->first(1) != "t") {
            add(Level::kError, subject,
                "'" + settings_.user + "' may not write into the schema aeterna_dr",
                "Create the schema with the role as its owner.");
        }
        if (settings_.has_repository && rows->first(3) != "t") {
            add(Level::kError, subject, "'" + settings_.user + "' may not replicate: WAL cannot be captured",
                "ALTER ROLE " + settings_.user + " REPLICATION.");
        }
        if (rows->first(2) == "t") {
            add(Level::kWarning, subject, "'" + settings_.user + "' is a superuser",
                "A plain role is enough.");
        }
        if (!settings_.heartbeat_approved) {
            add(Level::kWarning, subject,
                "no approval 'heartbeat': the primary is only read, never written to",
                "Add 'heartbeat' to the store's approvals so that a write failure is noticed.");
        }
    }

    // Patroni drops an inactive slot that it does not know within minutes, and WAL with it.
    void check_slot_protection() {
        const auto is_protected = ask_slot_protection(
            settings_, [&](const NodeSettings& node) { return patroni_.config_text(node, bounded()); });
        if (!is_protected) return;
        if (*is_protected) return add(Level::kOk, "capture slot", "Patroni leaves '" + settings_.slot + "' alone");
        add(Level::kWarning, "capture slot", "Patroni will drop the slot '" + settings_.slot + "'",
            protection_hint(settings_.slot) + ".");
    }

    void check_etcd() {
        if (!settings_.etcd) {
            return add(Level::kWarning, "etcd",
                       "no etcd in the stack file: the leader key and its lease are not seen",
                       "Add the section 'etcd' with Patroni's endpoints.");
        }
        Dcs dcs(settings_, env_);
        for (const auto& member : dcs.health(1s, bounded())) {
            const bool good = member.answered && member.has_leader;
            add(good ? Level::kOk : Level::kError, "etcd " + member.endpoint,
                good ? "healthy" : member.reason,
                good ? "" : "Check the endpoint and that etcd has a quorum.");
        }
        check_etcd_rights(dcs);
        auto view = dcs.read(bounded());
        if (!view) return failed("etcd keys", view.error(), "Check etcd's endpoints and user.");
        if (!view->has_config) {
            return add(Level::kError, "etcd keys",
                       "no Patroni cluster below '" + settings_.key_prefix + "'",
                       "Correct 'scope' and 'namespace'.");
        }
        check_patroni_config(*view);
    }

    // A role that is too small would show only after the primary was ended, as a lease that is waited for in full.
    void check_etcd_rights(Dcs& dcs) {
        const bool acts = settings_.assist == config::Assist::kAct;
        std::vector<std::string> keys{engine::actor_key(settings_.stack_name)};
        if (acts) keys.push_back(settings_.key_prefix + "leader");
        for (const std::string& key : keys) {
            const Status allowed = dcs.check_write(key, bounded());
            if (!allowed && allowed.error().code == ErrorCode::kPermission) {
                return add(Level::kError, "etcd rights",
                           fmt::format("the user '{}' may not write '{}'", settings_.etcd->user, key),
                           "Give the role the rights that `config check` prints.");
            }
            if (!allowed) return failed("etcd rights", allowed.error(), "Check etcd's endpoints and user.");
        }
        add(Level::kOk, "etcd rights",
            acts ? "it may write our actor lock and release the leader key" : "it may write our actor lock");
    }

    void check_patroni_config(const DcsView& view) {
        const PatroniConfig& config = view.config;
        add(Level::kOk, "etcd keys",
            fmt::format("leader '{}', ttl {} s, loop_wait {} s",
                        view.leader ? view.leader->member : "nobody", config.ttl,
                        config.loop_wait));
        for (const NodeSettings& node : settings_.nodes) {
            if (view.members.count(node.member) == 0) {
                add(Level::kError, "etcd keys", "no member '" + node.member + "'",
                    "Correct the key 'member' of '" + node.name + "'.");
            }
        }
        const Duration start = std::chrono::seconds(config.primary_start_timeout);
        if (settings_.objectives.rto > Duration::zero() && start >= settings_.objectives.rto) {
            add(Level::kWarning, "Patroni config",
                fmt::format("primary_start_timeout is {} s: a primary that crashes in place may "
                            "use up the whole RTO",
                            config.primary_start_timeout),
                "Lower it well below the RTO.");
        }
        if (!config.use_pg_rewind) {
            add(Level::kWarning, "Patroni config",
                "use_pg_rewind is off: an old primary may have to be copied anew",
                "Set postgresql.use_pg_rewind: true.");
        }
        if (config.synchronous_mode && !settings_.synchronous_name.empty()) {
            add(Level::kError, "Patroni config",
                "synchronous_mode is on: Patroni decides who confirms commits, and 'synchronous_name' never does",
                "Take synchronous_name out of the stack file, or switch synchronous_mode off.");
        }
        if (config.synchronous_mode &&
            (!view.sync || !view.leader || view.sync->leader != view.leader->member)) {
            add(Level::kError, "Patroni config",
                "the sync key does not belong to the leader: no standby is protected",
                "Restart the leader's Patroni, or switch synchronous_mode off and on.");
        }
    }

    void check_client() {
        if (!settings_.client) {
            return add(Level::kWarning, "client path",
                       "no key 'client': what applications see is not measured",
                       "Name the address that applications connect to.");
        }
        auto session = env_.sql.connect(settings_.sql_target(*settings_.client), bounded());
        if (!session)
            return failed("client path", session.error(),
                          "Check the key 'client' and the proxy's own log.");
        auto answerer = who_answers(**session, bounded());
        if (!answerer) return failed("client path", answerer.error(), "Check the proxy.");
        if (answerer->in_recovery) {
            return add(Level::kError, "client path",
                       "it ends at '" + answerer->address + "', which is in recovery",
                       "Let the proxy check Patroni's /primary.");
        }
        add(Level::kOk, "client path", "it ends at the primary '" + answerer->address + "'");
    }

    void check_exporter() {
        if (settings_.prometheus_url.empty() || settings_.exporter_job.empty()) {
            return add(Level::kWarning, "exporter",
                       "no prometheus url or exporter_job: it is not seen whether the exporters are up",
                       "Add both to the stack file.");
        }
        services::Prometheus prometheus(settings_.prometheus_url, env_);
        auto samples =
            prometheus.query(fmt::format("up{{job=\"{}\"}}", settings_.exporter_job), bounded());
        if (!samples) return failed("exporter", samples.error(), "Check prometheus' url.");
        if (samples->empty()) {
            return add(Level::kError, "exporter",
                       "prometheus has no sample of up{job=\"" + settings_.exporter_job + "\"}",
                       "Correct exporter_job, or let Prometheus scrape the exporters.");
        }
        for (const auto& sample : *samples) {
            const auto label = sample.labels.find("instance");
            const std::string instance = label == sample.labels.end() ? "?" : label->second;
            const bool up = sample.value == 1.0;
            add(up ? Level::kOk : Level::kError, "exporter " + instance,
                up ? "up" : "Prometheus cannot scrape it", up ? "" : "Start the exporter there.");
        }
    }

    const Settings& settings_;
    const env::Env& env_;
    const env::Context& context_;
    Patroni patroni_;
    std::string system_identifier_;
    std::vector<Finding> findings_;
};

}  // namespace

std::vector<engine::ConfigFinding> check_config(const Settings& settings, const env::Env& env,
                                                const env::Context& context) {
    return Checker(settings, env, context).run();
}

std::string least_privilege(const Settings& settings) {
    const std::string user = settings.user.empty() ? "aeterna_dr" : settings.user;
    const std::string database = settings.database.empty() ? "postgres" : settings.database;
    const std::string etcd_user =
        settings.etcd && !settings.etcd->user.empty() ? settings.etcd->user : "aeterna-dr";
    return fmt::format(
        R"(-- On the primary, as a superuser, connected to the database '{1}'.
-- pg_monitor shows WAL receivers and settings; the schema holds the heartbeat and the drills' rows; REPLICATION is for
-- base backups and WAL capture, which also need the line "host replication {0} <our address> scram-sha-256" in
-- pg_hba.conf of every node; without them leave it out.
CREATE ROLE "{0}" LOGIN REPLICATION PASSWORD '...';   -- then put it into the password_file
GRANT pg_monitor TO "{0}";
GRANT CONNECT ON DATABASE "{1}" TO "{0}";
-- For logical backups also the next line, which lets it read everything, password hashes too; for large objects the one
-- after it as well.
-- GRANT pg_read_all_data TO "{0}";
-- ALTER ROLE "{0}" SET lo_compat_privileges = on;
CREATE SCHEMA IF NOT EXISTS aeterna_dr AUTHORIZATION "{0}";

# In etcd, where it asks for users: Patroni's keys to read, our own actor lock to write.
etcdctl role add "{2}"
etcdctl role grant-permission "{2}" --prefix read '{3}'
etcdctl role grant-permission "{2}" --prefix readwrite '/aeterna-dr/{4}/'
{6}etcdctl role grant-permission "{2}" readwrite '{3}leader'   # assist: act releases a dead primary's lease
etcdctl user add "{2}"   # asks for the password; then put it into etcd's password_file
etcdctl user grant-role "{2}" "{2}"

# Patroni's REST interface: reading needs no user. patroni_user ({5}) and patroni_password_file are
# those of restapi.authentication in patroni.yml: POST /switchover and /failover ask for them.
)",
        user, database, etcd_user, settings.key_prefix, settings.stack_name,
        settings.patroni_user.empty() ? "not set here" : "here '" + settings.patroni_user + "'",
        settings.assist == config::Assist::kAct ? "" : "# Only with 'assist: act': ");
}

}  // namespace aeterna::postgres
