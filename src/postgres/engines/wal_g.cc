// WAL-G behind driver.h. It reads the server's files, so backups are taken on the server's host.
#include <fmt/format.h>

#include "base/strings.h"
#include "postgres/engines/driver.h"
#include "postgres/engines/wal_g_output.h"

namespace aeterna::postgres {
namespace {

using Level = engine::ConfigFinding::Level;

constexpr int kWalGAbsent = 74;  // wal-fetch: the storage has no such file (EX_IOERR, its manual)

class WalG final : public EngineDriver {
  public:
    WalG(const EngineSettings& settings, const env::Env& env) : settings_(settings), program_(settings, env) {}

    Result<EngineCatalog> read_catalog(const env::Context& context) override {
        EngineCatalog catalog;
        AETERNA_ASSIGN(catalog.backups, read_backups(context));
        if (catalog.backups.empty()) return catalog;
        catalog.wal.segment_bytes = catalog.backups.back().segment_bytes;
        AETERNA_ASSIGN(const env::RunResult shown, run({"wal-show", "--detailed-json"}, context));
        AETERNA_TRY(read_wal_g_archive(shown.output, catalog.wal));
        return catalog;
    }

    Result<std::vector<EngineBackup>> read_backups(const env::Context& context) override {
        AETERNA_ASSIGN(const env::RunResult list, run({"backup-list", "--detail", "--json"}, context));
        return parse_wal_g_backups(list.output, list.errors);
    }

    Status check_options(const engine::BackupOrder& order) const override {
        const std::string type = engine::option_word(order.options, "type");
        if (type.empty() || type == "full") return {};
        return make_error(ErrorCode::kUsage, fmt::format("wal-g takes no '{}' backup by order", type),
                          "Write --type full, or leave it out: WALG_DELTA_MAX_STEPS decides then.");
    }
    Status check_options(const engine::RestoreOrder& order) const override {
        if (engine::option_words(order.options, "tablespace").empty()) return {};
        return make_error(ErrorCode::kUsage, "--tablespace is not of restores by wal-g", "Leave it out.");
    }

    Status push(const engine::BackupOrder& order, const env::Context& context) override {
        std::vector<std::string> words = {"backup-push", settings_.data_directory};
        if (engine::option_word(order.options, "type") == "full") words.emplace_back("--full");
        const auto done = run(words, context, kWorkSilence);
        return done ? Status() : Status(done.error());
    }

    // Its backup-fetch makes each tablespace's old location and truncates the files there, empty or not (3.0.9: tried). A
    // delta brings those of what it builds on.
    Result<std::vector<std::string>> examine(const EngineBackup& backup, const EngineCatalog& catalog,
                                             const env::Context& context) override {
        for (const EngineBackup* one : lineage(catalog.backups, backup)) {
            const auto tablespaces = tablespaces_of(*one, context);
            if (!tablespaces)
                return wrap_error(tablespaces.error(),
                                  fmt::format("whether backup '{}' has tablespaces is not known", one->id));
            if (tablespaces->empty()) continue;
            return make_error(ErrorCode::kGuardRefused,
                              fmt::format("backup '{}' has tablespaces, and wal-g would write over what is in '{}'",
                                          one->id, one_line(join(*tablespaces, "', '"))),
                              "Fetch it with wal-g itself, with new places for them: 'wal-g backup-fetch --restore-spec'.");
        }
        return std::vector<std::string>();
    }

    Status fetch(const EngineBackup& backup, const engine::RestoreOrder& order, const env::Context& context) override {
        const auto done = run({"backup-fetch", order.into, backup.id}, context, kWorkSilence);
        return done ? Status() : Status(done.error());
    }

    std::string restore_command(const std::string& /*into*/) const override {
        std::vector<std::string> words = program_.command();
        words.emplace_back("wal-fetch");
        return checked_restore_command(words, kWalGAbsent);
    }

    // It has no check of a backup's files: only a restore shows whether they are good.
    Status verify(const EngineCatalog& catalog, engine::EngineCheck& check, const env::Context&) override {
        for (const EngineBackup& backup : catalog.backups) {
            check.not_verified.push_back(fmt::format("backup {}: wal-g cannot check its files", backup.id));
        }
        return {};
    }

    std::vector<engine::ConfigFinding> check_config(const env::Context& context) override {
        const auto said = run({"--version"}, context);
        if (!said) return {{Level::kError, "wal-g", said.error().to_string(), said.error().hint}};
        const auto backups = read_backups(context);
        if (!backups) return {{Level::kError, "wal-g", backups.error().to_string(), backups.error().hint}};
        return {{Level::kOk, "wal-g",
                 fmt::format("{}, {} backups", one_line(trim(said->output)), backups->size()), ""}};
    }

  private:
    Result<std::vector<std::string>> tablespaces_of(const EngineBackup& backup, const env::Context& context) {
        AETERNA_ASSIGN(const env::RunResult said,
                       run({"st", "cat", "basebackups_005/" + backup.id + "_backup_stop_sentinel.json"}, context));
        return parse_wal_g_tablespaces(said.output);
    }

    // kServer where its exit code is not 0.
    Result<env::RunResult> run(const std::vector<std::string>& question, const env::Context& context,
                               Duration silence = kQuestionSilence) {
        std::vector<std::string> words = program_.config_words();
        words.insert(words.end(), question.begin(), question.end());
        AETERNA_ASSIGN(env::RunResult result, program_.run(std::move(words), context, silence));
        AETERNA_TRY(judge_engine_run("wal-g", result, ""));
        return result;
    }

    const EngineSettings& settings_;
    EngineProgram program_;
};

}  // namespace

std::unique_ptr<EngineDriver> make_wal_g_driver(const EngineSettings& settings, const env::Env& env) {
    return std::make_unique<WalG>(settings, env);
}

}  // namespace aeterna::postgres
