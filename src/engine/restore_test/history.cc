#include "engine/restore_test/history.h"

#include "base/strings.h"
#include "engine/restore_test/await_lock.h"

namespace aeterna::engine {
namespace {

constexpr std::size_t kKept = 1000;

std::string file_of(const std::string& state_directory) { return state_directory + "/restore-tests.jsonl"; }

// Of the log in a test: the time of less is the start's.
constexpr std::uint64_t kLeastReplayed = 16 << 20;

double seconds_of(const Json& test, const std::string& phase) {
    const Json* phases = find_member(test, "phases");
    if (phases == nullptr || !phases->is_array()) return 0;
    for (const Json& one : *phases) {
        if (find_string(one, "name") == phase) return find_number(one, "seconds").value_or(0);
    }
    return 0;
}

}  // namespace

Status record_test(const std::string& state_directory, const Json& document, const env::Env& env,
                   const env::Context& context) {
    AETERNA_TRY(env.files.make_directories(state_directory));
    const std::string path = file_of(state_directory);
    AETERNA_ASSIGN(const auto lock, await_lock(path + ".lock", env, context));
    AETERNA_ASSIGN(std::vector<Json> tests, recorded_tests(state_directory, env));
    tests.push_back(document);
    const std::size_t skipped = tests.size() > kKept ? tests.size() - kKept : 0;
    std::string text;
    for (std::size_t i = skipped; i < tests.size(); ++i) text += dump_json(tests[i]) + "\n";
    return env.files.write_durable(path, text);
}

Result<std::vector<Json>> recorded_tests(const std::string& state_directory, const env::Env& env) {
    std::vector<Json> tests;
    const auto text = env.files.read(file_of(state_directory));
    if (!text && text.error().code == ErrorCode::kNotFound) return tests;
    if (!text) return text.error();
    for (const std::string_view line : split(*text, '\n')) {
        if (auto document = parse_json(line, "a restore test"); document && document->is_object()) {
            tests.push_back(std::move(*document));
        }
    }
    return tests;
}

const Json* last_test_of(const std::vector<Json>& tests, const std::string& backup) {
    for (auto test = tests.rbegin(); test != tests.rend(); ++test) {
        if (find_string(*test, "backup") == backup) return &*test;
    }
    return nullptr;
}

std::optional<ForecastBasis> forecast_basis(const std::vector<Json>& tests, const std::string& store) {
    for (auto test = tests.rbegin(); test != tests.rend(); ++test) {
        if (find_string(*test, "store") != store || find_string(*test, "verdict") != "pass") continue;
        ForecastBasis basis;
        basis.bytes = static_cast<std::uint64_t>(find_integer(*test, "bytes").value_or(0));
        basis.fetch_seconds = seconds_of(*test, "fetch");
        const Json* replay = find_member(*test, "replay");
        basis.replayed_bytes = static_cast<std::uint64_t>(replay ? find_integer(*replay, "bytes").value_or(0) : 0);
        basis.replay_seconds = find_number(*test, "replay_seconds").value_or(0);
        basis.fixed_seconds = seconds_of(*test, "plan") + seconds_of(*test, "start") - basis.replay_seconds;
        if (basis.bytes > 0 && basis.fetch_seconds > 0) return basis;
    }
    return std::nullopt;
}

double forecast_seconds(const ForecastBasis& basis, const ForecastSize& now) {
    const double fetched = static_cast<double>(basis.bytes);
    const double size = now.bytes ? static_cast<double>(*now.bytes + now.replayed.value_or(0)) : fetched;
    double replay = basis.replay_seconds;
    if (now.replayed && basis.replayed_bytes >= kLeastReplayed)
        replay *= static_cast<double>(*now.replayed) / static_cast<double>(basis.replayed_bytes);
    return size * basis.fetch_seconds / fetched + replay + basis.fixed_seconds;
}

}  // namespace aeterna::engine
