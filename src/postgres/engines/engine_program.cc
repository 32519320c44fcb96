#include "postgres/engines/engine_program.h"

#include <fmt/format.h>

#include "base/strings.h"

namespace aeterna::postgres {
namespace {

constexpr std::size_t kMostOutputBytes = 512 << 20;  // a listing of an archive: about 120 bytes for each segment
constexpr const char* kUsualUser = "postgres";

}  // namespace

Result<std::optional<env::User>> EngineProgram::user() const {
    env::Processes& processes = env_.processes;
    const bool is_root = processes.effective_uid() == 0;
    if (settings_.user.empty() && !is_root) return std::optional<env::User>();
    const std::string name = settings_.user.empty() ? kUsualUser : settings_.user;
    auto found = processes.find_user(name);
    if (!found) {
        return make_error(ErrorCode::kConfiguration,
                          fmt::format("there is no user '{}' to run {} as", name, settings_.name),
                          "Name the owner of its repository: 'engine_user' in the stack file.");
    }
    if (found->owner.uid == processes.effective_uid()) return std::optional<env::User>();
    if (is_root) return std::optional(std::move(*found));
    return make_error(ErrorCode::kConfiguration, fmt::format("only root can run {} as '{}'", settings_.name, name),
                      "Run this as that user, or leave 'engine_user' out.");
}

std::optional<std::string> EngineProgram::find() const {
    if (settings_.program.find('/') == std::string::npos) return env_.processes.find_program(settings_.program);
    return env_.files.exists(settings_.program) ? std::optional(settings_.program) : std::nullopt;
}

std::vector<std::string> EngineProgram::config_words() const {
    if (settings_.config_file.empty()) return {};
    return {"--config=" + settings_.config_file};
}

std::vector<std::string> EngineProgram::command() const {
    std::vector<std::string> words = config_words();
    words.insert(words.begin(), find().value_or(settings_.program));
    return words;
}

Result<env::RunResult> EngineProgram::run(std::vector<std::string> arguments, const env::Context& context,
                                          Duration longest_silence,
                                          const std::function<void(std::string_view)>& on_line) const {
    const auto program = find();
    if (!program) {
        return make_error(
            ErrorCode::kConfiguration, fmt::format("there is no program '{}' on this machine", settings_.program),
            fmt::format("Install it, or name it in the stack file ({}).", settings_.section + ": {program}"));
    }
    env::RunOptions options;
    options.argv = std::move(arguments);
    options.argv.insert(options.argv.begin(), *program);
    options.environment["LC_ALL"] = "C";
    options.environment["WALG_LOG_LEVEL"] = "NORMAL";  // wins over its configuration; quieter, it would seem to hang
    options.longest_silence = longest_silence;
    AETERNA_ASSIGN(options.user, user());
    options.output_limit_bytes = kMostOutputBytes;
    std::string rest;
    if (on_line) {
        options.on_output = [&](std::string_view bytes) -> Status {
            rest.append(bytes);
            for (std::size_t end = rest.find('\n'); end != std::string::npos; end = rest.find('\n')) {
                on_line(std::string_view(rest).substr(0, end));
                rest.erase(0, end + 1);
            }
            return {};
        };
    }
    return env_.processes.run(options, context);
}

std::string_view behind_mark(std::string_view line, std::string_view mark) {
    const std::size_t at = line.find(mark);
    return at == std::string_view::npos ? std::string_view() : trim(line.substr(at + mark.size()));
}

Status judge_engine_run(const std::string& engine, const env::RunResult& result, const std::string& hint) {
    if (result.exit_status == 0) return {};
    if (result.exit_status < 0) {
        return make_error(ErrorCode::kIo, fmt::format("{} was ended by signal {}", engine, result.signal));
    }
    std::string said = fmt::format("it ended with {} and without a word", result.exit_status);
    for (const std::string_view line : split(result.errors, '\n')) {
        if (const auto words = behind_mark(line, "ERROR: "); !words.empty()) said = one_line(words, 600);
    }
    const std::string what = engine + ": " + said;
    const bool is_full = lower(result.errors).find("no space left on device") != std::string::npos;
    if (is_full) return make_error(ErrorCode::kNoSpace, what, "Make room there, then try again.");
    return make_error(ErrorCode::kServer, what, hint);
}

std::string checked_restore_command(const std::vector<std::string>& words, int absent) {
    std::string command;
    for (const std::string& word : words) {
        // What restore_command would replace: a percent sign is written twice.
        for (const char c : shell_word(word)) command.append(c == '%' ? 2 : 1, c);
        command += ' ';
    }
    return command + fmt::format("%f \"%p\"; case $? in 0) ;; {}) exit 1;; *) exit 255;; esac", absent);
}

}  // namespace aeterna::postgres
