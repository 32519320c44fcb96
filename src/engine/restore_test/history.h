// What restore tests found, one JSON document a line in STATE/restore-tests.jsonl, and the forecast that follows from
// it: evidence for `backups list`, and for how long a restore would take now.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "env/env.h"

namespace aeterna::engine {

// Durable when it returns; only the newest thousand stay.
Status record_test(const std::string& state_directory, const Json& document, const env::Env& env,
                   const env::Context& context);
// Oldest first; empty when there was none. Lines that are no document are left out.
[[nodiscard]] Result<std::vector<Json>> recorded_tests(const std::string& state_directory, const env::Env& env);

// The newest of this backup; nullptr when it was never tested. `tests` as recorded_tests() gives them.
[[nodiscard]] const Json* last_test_of(const std::vector<Json>& tests, const std::string& backup);

// From the store's last test that passed: how fast it fetched, and what came beside.
struct ForecastBasis {
    std::uint64_t bytes = 0;  // that were restored
    double fetch_seconds = 0;
    double fixed_seconds = 0;  // plan, start
    std::uint64_t replayed_bytes = 0;  // of the log
    double replay_seconds = 0;
};
[[nodiscard]] std::optional<ForecastBasis> forecast_basis(const std::vector<Json>& tests, const std::string& store);
// What is restored now; nothing is as it was in the test.
struct ForecastSize {
    std::optional<std::uint64_t> bytes;     // of a backup, or of the store
    std::optional<std::uint64_t> replayed;  // of the log, fetched and replayed behind that
};
// By the measured rates, and the fixed costs. Where the test replayed next to nothing (less than a segment) nobody knows how
// fast that goes: then the log's fetch alone counts.
[[nodiscard]] double forecast_seconds(const ForecastBasis& basis, const ForecastSize& now);

}  // namespace aeterna::engine
