#include "postgres/capture/source.h"

#include <fmt/format.h>

#include "base/strings.h"

namespace aeterna::postgres {

Result<std::string> choose_source(const std::vector<SourceCandidate>& candidates, const std::string& wanted) {
    std::vector<std::string> names, failures;
    const SourceCandidate* best = nullptr;
    const auto rank = [](const SourceCandidate& candidate) {
        if (!candidate.view->in_recovery) return 1;
        return candidate.view->receiver_status == "streaming" ? 2 : 0;
    };
    for (const SourceCandidate& candidate : candidates) {
        names.push_back(candidate.node);
        if (candidate.node == wanted) return wanted;
        if (!candidate.view) {
            failures.push_back(candidate.failure);
            continue;
        }
        const auto place = [&](const SourceCandidate& one) { return std::pair(rank(one), one.view->lsn.value_or(0)); };
        if (best == nullptr || place(candidate) > place(*best)) best = &candidate;
    }
    if (!wanted.empty()) {
        return make_error(ErrorCode::kUsage, fmt::format("postgres has no node '{}'", wanted),
                          fmt::format("Name one of: {}.", join(names, ", ")));
    }
    if (best != nullptr) return best->node;
    return make_error(
        ErrorCode::kUnavailable,
        fmt::format("no PostgreSQL server answers: {}", failures.empty() ? "none is known" : failures.front()),
        "Check the nodes, or name one (--node).");
}

Result<Source> ask_for_source(const Settings& settings, const env::Env& env, const std::string& wanted,
                              const env::Context& context) {
    constexpr Duration kPerAnswer = std::chrono::seconds(3);
    std::vector<SourceCandidate> candidates;
    for (const NodeSettings& node : settings.nodes) {
        SourceCandidate candidate{node.name, {}, ""};
        auto session = env.sql.connect(settings.sql_target(node.address), env.clock.within(kPerAnswer, context));
        auto view = session ? observe(**session, env.clock.within(kPerAnswer, context)) : Result<SqlView>(session.error());
        if (view) candidate.view = *view;
        else candidate.failure = view.error().to_string();
        candidates.push_back(std::move(candidate));
    }
    Source source;
    AETERNA_ASSIGN(source.node, choose_source(candidates, wanted));
    for (const SourceCandidate& candidate : candidates) {
        if (candidate.node == source.node && candidate.view) source.is_replica = candidate.view->in_recovery;
    }
    return source;
}

}  // namespace aeterna::postgres
