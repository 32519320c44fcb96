#include "app/cli/restore_prediction.h"

#include <fmt/format.h>

#include <optional>

#include "app/cli/restore_test_report.h"
#include "base/strings.h"
#include "engine/restore_test/history.h"

namespace aeterna::app {
namespace {

std::optional<double> predicted_seconds(const Session& session, const std::string& store, const engine::RestorePlan& plan) {
    const auto tests = known_tests(session);
    const auto basis = tests ? engine::forecast_basis(*tests, store) : std::nullopt;
    const std::uint64_t replayed = plan.replay ? plan.replay->bytes() : 0;
    return basis ? std::optional(engine::forecast_seconds(*basis, {plan.backup.bytes, replayed})) : std::nullopt;
}

}  // namespace

void add_prediction(const Session& session, const std::string& store, engine::RestorePlan& plan) {
    const auto seconds = predicted_seconds(session, store, plan);
    plan.document["predicted_seconds"] = seconds ? Json(*seconds) : Json(nullptr);
    plan.lines.push_back(seconds ? fmt::format("about {} until it takes writes, by the last restore test that passed", format_duration(from_seconds(*seconds)))
                                 : fmt::format("nobody knows how long it takes: no restore test of {} has passed yet", store));
}

}  // namespace aeterna::app
