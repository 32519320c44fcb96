// postgres.client_path_down: what applications connect to gives no session on a primary. It stays
// so for some seconds after a failover: HAProxy's checks come on top.
#include "postgres/detect/detectors/detectors.h"

namespace aeterna::postgres {

Verdict judge_client_path(const World& world) {
    const auto& client = world.seen.client;
    if (client.answer == Answer::kNever || client.failed_once())
        return Verdict::unknown();
    if (!world.client_path_fails()) return Verdict::clear();
    if (client.answer == Answer::kSilent && world.cut_off()) return Verdict::unknown();
    Verdict verdict;
    verdict.condition = true;
    verdict.summary =
        "applications cannot write through '" + world.settings->client->to_string() + "'";
    verdict.reasons = {client.value ? "client path: it ends at '" + client.value->answerer +
                                          "', which is in recovery"
                                    : describe_look(world, "client path", client)};
    return verdict;
}

}  // namespace aeterna::postgres
