#include "postgres/restore_test/checks.h"

#include <fmt/format.h>

#include "base/strings.h"

namespace aeterna::postgres {
namespace {

using engine::CheckKind;
using engine::TestCheck;
using engine::TestOutcome;

constexpr std::size_t kShownFindings = 3;

std::vector<std::string> lines_with(std::string_view text, std::string_view part) {
    std::vector<std::string> found;
    for (const std::string_view line : split(text, '\n')) {
        if (line.find(part) != std::string_view::npos) found.push_back(one_line(line));
    }
    return found;
}

std::string first_few(std::vector<std::string> lines) {
    const std::size_t more = lines.size() > kShownFindings ? lines.size() - kShownFindings : 0;
    lines.resize(lines.size() - more);
    return join(lines, "; ") + (more > 0 ? fmt::format("; and {} more", more) : "");
}

// The first line of what a program says on stderr, without its name.
std::string complaint(const env::RunResult& result) {
    if (result.signal != 0) return fmt::format("it was ended by signal {}", result.signal);
    const std::string line = one_line(trim(result.errors));
    const std::size_t error = line.find("error: ");
    return error == std::string::npos ? line : line.substr(error + 7);
}

Result<TestCheck> not_checked(TestCheck check, const Error& error) {
    if (ends_test(error)) return error;
    check.outcome = TestOutcome::kNotChecked;
    check.detail = error.to_string();
    return check;
}

TestCheck failed(TestCheck check, std::string detail) {
    check.outcome = TestOutcome::kFailed;
    check.detail = std::move(detail);
    return check;
}

TestCheck passed(TestCheck check, std::string detail) {
    check.outcome = TestOutcome::kPassed;
    check.detail = std::move(detail);
    return check;
}

// Indexes over text that were built by another libc may be out of order here: that would be this machine's fault.
// A limit of -2 marks a database that is half dropped: the server lets nobody in.
constexpr const char* kDatabases =
    "SELECT datname, datcollversion IS NOT NULL AND datcollversion IS DISTINCT FROM "
    "pg_database_collation_actual_version(oid) FROM pg_database WHERE datallowconn AND datconnlimit <> -2 ORDER BY datname";

Result<std::string> look_into(const ScratchServer& server, const std::string& database, const env::Context& context) {
    AETERNA_ASSIGN(const auto session, server.connect(database, context));
    AETERNA_ASSIGN(const env::SqlRows rows, session->query("SELECT count(*) FROM pg_class", {}, context));
    return rows.first().value_or("");
}

}  // namespace

bool ends_test(const Error& error) {
    return error.code == ErrorCode::kCancelled || error.code == ErrorCode::kDeadline ||
           error.code == ErrorCode::kTimeout;
}

Result<TestCheck> check_databases(const ScratchServer& server, std::vector<std::string>& databases,
                                  const env::Context& context) {
    TestCheck check{"databases", CheckKind::kEssential};
    const auto session = server.connect("template1", context);
    if (!session) return not_checked(check, session.error());
    const auto rows = (*session)->query(kDatabases, {}, context);
    if (!rows && ends_test(rows.error())) return rows.error();
    if (!rows) return failed(check, rows.error().to_string());
    std::vector<std::string> problems, foreign;
    for (const auto& row : rows->rows) {
        const std::string name = row[0].value_or("");
        const auto looked = look_into(server, name, context);
        if (!looked && ends_test(looked.error())) return looked.error();
        if (looked) databases.push_back(name);
        else problems.push_back(fmt::format("'{}': {}", one_line(name), looked.error().to_string()));
        if (row[1] == "t") foreign.push_back(one_line(name));
    }
    if (!problems.empty()) return failed(check, first_few(problems));
    std::string detail = fmt::format("{} can be connected to", databases.size());
    if (!foreign.empty()) detail += "; another collation version than this machine's: " + join(foreign, ", ");
    return passed(check, detail);
}

Result<TestCheck> check_structure(const ScratchServer& server, unsigned workers, const env::Context& context) {
    std::vector<std::string> words = server.connection_words();
    for (const char* word : {"--all", "--install-missing", "--heapallindexed", "--parent-check", "-j"})
        words.emplace_back(word);
    words.push_back(std::to_string(workers));
    const auto result = server.run("pg_amcheck", words, context);
    if (!result) return not_checked({"amcheck", CheckKind::kContent}, result.error());
    return read_amcheck(*result);
}

TestCheck read_amcheck(const env::RunResult& result) {
    TestCheck check{"amcheck", CheckKind::kContent};
    // 0: nothing found; 2: something is corrupt; else it could not look (pg_amcheck.c).
    if (result.exit_status == 2) {
        // "heap table "db.schema.table", block 3, offset 1:" or "btree index "db.schema.index":", then what is wrong.
        std::vector<std::string> places = lines_with(result.output, "heap table ");
        for (std::string& line : lines_with(result.output, "btree index ")) places.push_back(std::move(line));
        return failed(check, places.empty() ? one_line(trim(result.output)) : first_few(places));
    }
    if (result.exit_status == 0) {
        const auto skipped = lines_with(result.errors, "skipping database");
        return skipped.empty() ? passed(check, "tables and their B-tree indexes agree")
                               : TestCheck{check.name, check.kind, TestOutcome::kNotChecked, first_few(skipped), {}};
    }
    check.detail = complaint(result);
    return check;
}

Result<TestCheck> check_query(const ScratchServer& server, const engine::TestQuery& query,
                              const env::Context& context) {
    // Somebody has said that this is to be known.
    TestCheck check{"query " + query.name, CheckKind::kEssential};
    const auto session = server.connect(query.database.empty() ? "postgres" : query.database, context);
    if (!session) return not_checked(check, session.error());
    const auto rows = (*session)->query(query.text, {}, context);
    if (!rows && ends_test(rows.error())) return rows.error();
    if (!rows) return failed(check, rows.error().to_string());
    if (rows->rows.empty() || rows->rows.front().empty()) return failed(check, "it gives no row");
    const auto value = rows->first();
    const std::string shown = value ? "'" + one_line(*value) + "'" : "NULL";
    if (value == query.expect) return passed(check, "gives " + shown);
    return failed(check, fmt::format("gives {}, expected '{}'", shown, one_line(query.expect)));
}

Result<TestCheck> check_pages(const ScratchServer& server, const env::Context& context) {
    TestCheck check{"checksums", CheckKind::kContent};
    if (!server.control().has_checksums) {
        check.detail = "data checksums are off in this cluster";
        return check;
    }
    const auto result = server.run("pg_checksums", {"--check", "-D", "."}, context);
    if (!result) return not_checked(check, result.error());
    return read_checksums(*result);
}

TestCheck read_checksums(const env::RunResult& result) {
    TestCheck check{"checksums", CheckKind::kContent};
    const auto number = [&](std::string_view name) -> std::optional<std::int64_t> {
        for (const std::string_view line : split(result.output, '\n')) {
            if (line.starts_with(name)) return to_integer(trim(line.substr(name.size())));
        }
        return std::nullopt;
    };
    const auto blocks = number("Blocks scanned:"), bad = number("Bad checksums:");
    if (bad && *bad > 0) {
        std::vector<std::string> places;
        for (const std::string& line : lines_with(result.errors, "checksum verification failed in file")) {
            const std::size_t file = line.find(" in file ");
            places.push_back(line.substr(file + 9, line.find(':', file) - file - 9));
        }
        return failed(check, fmt::format("{} bad pages: {}", *bad, first_few(places)));
    }
    if (result.exit_status == 0 && bad && blocks) return passed(check, fmt::format("{} pages", *blocks));
    check.detail = complaint(result);
    return check;
}

}  // namespace aeterna::postgres
