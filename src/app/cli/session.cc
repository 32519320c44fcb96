#include "app/cli/session.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/strings.h"

namespace aeterna::app {
namespace {

constexpr std::size_t kMessageLimit = 600;

}  // namespace

Approval decide_approval(const ApprovalInput& input) {
    if (input.standing || input.yes) return Approval::kGranted;
    return input.terminal ? Approval::kAsk : Approval::kAwaiting;
}

Json with_envelope(Json document, const std::string& stack, WallTime now) {
    document["schema_version"] = kSchemaVersion;
    if (!document.contains("stack")) document["stack"] = stack;
    document["generated_at"] = format_time(now);
    return document;
}

Json error_document(const Error& error) {
    return Json{{"error",
                 {{"code", code_name(error.code)},
                  {"message", error.to_string()},
                  {"hint", error.hint},
                  {"effect", effect_name(error.effect)}}}};
}

std::string error_text(const Error& error) {
    std::string text = fmt::format("aeterna-dr: {}\n", one_line(error.to_string(), kMessageLimit));
    if (!error.hint.empty()) text += fmt::format("  hint: {}\n", one_line(error.hint, kMessageLimit));
    return text;
}

std::string journal_path(const config::Stack& stack) { return engine::journal_file(stack.state_directory); }

std::string serve_url(const config::Stack& stack) {
    if (!stack.serve_listen) return "";
    env::Endpoint endpoint = *stack.serve_listen;
    // A wildcard is where it listens, not where it can be asked.
    if (endpoint.host == "0.0.0.0") endpoint.host = "127.0.0.1";
    if (endpoint.host == "::") endpoint.host = "::1";
    return "http://" + endpoint.to_string();
}

Session::Session() = default;
Session::~Session() {
    // The stores refer to the environment; threads end before it does.
    stack_.reset();
    signals_.reset();
}

Status Session::check_options() {
    if (options.timeout.empty()) return {};
    AETERNA_ASSIGN(timeout_, parse_duration(options.timeout));
    if (*timeout_ <= Duration::zero()) {
        return make_error(ErrorCode::kUsage, fmt::format("--timeout '{}' leaves no time", options.timeout),
                          "Give a positive duration, such as 30s.");
    }
    return {};
}

int Session::execute() {
    const auto format = options.log_format == "json" ? env::LogFormat::kJson : env::LogFormat::kText;
    posix_ = std::make_unique<env::PosixEnv>(
        format, options.quiet ? std::max(log_level_, LogLevel::kWarning) : log_level_);
    if (const Status status = check_options(); !status) return fail(status.error());
    signals_ = std::make_unique<SignalWatch>(env().threads, [this] { stop_source_.request_stop(); });
    const Result<int> code = work_();
    return code ? *code : fail(code.error());
}

int Session::fail(const Error& error) {
    // A wrong command line fails before there is an environment; the JSON document wants a clock.
    if (!posix_) posix_ = std::make_unique<env::PosixEnv>(env::LogFormat::kText, LogLevel::kError);
    write_all(STDERR_FILENO, error_text(error));
    if (options.json) print_json(error_document(error));
    return failure_code_.value_or(exit_code(error.code));
}

Duration Session::timeout(Duration fallback) const { return timeout_.value_or(fallback); }

env::Context Session::context(Duration fallback) const {
    return {env().clock.now() + timeout(fallback), stop_token_, ""};
}

std::string Session::stack_path() const { return config::resolve_stack_path(options.stack, env().files); }

Result<OpenStack*> Session::open() {
    if (!stack_) {
        AETERNA_ASSIGN(stack_, open_stack(stack_path(), env()));
        stack_name_ = stack_->stack.name;
    }
    return stack_.get();
}

Result<std::unique_ptr<engine::Journal>> Session::open_journal(const config::Stack& stack) const {
    auto journal = engine::open_sqlite_journal(journal_path(stack));
    if (journal) return journal;
    Error error = wrap_error(std::move(journal).error(),
                             fmt::format("cannot open the journal '{}'", journal_path(stack)));
    if (error.hint.empty()) error.hint = "Check that this user may write to the stack's state_directory.";
    return error;
}

bool Session::color() const {
    if (options.no_color || !is_terminal(STDOUT_FILENO)) return false;
    // https://no-color.org: present and not empty.
    if (const auto value = env().files.environment_variable("NO_COLOR"); value && !value->empty()) return false;
    const auto terminal = env().files.environment_variable("TERM");
    return terminal && !terminal->empty() && *terminal != "dumb";
}

void Session::print(const std::string& text) const { write_all(STDOUT_FILENO, text + "\n"); }

void Session::print_json(Json document) const {
    print(dump_json_pretty(with_envelope(std::move(document), stack_name_, env().clock.wall_now())));
}

void Session::progress(const std::string& line) const {
    if (!options.quiet) write_all(STDERR_FILENO, line + "\n");
}

Status Session::approve(const std::string& what, const std::vector<std::string>& plan, bool standing,
                        bool yes) const {
    const Approval approval =
        decide_approval({standing, yes, is_terminal(STDIN_FILENO) && is_terminal(STDERR_FILENO)});
    // A question without its plan would be worthless: --quiet hides the plan only where nobody is asked.
    const std::string where = stack_name_.empty() ? "" : fmt::format(" on stack '{}'", stack_name_);
    std::string text = fmt::format("{}{}:\n", what, where);
    for (const std::string& line : plan) text += "  " + line + "\n";
    if (approval != Approval::kGranted || !options.quiet) write_all(STDERR_FILENO, text);
    if (approval == Approval::kGranted) return {};
    if (approval == Approval::kAwaiting) {
        return make_error(ErrorCode::kAwaitingApproval,
                          fmt::format("{}{} awaits approval", what, where),
                          "Add --yes, run it on a terminal, or record a standing approval in the stack file.");
    }
    write_all(STDERR_FILENO, fmt::format("Do this{}? [y/N] ", where));
    const auto answer = read_line(stop_token_);
    if (!answer) write_all(STDERR_FILENO, "\n");
    const std::string word = lower(trim(answer.value_or("")));
    if (word == "y" || word == "yes") return {};
    return make_error(ErrorCode::kCancelled, "not confirmed, nothing was changed", "");
}

}  // namespace aeterna::app
