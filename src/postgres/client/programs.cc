#include "postgres/client/programs.h"

#include <fmt/format.h>

#include "base/strings.h"

namespace aeterna::postgres {
namespace {

constexpr int kNewestMajor = 30;  // looked for; the folders of versions to come
constexpr Duration kProgramAnswer = std::chrono::seconds(10);
constexpr std::size_t kMostLastWords = 600;
// A dump or a restore in which nothing moves for so long hangs: a lock is waited for no longer than five minutes.
constexpr Duration kClientSilence = std::chrono::minutes(15);

std::optional<int> leading_integer(std::string_view text) {
    const auto number = to_integer(text.substr(0, text.find_first_not_of("0123456789")));
    return number ? std::optional(static_cast<int>(*number)) : std::nullopt;
}

std::string conninfo_quoted(const std::string& text) {
    std::string result = "'";
    for (const char c : text) {
        if (c == '\'' || c == '\\') result += '\\';
        result += c;
    }
    return result + "'";
}

// What counts of what a program wrote: the last line that tells an error, else the last one.
std::string last_words(std::string_view errors) {
    std::string_view last, last_error;
    for (std::string_view line : split(errors, '\n')) {
        line = trim(line);
        if (line.empty()) continue;
        last = line;
        if (line.find("error:") != std::string_view::npos || line.find("FATAL:") != std::string_view::npos) {
            last_error = line;
        }
    }
    std::string_view chosen = last_error.empty() ? last : last_error;
    if (const std::size_t prefix = chosen.find(": error: "); prefix != std::string_view::npos && prefix < 20) {
        chosen.remove_prefix(prefix + 9);
    }
    return one_line(chosen, kMostLastWords);
}

}  // namespace

std::optional<int> parse_program_major(std::string_view text) {
    constexpr std::string_view kMark = "(PostgreSQL) ";
    const std::size_t at = text.find(kMark);
    return at == std::string_view::npos ? std::nullopt : leading_integer(text.substr(at + kMark.size()));
}

std::string told_by_program(const std::vector<std::string>& argv, const env::Env& env, const env::Context& context) {
    env::RunOptions options;
    options.argv = argv;
    const auto result = env.processes.run(options, env.clock.within(kProgramAnswer, context));
    return result && result->exit_status == 0 ? one_line(result->output) : std::string();
}

std::optional<int> parse_server_major(std::string_view text) { return leading_integer(text); }

Result<ClientProgram> find_client_program(env::Processes& processes, const std::string& name, int least_major,
                                          const env::Context& context) {
    for (int major = least_major; major <= kNewestMajor; ++major) {
        for (const char* form : {"/usr/lib/postgresql/{}/bin/{}", "/usr/pgsql-{}/bin/{}"}) {
            const auto found = processes.find_program(fmt::format(fmt::runtime(form), major, name));
            if (found) return ClientProgram{*found, major};
        }
    }
    const std::string hint = fmt::format("Install the client programs of PostgreSQL {} or later here (Debian: postgresql-client-{}).",
                                         least_major, least_major);
    const auto other = processes.find_program(name);
    if (!other) {
        return make_error(ErrorCode::kConfiguration, fmt::format("there is no '{}' on this machine", name), hint);
    }
    env::RunOptions options;
    options.argv = {*other, "--version"};
    AETERNA_ASSIGN(const env::RunResult result, processes.run(options, context));
    const int major = parse_program_major(result.output).value_or(0);
    if (major >= least_major) return ClientProgram{*other, major};
    return make_error(ErrorCode::kConfiguration,
                      major == 0 ? fmt::format("'{}' does not say which version it is", *other)
                                 : fmt::format("'{}' is of PostgreSQL {}, older than {}", *other, major, least_major),
                      hint);
}

std::string connection_words(const env::SqlTarget& target) {
    std::string words = fmt::format(
        "host={} port={} dbname={} sslmode={} application_name={} connect_timeout=15 keepalives_idle=30 keepalives_interval=10 "
        "keepalives_count=3 tcp_user_timeout=60000",
        conninfo_quoted(target.endpoint.host), target.endpoint.port, conninfo_quoted(target.database), conninfo_quoted(target.ssl_mode),
        conninfo_quoted(target.application_name));
    if (!target.user.empty()) words += " user=" + conninfo_quoted(target.user);
    if (!target.ssl_root_certificate.empty()) words += " sslrootcert=" + conninfo_quoted(target.ssl_root_certificate);
    return words;
}

env::RunOptions client_run(std::vector<std::string> argv, const env::SqlTarget& target) {
    env::RunOptions options;
    options.argv = std::move(argv);
    options.argv.push_back("--no-password");
    options.argv.push_back("--dbname=" + connection_words(target));
    options.environment["LC_ALL"] = "C";
    // Else libpq would look for one in a file of whoever runs us.
    options.environment["PGPASSFILE"] = "/dev/null";
    if (!target.password.empty()) options.environment["PGPASSWORD"] = target.password.reveal();
    options.longest_silence = kClientSilence;
    return options;
}

Status judge_run(const std::string& name, const env::RunResult& result) {
    if (result.exit_status == 0) return {};
    const std::string words = last_words(result.errors);
    if (result.exit_status < 0) {
        return make_error(ErrorCode::kIo, fmt::format("{} was ended by signal {}{}{}", name, result.signal,
                                                      words.empty() ? "" : ": ", words));
    }
    return make_error(ErrorCode::kServer, fmt::format("{}: {}", name, words.empty() ? "it failed without a word" : words));
}

}  // namespace aeterna::postgres
