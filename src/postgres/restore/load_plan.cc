#include "postgres/restore/load_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "postgres/capture/base_backup.h"
#include "postgres/restore/recovery_target.h"

namespace aeterna::postgres {
namespace {

std::string sql_text(const std::string& value) {
    std::string text = value.find('\\') == std::string::npos ? "'" : "E'";
    for (const char c : value) text.append(c == '\'' || c == '\\' ? 2 : 1, c);
    return text + "'";
}

}  // namespace

std::string sql_name(const std::string& name) {
    std::string text = "\"";
    for (const char c : name) text.append(c == '"' ? 2 : 1, c);
    return text + "\"";
}

LoadWish read_load_wish(const engine::OptionValues& values) {
    LoadWish wish;
    wish.database = engine::option_word(values, "database");
    wish.schemas = engine::option_words(values, "schema");
    wish.tables = engine::option_words(values, "table");
    wish.clean = !engine::option_words(values, "clean").empty();
    wish.no_owner = !engine::option_words(values, "no-owner").empty();
    wish.password_file = engine::option_word(values, "password-file");
    wish.kind = engine::option_word(values, "kind");
    return wish;
}

bool means_base_backup(const std::vector<repository::Backup>& backups, const LoadWish& wish, const std::string& to,
                       const std::string& series) {
    if (!wish.kind.empty()) return wish.kind == kBaseKind;
    const auto target = parse_recovery_target(to);
    if (!target) return false;
    const auto has = [&](std::string_view kind, const std::string& id) {
        return std::any_of(backups.begin(), backups.end(), [&](const repository::Backup& one) {
            return one.store == "postgres" && one.kind == kind && (series.empty() || one.name == series) && one.id.starts_with(id);
        });
    };
    switch (target->kind) {
        case RecoveryTarget::Kind::kLatest: return has(kBaseKind, "") && !has(kLogicalKind, "");
        case RecoveryTarget::Kind::kBackup: return has(kBaseKind, target->word) && !has(kLogicalKind, target->word);
        default: return true;
    }
}

Result<DumpedDatabase> choose_database(const std::vector<DumpedDatabase>& databases, const std::string& wanted,
                                       const std::string& target) {
    std::vector<std::string> names;
    for (const DumpedDatabase& one : databases) {
        names.push_back(one.name);
        if (one.name == wanted) return one;
    }
    const std::string hint = fmt::format("Name one (--database): {}.", join(names, ", "));
    if (!wanted.empty()) {
        return make_error(ErrorCode::kNotFound, fmt::format("the backup has no database '{}'", one_line(wanted)), hint);
    }
    for (const DumpedDatabase& one : databases) {
        if (one.name == target || databases.size() == 1) return one;
    }
    return make_error(ErrorCode::kUsage, fmt::format("the backup has {} databases", names.size()), hint);
}

Status check_load(int dump_major, const LoadWish& wish, const LoadTarget& target) {
    if (target.in_recovery) {
        return make_error(ErrorCode::kGuardRefused, fmt::format("the server at {} is a replica", target.address),
                          "Name the primary, or the proxy that leads to it.");
    }
    if (target.major < dump_major) {
        return make_error(ErrorCode::kGuardRefused,
                          fmt::format("the server at {} is PostgreSQL {}, older than the dump's {}", target.address,
                                      target.major, dump_major),
                          "Restore into a server of the same or a later version.");
    }
    if (wish.clean && !target.exists) {
        return make_error(ErrorCode::kUsage, fmt::format("there is no database '{}' to clean", target.database),
                          "Leave --clean out: it is made anew.");
    }
    return {};
}

std::string create_database(const DumpedDatabase& like, const std::string& name, int server_major) {
    constexpr int kProviders = 15;
    std::string sql = fmt::format("CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}",
                                  sql_name(name), sql_text(like.encoding), sql_text(like.collate), sql_text(like.ctype));
    if (server_major < kProviders) return sql;
    if (like.provider == "i") return sql + " LOCALE_PROVIDER icu ICU_LOCALE " + sql_text(like.locale);
    if (like.provider == "b") return sql + " LOCALE_PROVIDER builtin BUILTIN_LOCALE " + sql_text(like.locale);
    return sql + " LOCALE_PROVIDER libc";
}

std::vector<std::string> load_command(const std::string& program, const LoadWish& wish, bool is_new,
                                      const std::string& list) {
    // Without --exit-on-error it goes on after an error, and rows of a table that was there already are added to it.
    std::vector<std::string> argv = {program, "--format=custom", "--exit-on-error"};
    if (!is_new) argv.emplace_back("--single-transaction");
    if (wish.clean) argv.insert(argv.end(), {"--clean", "--if-exists"});
    if (wish.no_owner) argv.insert(argv.end(), {"--no-owner", "--no-privileges"});
    if (!list.empty()) argv.push_back("--use-list=" + list);
    return argv;
}

namespace {

struct Destination {
    std::string what, where;
};

Destination destination(const LoadWish& wish, const std::string& database, const LoadTarget& target) {
    const std::string of = fmt::format("the database '{}'", one_line(database));
    return {wish.is_whole() ? of : fmt::format("{} of {}", one_line(join(wish.tables, ", ") + join(wish.schemas, ", ")), of),
            fmt::format("the {}database '{}' at {}", target.exists ? "" : "new ", one_line(target.database), target.address)};
}

bool is_live(const LoadTarget& target, const std::string& system_identifier) {
    return target.exists && target.system_identifier == system_identifier;
}

Json target_json(const LoadTarget& target, const std::string& system_identifier) {
    return Json{{"address", target.address}, {"database", target.database}, {"exists", target.exists},
                {"relations", target.relations}, {"is_live", is_live(target, system_identifier)},
                {"leftover", target.leftover.empty() ? Json(nullptr) : Json(target.leftover)}};
}

// What is dropped, and what a person agrees to where there is a database.
void add_caution(engine::RestorePlan& plan, const LoadWish& wish, const LoadTarget& target, const Destination& to,
                 const std::string& system_identifier) {
    if (!target.leftover.empty()) plan.lines.push_back(fmt::format("'{}', which an interrupted restore left, is dropped first", one_line(target.leftover)));
    if (!target.exists) return;
    plan.lines.push_back(fmt::format("the database is there and has {} tables, views and sequences{}; all of it goes in "
                                     "by one transaction, or nothing",
                                     target.relations, is_live(target, system_identifier) ? "; its cluster is the one that the backup is of" : ""));
    plan.lines.emplace_back(wish.clean ? "what has the same names is dropped first"
                                       : "what is there is left alone: one equal name ends it");
    plan.approval = fmt::format("restore {} into {}", to.what, to.where);
}

}  // namespace

std::string left_out_line(const std::string& entry) {
    return "left out, because it needs more than this: " + one_line(entry);
}

engine::RestorePlan describe_scratch_load(engine::RestorePlan restore, const LoadWish& wish, const LoadTarget& target) {
    const std::string system = find_string(restore.document, "system_identifier").value_or("");
    const Destination to = destination(wish, wish.database.empty() ? target.database : wish.database, target);
    restore.lines.push_back(fmt::format("then {}, dumped from that server, into {}", to.what, to.where));
    add_caution(restore, wish, target, to, system);
    restore.document["target"] = target_json(target, system);
    restore.document["schemas"] = wish.schemas;
    restore.document["tables"] = wish.tables;
    restore.document["clean"] = wish.clean;
    return restore;
}

engine::RestorePlan describe_load(const repository::Backup& backup, const LogicalDetails& details,
                                  const DumpedDatabase& database, const LoadWish& wish, const LoadTarget& target,
                                  const ArchiveChoice& choice) {
    engine::RestorePlan plan;
    plan.backup = backup;
    plan.lines = {fmt::format("backup {} of '{}', dumped from '{}' (PostgreSQL {}), begun {}", backup.id, backup.name,
                              backup.node, backup.server_version, format_time(backup.started_at))};
    const Destination to = destination(wish, database.name, target);
    plan.lines.push_back(fmt::format("{} into {}", to.what, to.where));
    if (!wish.is_whole()) plan.lines.push_back(fmt::format("{} entries of the dump", choice.ids.size()));
    for (const std::string& one : choice.left_out) {
        plan.lines.push_back(left_out_line(one));
    }
    add_caution(plan, wish, target, to, details.system_identifier);
    plan.document = Json{{"backup", backup.id},
                         {"name", backup.name},
                         {"database", database.name},
                         {"target", target_json(target, details.system_identifier)},
                         {"schemas", wish.schemas},
                         {"tables", wish.tables},
                         {"clean", wish.clean},
                         {"entries", wish.is_whole() ? Json(nullptr) : Json(choice.ids.size())},
                         {"left_out", choice.left_out},
                         {"recovery_point", format_time(backup.started_at)}};
    return plan;
}

}  // namespace aeterna::postgres
