// pgBackRest behind driver.h. Always with --repo where it has several: some of its commands ask for it.
#include <fmt/format.h>

#include "base/strings.h"
#include "postgres/engines/driver.h"
#include "postgres/engines/pgbackrest_output.h"

namespace aeterna::postgres {
namespace {

using Level = engine::ConfigFinding::Level;

constexpr int kPgBackRestAbsent = 1;  // archive-get: the archive has no such file
// It reads all that is stored, and says so at its end.
constexpr Duration kVerifySilence = std::chrono::hours(24);
constexpr Duration kPercentEvery = std::chrono::seconds(2);

class PgBackRest final : public EngineDriver {
  public:
    PgBackRest(const EngineSettings& settings, const env::Env& env)
        : settings_(settings), env_(env), program_(settings, env) {}

    Result<EngineCatalog> read_catalog(const env::Context& context) override {
        AETERNA_ASSIGN(PgBackRestInfo info, read_info(context));
        EngineCatalog catalog;
        catalog.backups = std::move(info.backups);
        if (catalog.backups.empty()) return catalog;
        catalog.wal.segment_bytes = catalog.backups.back().segment_bytes;
        for (const PgBackRestArchive& archive : info.archives) AETERNA_TRY(read_archive(archive, catalog.wal, context));
        return catalog;
    }

    Result<std::vector<EngineBackup>> read_backups(const env::Context& context) override {
        AETERNA_ASSIGN(PgBackRestInfo info, read_info(context));
        return std::move(info.backups);
    }

    Status check_options(const engine::BackupOrder&) const override { return {}; }
    Status check_options(const engine::RestoreOrder&) const override { return {}; }

    Status push(const engine::BackupOrder& order, const env::Context& context) override {
        std::vector<std::string> words = words_with("--log-level-console=detail");
        const std::string type = engine::option_word(order.options, "type");
        if (!type.empty()) words.push_back("--type=" + type);
        words.emplace_back("backup");
        MonoTime next = env_.clock.now() + kPercentEvery;
        const auto see = [&](std::string_view line) {
            const auto percent = pgbackrest_percent(line);
            if (!percent || env_.clock.now() < next) return;
            next = env_.clock.now() + kPercentEvery;
            order.note(fmt::format("pgbackrest: {:.0f} %", *percent));
        };
        AETERNA_ASSIGN(const env::RunResult result, program_.run(std::move(words), context, kWorkSilence, see));
        for (const std::string& warning : pgbackrest_warnings(result.errors)) order.note("pgbackrest: " + warning);
        return judge_pgbackrest(result);
    }

    // It checks itself that the places are empty. Naming them is a courtesy: `info --set` is not in every version.
    Result<std::vector<std::string>> examine(const EngineBackup& backup, const EngineCatalog& /*catalog*/,
                                             const env::Context& context) override {
        const auto said = ask({fmt::format("--repo={}", backup.place), "--set=" + backup.id, "--output=json", "info"}, context);
        std::vector<std::string> lines;
        if (!said) return lines;
        for (const Tablespace& one : pgbackrest_tablespaces(*said, backup.id)) {
            lines.push_back(fmt::format("its tablespace {} goes to '{}', unless --tablespace {}=DIR says otherwise", one.oid,
                                        one_line(one.location), one.oid));
        }
        return lines;
    }

    Status fetch(const EngineBackup& backup, const engine::RestoreOrder& order, const env::Context& context) override {
        // Until its configuration is ours, whoever starts it gets a server that archives nothing and goes down again.
        std::vector<std::string> words = words_with("--log-level-console=detail");  // a line for each file: it is alive
        words.insert(words.end(),
                     {"--pg1-path=" + order.into, "--set=" + backup.id, fmt::format("--repo={}", backup.place),
                      "--type=immediate", "--target-action=shutdown", "--archive-mode=off"});
        for (const std::string& place : engine::option_words(order.options, "tablespace"))
            words.push_back("--tablespace-map=" + place);
        words.emplace_back("restore");
        AETERNA_ASSIGN(const env::RunResult result,
                       program_.run(std::move(words), context, kWorkSilence, [](std::string_view) {}));
        return judge_pgbackrest(result);
    }

