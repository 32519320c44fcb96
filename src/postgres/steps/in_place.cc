#include "postgres/steps/in_place.h"

#include <fmt/format.h>

#include <algorithm>

#include "postgres/steps/assist.h"

namespace aeterna::postgres {

void put_in_place(Json& facts, const InPlace& place) {
    facts["restore.data"] = place.data;
    facts["restore.sandbox"] = place.sandbox;
    facts["restore.kept"] = place.kept;
}

Result<InPlace> in_place(const Json& facts) {
    InPlace place{fact(facts, "restore.data"), fact(facts, "restore.sandbox"), fact(facts, "restore.kept")};
    if (place.data.empty() || place.sandbox.empty() || place.kept.empty()) {
        return make_error(ErrorCode::kInternal, "the place of the restore is not known");
    }
    return place;
}

Result<RestoreWish> read_restore_wish(const Json& parameters) {
    RestoreWish wish;
    wish.backup = find_string(parameters, "backup").value_or("");
    wish.superuser = find_string(parameters, "superuser").value_or("postgres");
    const Json* replay = find_member(parameters, "replay");
    const auto number = [&](const char* key) { return replay ? find_integer(*replay, key) : std::nullopt; };
    const auto timeline = number("timeline"), from = number("from"), last = number("last"), to = number("to");
    if (wish.backup.empty() || !timeline || !from || !last || !to) {
        return make_error(ErrorCode::kUsage, "a restore in place needs a backup and WAL behind it",
                          "Begin it with 'aeterna-dr restore postgres --in-place'.");
    }
    wish.replay = {static_cast<Lsn>(*from), static_cast<Lsn>(*last), static_cast<Lsn>(*to),
                   static_cast<Timeline>(*timeline), static_cast<Timeline>(number("timeline_before").value_or(0)), 0};
    return wish;
}

Result<const engine::LentRepository*> lent_to(const StepParts& parts) {
    if (parts.lent) return parts.lent.get();
    return make_error(ErrorCode::kConfiguration, "no repository is at hand",
                      "Name it in the stack file (repository.place).");
}

Result<RestoreSource> open_source(const StepParts& parts, const env::Context& context) {
    AETERNA_ASSIGN(const engine::LentRepository* lent, lent_to(parts));
    RestoreSource source;
    AETERNA_ASSIGN(source.repository, lent->open(repository::SessionKind::kRead, context));
    AETERNA_ASSIGN(source.plan.backup, source.repository->catalog().find(parts.restore->backup, context));
    source.plan.replay = parts.restore->replay;
    AETERNA_ASSIGN(source.details, read_details(source.plan.backup.details));
    return source;
}

Result<std::optional<env::User>> owner_of(const std::string& directory, const env::Env& env) {
    AETERNA_ASSIGN(const env::Owner owner, env.files.owner(directory));
    if (owner.uid == env.processes.effective_uid() && owner.uid != 0) return std::optional<env::User>();
    if (env.processes.effective_uid() != 0 || owner.uid == 0) {
        return make_error(ErrorCode::kGuardRefused,
                          fmt::format("'{}' belongs to user {}: we can start no server there", directory, owner.uid),
                          "Run this as root or as the server's user.");
    }
    const auto usual = env.processes.find_user("postgres");
    if (usual && usual->owner.uid == owner.uid) return std::optional(*usual);
    return std::optional(env::User{std::to_string(owner.uid), owner, directory});
}

std::vector<const NodeSettings*> fence_order(const StepParts& parts) {
    std::vector<const NodeSettings*> order;
    for (const NodeSettings& node : parts.settings.nodes) order.push_back(&node);
    std::stable_partition(order.begin(), order.end(),
                          [&](const NodeSettings* node) { return node->name != parts.candidate; });
    return order;
}

Result<bool> is_held_down(const StepParts& parts, const NodeSettings& node, const env::Context& context) {
    AETERNA_ASSIGN(const auto executor, executor_of(parts.settings, node.name, parts.env));
    AETERNA_ASSIGN(const auto markers, executor->fences(context));
    for (const std::string& name : node.fence_group()) {
        const bool is_marked = std::any_of(markers.begin(), markers.end(), [&](const auto& marker) {
            return marker.node == name && marker.holder == context.run_id;
        });
        if (!is_marked) return false;
        AETERNA_ASSIGN(const hosts::Vitals vitals, executor->vitals(name, context));
        if (!vitals.is_gone()) return false;
    }
    return true;
}

Status require_all_held_down(const StepParts& parts, const env::Context& context) {
    for (const NodeSettings& node : parts.settings.nodes) {
        AETERNA_ASSIGN(const bool is_down, is_held_down(parts, node, context));
        if (is_down) continue;
        return make_error(ErrorCode::kGuardRefused, fmt::format("'{}' is not held down by this execution", node.name),
                          "Resume or abort it; it looks at everything again.");
    }
    return {};
}

bool leads(const World& world, const StepParts& parts) {
    return world.primary == parts.candidate && world.key_holder == parts.candidate;
}

Status let_start(const StepParts& parts, const NodeSettings& node, const env::Context& context) {
    AETERNA_ASSIGN(const auto executor, executor_of(parts.settings, node.name, parts.env));
    AETERNA_TRY(executor->unfence(node.fence_group(), context.run_id, context));
    return executor->start(node.agent, context);
}

}  // namespace aeterna::postgres
