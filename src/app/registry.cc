#include "app/registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/strings.h"
#include "postgres/module.h"
#include "qdrant/module.h"
#include "redis/module.h"

namespace aeterna::app {
namespace {

struct Reaction {
    std::string_view detector;
    std::string_view runbook;
};

constexpr std::array kReactions = {
    Reaction{"postgres.agent_down", "failover"},
    Reaction{"postgres.no_leader", "failover"},
    Reaction{"postgres.primary_down", "failover"},
    Reaction{"redis.divided", "reconcile"},
    Reaction{"redis.master_down", "failover"},
    Reaction{"redis.master_empty", "failover"},
};

std::vector<std::unique_ptr<engine::StoreModule>> make_modules() {
    std::vector<std::unique_ptr<engine::StoreModule>> modules;
    modules.push_back(postgres::make_module());
    modules.push_back(qdrant::make_module());
    modules.push_back(redis::make_module());
    return modules;
}

}  // namespace

const std::vector<std::unique_ptr<engine::StoreModule>>& store_modules() {
    static const std::vector<std::unique_ptr<engine::StoreModule>> modules = make_modules();
    return modules;
}

Result<engine::Store*> OpenStack::find(const std::string& name) const {
    std::vector<std::string> names;
    for (const auto& store : stores) {
        if (store->name() == name) return store.get();
        names.push_back(store->name());
    }
    return make_error(ErrorCode::kUsage, fmt::format("stack '{}' has no store '{}'", stack.name, name),
                      fmt::format("Name one of: {}.", join(names, ", ")));
}

Result<std::vector<std::unique_ptr<engine::Store>>> open_stores(
    const config::Stack& stack, const std::vector<std::unique_ptr<engine::StoreModule>>& modules,
    const env::Env& env) {
    std::vector<std::string> known;
    for (const auto& module : modules) known.emplace_back(module->name());
    std::vector<std::unique_ptr<engine::Store>> stores;
    for (const config::StoreSection& section : stack.stores) {
        const auto module = std::find_if(modules.begin(), modules.end(), [&](const auto& candidate) {
            return candidate->name() == section.name;
        });
        if (module == modules.end()) {
            return make_error(
                ErrorCode::kConfiguration,
                fmt::format("{}: unknown store '{}'", section.settings.location(), section.name),
                fmt::format("Stores are: {}.", join(known, ", ")));
        }
        AETERNA_ASSIGN(auto store, (*module)->open(stack, section, env));
        stores.push_back(std::move(store));
    }
    if (stores.empty()) {
        return make_error(ErrorCode::kConfiguration, fmt::format("'{}' has no stores", stack.file),
                          fmt::format("List at least one under 'stores': {}.", join(known, ", ")));
    }
    AETERNA_TRY(stack.stores.front().settings.finish());
    return stores;
}

Result<std::unique_ptr<OpenStack>> open_stack(const std::string& path, const env::Env& env) {
    auto open = std::make_unique<OpenStack>();
    AETERNA_ASSIGN(open->stack, config::load_stack(path, env.files));
    AETERNA_ASSIGN(open->stores, open_stores(open->stack, store_modules(), env));
    return open;
}

std::vector<std::unique_ptr<engine::DrillStore>> drill_stores(const OpenStack& open) {
    std::vector<std::unique_ptr<engine::DrillStore>> stores;
    for (const auto& store : open.stores) {
        if (auto drill = store->make_drill_store()) stores.push_back(std::move(drill));
    }
    return stores;
}

std::optional<std::string> reaction_to(std::string_view detector) {
    for (const Reaction& reaction : kReactions) {
        if (reaction.detector == detector) return std::string(reaction.runbook);
    }
    return std::nullopt;
}

}  // namespace aeterna::app