    std::string restore_command(const std::string& into) const override {
        std::vector<std::string> words = program_.command();
        words.insert(words.end(), {"--stanza=" + settings_.stanza, "--pg1-path=" + into, "archive-get"});
        return checked_restore_command(words, kPgBackRestAbsent);
    }

    Status verify(const EngineCatalog& catalog, engine::EngineCheck& check, const env::Context& context) override {
        AETERNA_ASSIGN(const PgBackRestInfo info, read_info(context));
        for (const std::string& trouble : info.troubles) check.problems.push_back(trouble);
        for (const std::int64_t place : info.places) {
            std::vector<std::string> expected;
            for (const auto* backups : {&catalog.backups, &info.older}) {
                for (const EngineBackup& backup : *backups) {
                    if (backup.place == place) expected.push_back(backup.id);
                }
            }
            std::vector<std::string> words = words_with("--log-level-console=off");
            words.insert(words.end(), {fmt::format("--repo={}", place), "--output=text", "--verbose", "verify"});
            AETERNA_ASSIGN(const env::RunResult result, program_.run(std::move(words), context, kVerifySilence));
            if (const Status done = judge_pgbackrest(result); !done) check.not_verified.push_back(done.error().message);
            read_pgbackrest_verify(result.output, settings_.stanza, expected, check);
        }
        return {};
    }

    std::vector<engine::ConfigFinding> check_config(const env::Context& context) override {
        const auto failed = [](const Error& error) {
            return std::vector<engine::ConfigFinding>{{Level::kError, "pgbackrest", error.to_string(), error.hint}};
        };
        const auto said = program_.run({"version"}, context, kQuestionSilence);
        if (!said) return failed(said.error());
        const auto info = read_info(context);
        if (!info) return failed(info.error());
        return {{Level::kOk, "pgbackrest",
                 fmt::format("version {}, stanza '{}', {} backups", pgbackrest_version(said->output), settings_.stanza,
                             info->backups.size()),
                 ""}};
    }

  private:
    [[nodiscard]] std::vector<std::string> words_with(const char* console) const {
        std::vector<std::string> words = program_.config_words();
        words.push_back("--stanza=" + settings_.stanza);
        words.emplace_back(console);
        words.emplace_back("--log-level-stderr=warn");
        return words;
    }

    // Of a command that prints what was asked for on stdout.
    Result<std::string> ask(const std::vector<std::string>& question, const env::Context& context) {
        std::vector<std::string> words = words_with("--log-level-console=off");
        words.insert(words.end(), question.begin(), question.end());
        AETERNA_ASSIGN(env::RunResult result, program_.run(std::move(words), context, kQuestionSilence));
        AETERNA_TRY(judge_pgbackrest(result));
        return std::move(result.output);
    }

    Result<PgBackRestInfo> read_info(const env::Context& context) {
        AETERNA_ASSIGN(const std::string text, ask({"--output=json", "info"}, context));
        AETERNA_ASSIGN(PgBackRestInfo info, parse_pgbackrest_info(text, settings_.stanza));
        AETERNA_TRY(judge_pgbackrest_stanza(info, settings_.stanza));
        return info;
    }

    Status read_archive(const PgBackRestArchive& archive, ArchivedWal& wal, const env::Context& context) {
        const std::string folder = fmt::format("archive/{}/{}", settings_.stanza, archive.id);
        const std::string place = fmt::format("--repo={}", archive.place);
        AETERNA_ASSIGN(const std::string listing,
                       ask({place, "--output=json", "--recurse", "repo-ls", folder}, context));
        std::vector<std::string> histories;
        AETERNA_TRY(read_pgbackrest_listing(listing, wal, histories));
        for (const std::string& path : histories) {
            AETERNA_ASSIGN(wal.histories[parse_history_file_name(path.substr(path.rfind('/') + 1)).value_or(0)],
                           ask({place, "repo-get", folder + "/" + path}, context));
        }
        return {};
    }

    const EngineSettings& settings_;
    const env::Env& env_;
    EngineProgram program_;
};

}  // namespace

std::unique_ptr<EngineDriver> make_pgbackrest_driver(const EngineSettings& settings, const env::Env& env) {
    return std::make_unique<PgBackRest>(settings, env);
}

}  // namespace aeterna::postgres
