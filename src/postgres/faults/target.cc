// Choosing what to break.
#include "postgres/faults/target.h"

#include "base/strings.h"
#include "postgres/client/patroni.h"
#include "postgres/client/sql.h"

namespace aeterna::postgres {

namespace {

Result<bool> accepts_writes(const Settings& settings, const NodeSettings& node, const env::Env& env,
                            const env::Context& context) {
    AETERNA_ASSIGN(auto session, env.sql.connect(settings.sql_target(node.address), context));
    AETERNA_ASSIGN(SqlView view, observe(*session, context));
    return !view.in_recovery;
}

}  // namespace

Result<std::string> find_live_primary(const Settings& settings, const env::Env& env,
                                      const env::Context& context) {
    const Patroni patroni(settings, env);
    std::vector<std::string> found;
    std::string why;
    for (const NodeSettings& node : settings.nodes) {
        const env::Context bounded = env.clock.within(2s, context);
        auto state = patroni.node(node, bounded);
        if (!state) {
            why = state.error().to_string();
            continue;
        }
        if (!state->claims_primary()) continue;
        auto writes = accepts_writes(settings, node, env, bounded);
        if (!writes) why = writes.error().to_string();
        if (writes.value_or(false)) found.push_back(node.name);
    }
    if (found.size() == 1) return found.front();
    if (found.size() > 1) {
        return make_error(ErrorCode::kUnavailable,
                          "more than one node accepts writes: " + join(found, ", "));
    }
    return make_error(ErrorCode::kUnavailable, "no node says that it is the primary" +
                                                   (why.empty() ? "" : " (" + why + ")"));
}

Result<engine::FaultTarget> find_fault_target(const Settings& settings, const env::Env& env,
                                              const env::Context& context) {
    AETERNA_ASSIGN(std::string primary, find_live_primary(settings, env, context));
    const NodeSettings* node = settings.find(primary);
    return engine::FaultTarget{primary, {node->agent, node->name}, {node->agent}};
}

}  // namespace aeterna::postgres
