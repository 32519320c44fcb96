#include "postgres/restore/scratch_dump.h"

#include <fmt/format.h>

#include "base/strings.h"
#include "postgres/client/programs.h"

namespace aeterna::postgres {
namespace {

// $1 schemas, $2 "schema.table", a line each; both empty: everything is wanted. A partition belongs to its table.
constexpr std::string_view kRelations = R"(
WITH RECURSIVE relation AS (
    SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpersistence
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm', 'S') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
), wanted AS (
    SELECT oid FROM relation WHERE nspname = ANY (string_to_array($1, chr(10)))
                                OR nspname || '.' || relname = ANY (string_to_array($2, chr(10)))
                                OR ($1 = '' AND $2 = '')
    UNION SELECT inhrelid FROM pg_inherits JOIN wanted ON inhparent = wanted.oid
)
)";
// What is not of them, largest first: pg_dump takes so many arguments, and the rows of what is smaller than all those do
// no harm.
constexpr std::string_view kUnwanted = R"(
SELECT '"' || replace(nspname, '"', '""') || '"."' || replace(relname, '"', '""') || '"'
FROM relation WHERE relkind IN ('r', 'm') AND oid NOT IN (SELECT oid FROM wanted)
ORDER BY pg_table_size(oid) DESC LIMIT 1000)";
// Recovery empties them: their changes are in no WAL.
constexpr std::string_view kUnlogged = R"(
SELECT nspname || '.' || relname FROM relation JOIN wanted USING (oid)
WHERE relpersistence = 'u' AND relkind <> 'p' ORDER BY 1)";

ScratchWish dump_wish(const engine::RestoreOrder& order) {
    return {order, *order.scratch, engine::option_word(order.options, "superuser"),
            engine::option_words(order.options, "preload")};
}

std::string with_schema(const std::string& table) {
    return table.find('.') == std::string::npos ? "public." + table : table;
}

}  // namespace

ScratchDump::ScratchDump(const env::Env& env, env::FileSystem& files, const engine::RestoreOrder& order)
    : env_(env), room_(*order.scratch), note_(order.note), scratch_(env, files, dump_wish(order)) {}

Result<engine::RestorePlan> ScratchDump::plan(repository::Repository& repository, const env::Context& context) {
    return scratch_.plan(repository, context);
}

Result<DumpedDatabase> ScratchDump::make(repository::Repository& repository, const LoadWish& wish,
                                         const std::string& target, const env::Context& context) {
    note_("fetching the backup");
    AETERNA_TRY(scratch_.fetch(repository, context));
    AETERNA_TRY(env_.files.make_directories(folder(), 0700));
    if (room_.user) AETERNA_TRY(env_.files.change_owner(folder(), room_.user->owner));
    note_("starting a server on it");
    AETERNA_TRY(scratch_.server().start(context));
    AETERNA_ASSIGN(DumpedDatabase database, choose(wish, target, context));
    note_(fmt::format("dumping from '{}'", one_line(database.name)));
    AETERNA_TRY(dump(wish, database.name, context));
    scratch_.end();
    return database;
}

Result<DumpedDatabase> ScratchDump::choose(const LoadWish& wish, const std::string& target,
                                           const env::Context& context) {
    AETERNA_ASSIGN(const auto session, scratch_.server().connect("template1", context));
    AETERNA_ASSIGN(const env::SqlRows rows, session->query(databases_query(scratch_.major()), {}, context));
    return choose_database(read_databases(rows), wish.database, target);
}

Result<std::vector<std::string>> ScratchDump::names_of(std::string_view question, const LoadWish& wish,
                                                       env::SqlConnection& session, const env::Context& context) {
    std::vector<std::string> names, tables;
    for (const std::string& table : wish.tables) tables.push_back(with_schema(table));
    AETERNA_ASSIGN(const env::SqlRows rows, session.query(std::string(kRelations).append(question),
                                                          {join(wish.schemas, "\n"), join(tables, "\n")}, context));
    for (const auto& row : rows.rows) names.push_back(row[0].value_or(""));
    return names;
}

Status ScratchDump::judge_unlogged(const LoadWish& wish, const std::vector<std::string>& names) const {
    if (names.empty()) return {};
    if (wish.clean) {
        return make_error(ErrorCode::kGuardRefused,
                          fmt::format("unlogged, and empty out of every base backup: {}", one_line(join(names, ", "), 600)),
                          "--clean would replace their rows by nothing: name the other tables (--table), or restore a dump "
                          "(--kind logical).");
    }
    for (const std::string& name : names)
        note_(fmt::format("'{}' is unlogged: it comes without its rows, which no base backup has", one_line(name)));
    return {};
}

Status ScratchDump::dump(const LoadWish& wish, const std::string& database, const env::Context& context) {
    std::vector<std::string> words{"--format=custom", "--compress=0", "--no-sync", "--no-password", "--file=" + file()};
    if (!wish.is_whole()) words.emplace_back("--no-blobs");
    AETERNA_ASSIGN(const auto session, scratch_.server().connect(database, context));
    AETERNA_ASSIGN(const auto unlogged, names_of(kUnlogged, wish, *session, context));
    AETERNA_TRY(judge_unlogged(wish, unlogged));
    AETERNA_ASSIGN(const auto unwanted, names_of(kUnwanted, wish, *session, context));
    for (const std::string& name : unwanted) words.push_back("--exclude-table-data=" + name);
    words.push_back("--dbname=" + connection_words(scratch_.server().target(database)));
    AETERNA_ASSIGN(const env::RunResult result, scratch_.server().run("pg_dump", words, context));
    return judge_run("pg_dump", result);
}

}  // namespace aeterna::postgres
