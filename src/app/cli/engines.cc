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
        if (auto engine = store->make_backup_engine()) engines.push_back({store->name(), std::move(engine)});
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

Result<bool> wants_repository(Session& session, const std::vector<StoreEngine>& engines) {
    if (engines.empty()) return true;
    AETERNA_ASSIGN(const OpenStack* open, session.open());
    return !open->stack.repository.empty();
}

std::string engine_of(const repository::Backup& backup) {
    return find_string(backup.details, "engine").value_or("native");
}

namespace {

Result<std::vector<repository::Backup>> list_all(Session& session, const std::vector<StoreEngine>& engines,
                                                 const env::Context& context) {
    std::vector<repository::Backup> all;
    AETERNA_ASSIGN(const bool has_repository, wants_repository(session, engines));
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

// Null where `id` means none.
Result<const repository::Backup*> find_meant(const std::vector<repository::Backup>& all, const std::string& id) {
    if (id == "latest" && !all.empty()) return &all.back();
    std::vector<const repository::Backup*> meant;
    for (const repository::Backup& one : all) {
        if (one.id == id) return &one;
        if (!id.empty() && one.id.starts_with(id)) meant.push_back(&one);
    }
    if (meant.size() > 1) {
        return make_error(ErrorCode::kUsage, fmt::format("'{}' may mean {} backups", id, meant.size()),
                          fmt::format("Write all of it, such as '{}'.", meant.front()->id));
    }
    return meant.empty() ? nullptr : meant.front();
}

}  // namespace

Result<std::vector<repository::Backup>> list_backups(Session& session, const env::Context& context) {
    AETERNA_ASSIGN(const auto engines, find_engines(session));
    return list_all(session, engines, context);
}

Result<std::optional<repository::Backup>> find_engines_backup(Session& session, const std::string& id,
                                                              const env::Context& context) {
    AETERNA_ASSIGN(const auto engines, find_engines(session));
    if (engines.empty()) return std::optional<repository::Backup>();
    AETERNA_ASSIGN(const auto all, list_all(session, engines, context));
    AETERNA_ASSIGN(const repository::Backup* meant, find_meant(all, id));
    AETERNA_ASSIGN(const bool has_repository, wants_repository(session, engines));
    if (!meant && !has_repository) {
        return make_error(ErrorCode::kNotFound, fmt::format("there is no backup '{}'", id),
                          "'aeterna-dr backups list' shows which there are.");
    }
    if (!meant || engine_of(*meant) == "native") return std::optional<repository::Backup>();
    return std::optional(*meant);
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
