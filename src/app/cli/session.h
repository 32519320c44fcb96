// Session: what every command shares: global options, the real environment, signals, the opened stack, and the one
// way to print results, errors, progress and questions. One per process.
//
// A command registers itself with `add_<name>_command(CLI::App&, Session&)`; its CLI11 callback only stores the work
// with `session.run(...)`, main runs it after parsing. Results go to stdout, everything else to stderr.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "app/cli/terminal.h"
#include "app/registry.h"
#include "base/json.h"
#include "engine/runbook/journal.h"
#include "env/posix/posix_env.h"

namespace aeterna::app {

inline constexpr int kSchemaVersion = 1;
inline constexpr std::string_view kVersion = "0.1.0";
// What PostgreSQL takes for a failure of restore_command itself, not for the end of WAL (above 125: xlogarchive.c).
inline constexpr int kArchiveFailed = 255;
inline constexpr Duration kDefaultTimeout = std::chrono::seconds(60);

struct GlobalOptions {
    std::string stack;  // NAME or FILE, as given
    bool json = false;
    bool quiet = false;
    bool no_color = false;
    std::string log_format = "text";
    std::string timeout;  // as given; empty: the command's own default
    std::string repository;
    std::string key_file;
};

// What to do before an action that changes something.
enum class Approval { kGranted, kAsk, kAwaiting };
struct ApprovalInput {
    bool standing = false;  // recorded in the stack file
    bool yes = false;       // --yes
    bool terminal = false;  // somebody is there to be asked
};
[[nodiscard]] Approval decide_approval(const ApprovalInput& input);

// {"schema_version", "stack", "generated_at"} added to `document`, which must be an object; its own "stack" stays.
[[nodiscard]] Json with_envelope(Json document, const std::string& stack, WallTime now);
// {"error": {code, message, hint, effect}}.
[[nodiscard]] Json error_document(const Error& error);
// "aeterna-dr: what" and "  hint: what to do" (left out when there is none).
[[nodiscard]] std::string error_text(const Error& error);

[[nodiscard]] std::string journal_path(const config::Stack& stack);
// Where `serve` answers: "http://127.0.0.1:9464"; empty when the stack file has no serve.listen.
[[nodiscard]] std::string serve_url(const config::Stack& stack);

class Session {
  public:
    Session();
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    GlobalOptions options;  // CLI11 writes here

    // --- used while parsing
    // The work of the chosen command; its value is the exit code.
    void run(std::function<Result<int>()> work) { work_ = std::move(work); }
    // Every error ends with this exit code, whatever it is: for callers that read small ones as answers.
    void fail_with(int code) { failure_code_ = code; }
    // The level of the log on stderr; commands that stay (serve) want kInfo.
    void set_log_level(LogLevel level) { log_level_ = level; }

    // --- used by main
    // Checks the global options, starts signal handling, runs the work, prints its error. The exit code.
    [[nodiscard]] int execute();
    // Prints the error (with --json on stdout too). Its exit code.
    int fail(const Error& error);

    // --- used by commands, inside the work
    [[nodiscard]] const env::Env& env() const { return posix_->env(); }
    // Stops at SIGINT or SIGTERM, ends after --timeout, else after `fallback`.
    [[nodiscard]] env::Context context(Duration fallback = kDefaultTimeout) const;
    // --timeout, else `fallback`.
    [[nodiscard]] Duration timeout(Duration fallback) const;
    [[nodiscard]] const std::stop_token& stop() const { return stop_token_; }

    // The file that --stack, $AETERNA_DR_STACK or the default names.
    [[nodiscard]] std::string stack_path() const;
    // Loads the stack file and opens its stores once; later calls give the same. Stays until the session ends.
    [[nodiscard]] Result<OpenStack*> open();
    [[nodiscard]] Result<std::unique_ptr<engine::Journal>> open_journal(const config::Stack& stack) const;

    // Colours on stdout: a terminal, without --no-color, $NO_COLOR, or TERM=dumb.
    [[nodiscard]] bool color() const;
    // One line or block to stdout, a line end is added.
    void print(const std::string& text) const;
    // The envelope is added; the stack's name is that of open(), empty before.
    void print_json(Json document) const;
    // Progress: a line on stderr, not with --quiet.
    void progress(const std::string& line) const;

    // Shows the plan on stderr and gets leave to act on the stack: `standing` or `yes` suffice; else a terminal is
    // asked; else kAwaitingApproval. The answer no is kCancelled.
    Status approve(const std::string& what, const std::vector<std::string>& plan, bool standing, bool yes) const;

  private:
    Status check_options();

    std::unique_ptr<env::PosixEnv> posix_;
    std::unique_ptr<SignalWatch> signals_;
    std::stop_source stop_source_;
    std::stop_token stop_token_ = stop_source_.get_token();
    std::function<Result<int>()> work_;
    LogLevel log_level_ = LogLevel::kWarning;
    std::optional<int> failure_code_;
    std::optional<Duration> timeout_;
    std::unique_ptr<OpenStack> stack_;
    std::string stack_name_;
};

}  // namespace aeterna::app
