// The table of commands: each is one file in this folder. A command that is not built yet is not listed.
#pragma once

namespace CLI {
class App;
}

namespace aeterna::app {

class Session;

void add_archive_get_command(CLI::App& app, Session& session);
void add_archive_push_command(CLI::App& app, Session& session);
void add_backup_command(CLI::App& app, Session& session);
void add_backups_command(CLI::App& app, Session& session);
void add_config_command(CLI::App& app, Session& session);
void add_drill_command(CLI::App& app, Session& session);
void add_execution_command(CLI::App& app, Session& session);
void add_export_command(CLI::App& app, Session& session);
void add_failover_command(CLI::App& app, Session& session);
void add_fence_command(CLI::App& app, Session& session);
void add_incident_command(CLI::App& app, Session& session);
void add_lab_command(CLI::App& app, Session& session);
void add_maintenance_command(CLI::App& app, Session& session);
void add_postmortem_command(CLI::App& app, Session& session);
void add_recovery_points_command(CLI::App& app, Session& session);
void add_repo_command(CLI::App& app, Session& session);
void add_restore_command(CLI::App& app, Session& session);
void add_restore_test_command(CLI::App& app, Session& session);
void add_runbook_command(CLI::App& app, Session& session);
void add_serve_command(CLI::App& app, Session& session);
void add_status_command(CLI::App& app, Session& session);
void add_switchover_command(CLI::App& app, Session& session);
void add_reconcile_command(CLI::App& app, Session& session);
void add_unfence_command(CLI::App& app, Session& session);

}  // namespace aeterna::app
