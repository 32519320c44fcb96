#include "app/cli/engines.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/cli/open_repository.h"

namespace aeterna::app {

Result<std::vector<StoreEngine>> find_engines(Session& session) {
    std::vector<StoreEngine> engines;
    if (!session.options.repository.empty() || !session.options.key_file.empty()) return engines;
    AETERNA_ASSIGN(const auto stack, stack_if_any(session));
    const auto names_one = [](const config::StoreSection& store) { return store.settings.has("engine"); };
    // The stores' own settings need not be whole for what does without them.
    if (!stack || std::none_of(stack->stores.begin(), stack->stores.end(), names_one)) return engines;
    AETERNA_ASSIGN(const OpenStack* open, session.open());
    for (const auto& store : open->stores) {
        auto* owner = dynamic_cast<engine::EngineOwner*>(store.get());
        if (auto engine = owner ? owner->make_backup_engine() : nullptr)
            engines.push_back({store->name(), std::move(engine)});
    }
    return engines;
}

Result<std::unique_ptr<engine::BackupEngine>> find_engine(Session& session, const std::string& store) {
    AETERNA_ASSIGN(auto engines, find_engines(session));
    for (StoreEngine& one : engines) {
        if (one.store == store) return std::move(one.engine);
    }
    return std::unique_ptr<engine::BackupEngine>();
}

Result<bool> wants_repository(const Session& session, bool has_engines) {
    if (!has_engines) return true;
    AETERNA_ASSIGN(const auto stack, stack_if_any(session));
    return stack && !stack->repository.empty();
}

std::string engine_of(const repository::Backup& backup) {
    return find_string(backup.details, "engine").value_or("native");
}

Result<std::vector<repository::Backup>> list_backups(Session& session, const env::Context& context) {
    AETERNA_ASSIGN(const auto engines, find_engines(session));
    std::vector<repository::Backup> all;
    AETERNA_ASSIGN(const bool has_repository, wants_repository(session, !engines.empty()));
    if (has_repository) {
        AETERNA_ASSIGN(const auto place, RepositoryPlace::find(session));
        AETERNA_ASSIGN(repository::Repository * opened, place->open(session, {}, context));
        AETERNA_ASSIGN(all, opened->catalog().all(context));
    }
    if (engines.empty()) return all;
    for (const StoreEngine& one : engines) {
        AETERNA_ASSIGN(auto backups, one.engine->backups(context));
        std::move(backups.begin(), backups.end(), std::back_inserter(all));
    }
    std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.started_at < b.started_at; });
    return all;
}

Result<std::optional<repository::Backup>> find_engines_backup(Session& session, const std::string& id,
                                                              const env::Context& context) {
    AETERNA_ASSIGN(const auto engines, find_engines(session));
    if (engines.empty()) return std::optional<repository::Backup>();
    AETERNA_ASSIGN(auto all, list_backups(session, context));
    std::optional<repository::Backup> chosen;
    if (id == "latest" && !all.empty()) chosen = all.back();
    const auto is_meant = [&](const repository::Backup& one) { return !id.empty() && one.id.starts_with(id); };
    const auto exact = std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.id == id; });
    const auto meant = std::count_if(all.begin(), all.end(), is_meant);
    if (exact != all.end()) chosen = *exact;
    else if (meant == 1) chosen = *std::find_if(all.begin(), all.end(), is_meant);
    else if (meant > 1) {
        return make_error(
            ErrorCode::kUsage, fmt::format("'{}' may mean {} backups", id, meant),
            fmt::format("Write all of it, such as '{}'.", std::find_if(all.begin(), all.end(), is_meant)->id));
    }
    AETERNA_ASSIGN(const bool has_repository, wants_repository(session, true));
    if (!chosen && !has_repository) {
        return make_error(ErrorCode::kNotFound, fmt::format("there is no backup '{}'", id),
                          "'aeterna-dr backups list' shows which there are.");
    }
    if (chosen && engine_of(*chosen) == "native") chosen.reset();
    return chosen;
}

namespace {

void print_engine_check(const Session& session, const StoreEngine& one, const engine::EngineCheck& check) {
    for (const std::string& problem : check.problems) session.print(fmt::format("{}: {}", one.engine->name(), problem));
    for (const std::string& unknown : check.not_verified)
        session.print(fmt::format("{}: not verified: {}", one.engine->name(), unknown));
    const std::string verdict = !check.problems.empty() ? fmt::format("{} problems", check.problems.size())
                                : check.not_verified.empty()
                                    ? "all is well"
                                    : fmt::format("{} things not verified", check.not_verified.size());
    session.print(fmt::format("{} of {}: {} backups: {}", one.engine->name(), one.store, check.backups, verdict));
}

}  // namespace

Result<int> check_engines(Session& session, const std::vector<StoreEngine>& engines, Json& document,
                          const env::Context& context) {
    int code = 0;
    document = Json::array();
    for (const StoreEngine& one : engines) {
        AETERNA_ASSIGN(const engine::EngineCheck check, one.engine->check(context));
        document.push_back({{"store", one.store},
                            {"engine", one.engine->name()},
                            {"healthy", check.problems.empty()},
                            {"backups", check.backups},
                            {"problems", check.problems},
                            {"not_verified", check.not_verified},
                            {"hit_backups", check.hit_backups}});
        if (!session.options.json) print_engine_check(session, one, check);
        if (!check.problems.empty()) code = exit_code(ErrorCode::kCorrupt);
        else if (!check.not_verified.empty() && code == 0) code = exit_code(ErrorCode::kPartial);
    }
    return code;
}

}  // namespace aeterna::app
