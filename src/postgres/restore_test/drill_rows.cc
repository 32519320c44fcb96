#include "postgres/restore_test/drill_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/strings.h"
#include "postgres/restore_test/checks.h"

namespace aeterna::postgres {
namespace {

using engine::TestCheck;
using engine::TestOutcome;

constexpr std::size_t kShownIds = 5;

using RowsByDrill = std::map<std::string, std::vector<std::uint64_t>>;

Status read_rows(const ScratchServer& server, const std::string& database, RowsByDrill& rows,
                 const env::Context& context) {
    AETERNA_ASSIGN(const auto session, server.connect(database, context));
    AETERNA_ASSIGN(const env::SqlRows there,
                   session->query("SELECT to_regclass('aeterna_dr.drill_writes') IS NOT NULL", {}, context));
    if (there.first() != "t") return {};
    AETERNA_ASSIGN(const env::SqlRows found,
                   session->query("SELECT drill, id FROM aeterna_dr.drill_writes ORDER BY drill, id", {}, context));
    for (const auto& row : found.rows) {
        const auto id = row.size() > 1 && row[1] ? to_integer(*row[1]) : std::nullopt;
        if (id && row[0]) rows[*row[0]].push_back(static_cast<std::uint64_t>(*id));
    }
    return {};
}

Result<engine::LedgerContent> read_ledger(const std::string& ledgers, const std::string& drill, const env::Env& env) {
    // The name comes out of a database.
    if (ledgers.empty() || drill.find('/') != std::string::npos) return make_error(ErrorCode::kNotFound, "no ledger");
    AETERNA_ASSIGN(const std::string text, env.files.read(fmt::format("{}/{}/postgres.ledger", ledgers, drill)));
    return engine::parse_ledger(text);
}

TestCheck judge_rows(const RowsByDrill& rows, const std::string& ledgers, const env::Env& env) {
    TestCheck check{"drill rows"};
    std::vector<std::string> compared, alone;
    for (const auto& [drill, ids] : rows) {
        const auto ledger = read_ledger(ledgers, drill, env);
        if (!ledger) {
            alone.push_back(fmt::format("{} rows of drill '{}'", ids.size(), one_line(drill)));
            continue;
        }
        const auto missing = missing_writes(*ledger, ids);
        if (!missing.empty()) {
            check.outcome = TestOutcome::kFailed;
            std::vector<std::string> shown;
            for (std::size_t i = 0; i < std::min(kShownIds, missing.size()); ++i)
                shown.push_back(std::to_string(missing[i]));
            check.detail = fmt::format("{} acknowledged writes of drill '{}' are missing before one that is there: {}",
                                       missing.size(), one_line(drill), join(shown, ", "));
            return check;
        }
        compared.push_back(
            fmt::format("{} rows of drill '{}', none missing before the newest", ids.size(), one_line(drill)));
    }
    if (!compared.empty()) {
        check.outcome = TestOutcome::kPassed;
        check.detail = join(compared, "; ");
    } else if (!alone.empty()) {
        check.detail = join(alone, "; ") + ", but no ledger here to compare with";
    } else {
        check.detail = "no drill was writing when the backup was taken";
    }
    return check;
}

}  // namespace

std::vector<std::uint64_t> missing_writes(const engine::LedgerContent& ledger,
                                          const std::vector<std::uint64_t>& present) {
    const std::set<std::uint64_t> there(present.begin(), present.end());
    const auto is_acknowledged = [](const engine::LedgerEntry& entry) {
        return entry.outcome == engine::WriteOutcome::kOk && entry.done && !entry.node.empty();
    };
    std::map<std::string, MonoTime> newest;  // by node: when the last write that is there was sent
    for (const engine::LedgerEntry& entry : ledger.entries) {
        if (!is_acknowledged(entry) || !there.contains(entry.id)) continue;
        const auto [at, is_first] = newest.emplace(entry.node, entry.sent);
        at->second = std::max(at->second, entry.sent);
    }
    std::vector<std::uint64_t> missing;
    for (const engine::LedgerEntry& entry : ledger.entries) {
        if (!is_acknowledged(entry) || there.contains(entry.id)) continue;
        const auto at = newest.find(entry.node);
        if (at != newest.end() && *entry.done < at->second) missing.push_back(entry.id);
    }
    std::sort(missing.begin(), missing.end());
    return missing;
}

Result<TestCheck> check_drill_rows(const ScratchServer& server, const std::vector<std::string>& databases,
                                   const std::string& ledgers, const env::Env& env, const env::Context& context) {
    RowsByDrill rows;
    for (const std::string& database : databases) {
        const Status read = read_rows(server, database, rows, context);
        if (read) continue;
        if (ends_test(read.error())) return read.error();
        return TestCheck{
            "drill rows", engine::CheckKind::kOther, TestOutcome::kNotChecked, read.error().to_string(), {}};
    }
    return judge_rows(rows, ledgers, env);
}

}  // namespace aeterna::postgres
