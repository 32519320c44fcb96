// postgres.replay_restore
// Does: starts a server of its own on the restored directory, reachable by a socket in the sandbox only; it replays to
// the target and begins a new timeline. Asks it whether it is where it should be and whether its databases answer,
// takes the settings of the recovery away, and stops it cleanly. Needs: fetch_restore. Changes: the sandbox only. Undo:
// fetch_restore's. Unknown outcome: repeating it is safe: a server that has recovered just starts again.
#include <fmt/format.h>

#include "base/strings.h"
#include "engine/restore_test/sandbox.h"
#include "postgres/restore/plan.h"
#include "postgres/restore_test/checks.h"
#include "postgres/steps/in_place.h"

namespace aeterna::postgres {

constexpr engine::StepSpec kReplayRestoreSpec{"postgres.replay_restore",
                                              "replay the WAL in the restored directory, question the result",
                                              engine::Risk::kReversible, 6 * 24h, false};

namespace {

constexpr Duration kCleanEnd = 10min;
constexpr Duration kQuestion = 60s;

constexpr const char* kOldCollations =
    "SELECT string_agg(quote_ident(datname), ', ') FROM pg_database WHERE datcollversion <> "
    "pg_database_collation_actual_version(oid)";
constexpr const char* kMissingExtensions =
    "SELECT string_agg(quote_ident(extname), ', ') FROM pg_extension WHERE extname NOT IN (SELECT name FROM "
    "pg_available_extensions)";
constexpr int kFirstWithDatabaseCollation = 15;

class ReplayRestore final : public engine::Step {
  public:
    explicit ReplayRestore(StepParts parts) : parts_(std::move(parts)) {}

    const engine::StepSpec& spec() const override { return kReplayRestoreSpec; }

    std::string describe() const override {
        return fmt::format(
            "replay to {} in a server that nobody else reaches, question it and stop it; the cluster runs on",
            format_lsn(parts_.restore->replay.to));
    }

    Result<engine::CheckOutcome> check(engine::StepContext& step) override {
        return step.facts.contains("restore.replayed") ? engine::CheckOutcome::kAlreadyDone
                                                       : engine::CheckOutcome::kReady;
    }

    Status apply(engine::StepContext& step) override {
        AETERNA_ASSIGN(const InPlace place, in_place(step.facts));
        AETERNA_ASSIGN(const RestoreSource source, open_source(parts_, step.context));
        // Of a former life of this execution.
        AETERNA_TRY(engine::end_inhabitants(place.sandbox, {"postgres"}, parts_.env));
        ScratchOrder order;
        order.place = place.scratch();
        order.superuser = parts_.restore->superuser;
        AETERNA_ASSIGN(order.programs,
                       find_server_programs(source.plan.backup.server_version, "", parts_.env, step.context));
        AETERNA_ASSIGN(order.user, owner_of(place.data, parts_.env));
        ScratchServer server(order, parts_.env);
        AETERNA_TRY(server.start(step.context));
        AETERNA_TRY(ask(step, server, order.programs.major));
        AETERNA_TRY(server.stop(parts_.env.clock.within(kCleanEnd, step.context)));
        AETERNA_ASSIGN(const Timeline timeline, check_timeline(place));
        step.facts["restore.replayed"] = timeline;
        step.progress(
            fmt::format("replayed to {}: timeline {} begins there", format_lsn(parts_.restore->replay.to), timeline));
        return {};
    }

    Status verify(engine::StepContext&) override { return {}; }

  private:
    Status ask(engine::StepContext& step, const ScratchServer& server, int major) const {
        std::vector<std::string> databases;
        AETERNA_ASSIGN(const engine::TestCheck open, check_databases(server, databases, step.context));
        AETERNA_TRY(require(open));
        for (const engine::TestQuery& query : parts_.settings.test_queries) {
            AETERNA_ASSIGN(const engine::TestCheck asked, check_query(server, query, step.context));
            AETERNA_TRY(require(asked));
        }
        const env::Context context = parts_.env.clock.within(kQuestion, step.context);
        for (const std::string& database : databases) {
            AETERNA_ASSIGN(const auto session, server.connect(database, context));
            AETERNA_TRY(warn(step, *session, kMissingExtensions,
                             "'" + database + "' has extensions that are not installed here: ", context));
        }
        AETERNA_ASSIGN(const auto session, server.connect("template1", context));
        if (major >= kFirstWithDatabaseCollation) {
            AETERNA_TRY(
                warn(step, *session, kOldCollations,
                     "made with another version of the collations, whose indexes may have to be rebuilt: ", context));
        }
        for (const std::string& setting : recovery_setting_names()) {
            AETERNA_TRY(session->query("ALTER SYSTEM RESET " + setting, {}, context));
        }
        return {};
    }

    static Status require(const engine::TestCheck& check) {
        if (check.outcome == engine::TestOutcome::kPassed) return {};
        return make_error(ErrorCode::kServer,
                          fmt::format("the restored server fails the check '{}': {}", check.name, check.detail),
                          "The cluster was not touched. 'aeterna-dr restore-test postgres' tells more.");
    }

    static Status warn(engine::StepContext& step, env::SqlConnection& session, const char* query,
                       const std::string& what, const env::Context& context) {
        AETERNA_ASSIGN(const auto rows, session.query(query, {}, context));
        const std::string found = rows.first().value_or("");
        if (!found.empty()) step.progress("warning: " + what + one_line(found));
        return {};
    }

    // Where the server says that its new timeline begins.
    Result<Timeline> check_timeline(const InPlace& place) const {
        const std::string directory = place.scratch().data() + "/pg_wal/";
        const engine::RestorePlan::Replay& replay = parts_.restore->replay;
        AETERNA_ASSIGN(const auto names, parts_.env.files.list(directory));
        Timeline newest = 0;
        for (const std::string& name : names) newest = std::max(newest, parse_history_file_name(name).value_or(0));
        if (newest > replay.timeline) {
            AETERNA_ASSIGN(const std::string text,
                           parts_.env.files.read(directory + history_file_name(newest), kMostHistoryBytes));
            AETERNA_ASSIGN(const auto switches, parse_timeline_history(text, newest));
            // Where the last record ends, or behind the page header that lies there.
            const bool is_there = !switches.empty() && switches.back().timeline == replay.timeline &&
                                  switches.back().at > replay.last &&
                                  switches.back().at <= replay.to + kWalSegmentHeaderBytes;
            if (is_there) return newest;
        }
        return make_error(ErrorCode::kServer,
                          fmt::format("the restored server did not end its recovery at {} of timeline {}",
                                      format_lsn(replay.to), replay.timeline),
                          "The cluster was not touched; look into the log in the sandbox.");
    }

    StepParts parts_;
};

}  // namespace

std::unique_ptr<engine::Step> make_replay_restore(StepParts parts) {
    return std::make_unique<ReplayRestore>(std::move(parts));
}

}  // namespace aeterna::postgres
