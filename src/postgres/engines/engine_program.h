// Runs an engine's program as the user to whom its repository belongs: root's files in it would stop the server's
// archiving.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "env/env.h"
#include "postgres/engines/engine_settings.h"

namespace aeterna::postgres {

// After so long without a word a program hangs, and is killed (kTimeout). Its work is told file by file, or gigabyte by
// gigabyte; only a checkpoint is waited for longer.
constexpr Duration kQuestionSilence = std::chrono::minutes(15);
constexpr Duration kWorkSilence = std::chrono::hours(1);

class EngineProgram {
  public:
    EngineProgram(const EngineSettings& settings, const env::Env& env) : settings_(settings), env_(env) {}

    // The account that it runs as; nothing: ours. kConfiguration.
    [[nodiscard]] Result<std::optional<env::User>> user() const;
    // Its end, whatever the exit code. `on_line` gets stdout line by line instead of RunResult::output. kConfiguration
    // where the program is not there.
    [[nodiscard]] Result<env::RunResult> run(std::vector<std::string> arguments, const env::Context& context,
                                             Duration longest_silence,
                                             const std::function<void(std::string_view)>& on_line = nullptr) const;

    // --config, where the stack file names one.
    [[nodiscard]] std::vector<std::string> config_words() const;
    // The program's absolute path, or its name where it is not there, and those.
    [[nodiscard]] std::vector<std::string> command() const;

  private:
    [[nodiscard]] std::optional<std::string> find() const;

    const EngineSettings& settings_;
    const env::Env& env_;
};

// What stands behind `mark` in a line, trimmed; empty where it does not.
[[nodiscard]] std::string_view behind_mark(std::string_view line, std::string_view mark);
// The success of a run, else its last "ERROR: …" line; `hint` where nothing better is known.
Status judge_engine_run(const std::string& engine, const env::RunResult& result, const std::string& hint);

// restore_command out of the program's words: "%f" and "%p" are added, and of its exit codes only `absent` becomes 1,
// every other failure 255.
[[nodiscard]] std::string checked_restore_command(const std::vector<std::string>& words, int absent);

}  // namespace aeterna::postgres
