// Post-mortems: the seed's five sections, from facts only; what no machine knows is left to people.
#include "report/post_mortem.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <set>

#include "base/strings.h"
#include "cards.h"

namespace aeterna::report {
namespace {

using test::drill_card;
using test::drill_material;
using test::faulted_store;
using test::injected;
using test::lose;
using test::watched_store;

std::vector<std::string> headings(const std::string& text) {
    std::vector<std::string> found;
    for (const std::string_view line : split(text, '\n')) {
        if (line.substr(0, 3) == "## ") found.emplace_back(line.substr(3));
    }
    return found;
}

const std::vector<std::string> kSections = {"Timeline", "Root Cause", "Resolution", "Lessons Learned", "Action Items", "Evidence"};

// Rows of the tables, without their headers.
std::vector<std::string> table_rows(const std::string& text) {
    std::vector<std::string> rows;
    for (const std::string_view line : split(text, '\n')) {
        if (line.substr(0, 2) == "| " && line.find(" what ") == std::string_view::npos &&
            line.find("| store |") == std::string_view::npos) {
            rows.emplace_back(line);
        }
    }
    return rows;
}

std::size_t count_cells(const std::string& table_row) {
    std::size_t bars = 0;
    for (std::size_t i = 0; i < table_row.size(); ++i) bars += table_row[i] == '|' && (i == 0 || table_row[i - 1] != '\\');
    return bars - 1;
}

void expect_contains(const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\nin\n" << text;
}

TEST(PostMortem, OfADrillHasTheFiveSectionsAndItsFigures) {
    auto redis = faulted_store("redis", 2.0, 30.1, 30.4, 30.6);
    lose(redis, 2, 0, 0.21);
    auto postgres = faulted_store("postgres", 3.1, 23.4, 23.6, 25.3);
    postgres.phases[1].write = 7;
    Material material = drill_material(
        drill_card({postgres, watched_store("qdrant"), redis}));
    material.events = {{injected(), "postgres", "fault.injected", "postgres-1", "kill"},
                       {injected() + 23400ms, "postgres", "primary.changed", "postgres-2", "timeline 2"}};
    engine::IncidentSummary incident;
    incident.id = "inc-1";
    incident.detector = "postgres.primary_down";
    incident.store = "postgres";
    incident.subject = "postgres-1";
    incident.summary = "nobody answers";
    incident.opened_at = injected() + 3100ms;
    incident.closed_at = injected() + 44s;
    material.incidents = {incident};
    const std::string text = post_mortem_markdown(material);
    EXPECT_EQ(headings(text), kSections);
    EXPECT_EQ(text.rfind("# Post-mortem: drill q1-20261123T101459Z-3f2a on lab\n", 0), 0U);
    expect_contains(text, "Verdict: **pass**. Began 2026-11-23T10:14:50.123Z, fault kill, assist off.");
    expect_contains(text, "| postgres | 23.60 s | 25.30 s | 300.00 s | 3.10 s | 0.00 s | 5231 | 0 | 0 | yes |");
    expect_contains(text, "| qdrant (stand-in) | 0.01 s |");
    expect_contains(text, "\nLost writes of redis (2): 1, 2\n");
    expect_contains(text, "| 10:15:00.123 | +0.00 s | postgres fault.injected: postgres-1 (kill) | [event 1](#event-1) |");
    expect_contains(text, "| 10:15:03.223 | +3.10 s | postgres.primary_down detected on postgres-1: nobody answers | "
                          "[incident inc-1](#inc-1) |");
    expect_contains(text, "postgres first_failure | [ledger](</state/drills/q1-20261123T101459Z-3f2a/postgres.ledger>), write 7 |");
    expect_contains(text, "kill of the primaries (seed 42). No other cause.");
    expect_contains(text, "- postgres: primary.changed postgres-2 timeline 2\n");
    expect_contains(text, "Written from the journal `/state/journal.db`.");
    EXPECT_EQ(text.find("postgres promoted |"), std::string::npos) << "it has a row of its own from the journal";
}

TEST(PostMortem, TimelineIsInOrderOfTime) {
    Material material = drill_material(drill_card({faulted_store("postgres", 3.1, 23.4, 23.6, 25.3)}));
    material.events = {{injected() + 23400ms, "postgres", "primary.changed", "postgres-2", ""},
                       {injected() - 500ms, "postgres", "drill.began", "q1", ""}};
    std::vector<std::string> times;
    for (const std::string& each : table_rows(post_mortem_markdown(material))) {
        if (count_cells(each) == 4) times.push_back(each.substr(2, 12));
    }
    ASSERT_EQ(times.size(), 6U);
    EXPECT_TRUE(std::is_sorted(times.begin(), times.end()));
}

TEST(PostMortem, TableCellsCannotBreakTheTable) {
    Material material = drill_material(drill_card({faulted_store("postgres", 3.1, 23.4, 23.6, 25.3)}));
    material.events = {{injected(), "postgres", "odd", "a|b", "first | second\nthird\tfourth\x1b[0m"}};
    const std::string text = post_mortem_markdown(material);
    expect_contains(text, "| postgres odd: a\\|b (first \\| second | [event 1](#event-1) |");
    for (const std::string& each : table_rows(text)) {
        const std::size_t cells = count_cells(each);
        EXPECT_TRUE(cells == 4 || cells == 10) << each;
        EXPECT_EQ(each.find_first_of("\t\x1b"), std::string::npos) << each;
    }
}

TEST(PostMortem, CutsLongListsOfLostWritesWithAPointer) {
    for (const std::uint64_t lost : {std::uint64_t{50}, std::uint64_t{51}}) {
        auto redis = faulted_store("redis", 2.0, 30.1, 30.4, 30.6);
        lose(redis, lost, 0, 0.21);
        const std::string text = post_mortem_markdown(drill_material(drill_card({redis})));
        expect_contains(text, fmt::format("Lost writes of redis ({}): 1, 2, 3", lost));
        expect_contains(text, ", 49, 50");
        EXPECT_EQ(text.find(", 51"), std::string::npos);
        EXPECT_EQ(text.find("… (all: `drill report --json`)") != std::string::npos, lost > 50);
    }
}

TEST(PostMortem, ActionItemsHaveUniqueIds) {
    auto postgres = faulted_store("postgres", 3.1, 23.4, 23.6, 29.3);
    auto redis = faulted_store("redis", 2.0, 30.1, 30.4, 35);
    lose(redis, 2, 3, 0.21);
    const std::string text = post_mortem_markdown(drill_material(drill_card({postgres, redis})));
    const std::regex item(R"(- \[ \] `([^`]+)` \(open\) \S)");
    std::set<std::string> ids;
    std::size_t count = 0;
    for (std::sregex_iterator it(text.begin(), text.end(), item), end; it != end; ++it, ++count) ids.insert((*it)[1]);
    EXPECT_EQ(count, 6U) << text;
    EXPECT_EQ(ids.size(), count);
    EXPECT_TRUE(ids.contains("q1-20261123T101459Z-3f2a-A1"));
}

TEST(PostMortem, OfAnIncidentLeavesTheCauseToPeople) {
    engine::IncidentSummary incident;
    incident.id = "inc-20261123T101503Z-0001";
    incident.detector = "redis.master_down";
    incident.store = "redis";
    incident.subject = "redis-1";
    incident.severity = "critical";
    incident.state = "closed";
    incident.summary = "no vantage\nreaches it";
    incident.reasons = {"redis-2: link down", "sentinel-1: odown\nsecond line"};
    incident.opened_at = injected();
    incident.closed_at = injected() + 30s;
    Material material;
    material.stack = "prod";
    material.subject = incident;
    material.incidents = {incident};
    material.journal_file = "/state/journal.db";
    engine::ExecutionRecord execution;
    execution.id = "exec-1";
    execution.runbook = "failover";
    execution.store = "redis";
    execution.trigger = "incident:inc-20261123T101503Z-0001";
    execution.state = engine::ExecutionState::kSucceeded;
    execution.started_at = injected() + 1s;
    execution.summary = "redis-2 is master";
    engine::StepRecord step;
    step.execution_id = "exec-1";
    step.index = 2;
    step.step = "redis.promote";
    step.phase = "verify";
    step.outcome = "done";
    step.at = injected() + 2s;
    material.executions = {{execution, {step}}};
    const std::string text = post_mortem_markdown(material);
    EXPECT_EQ(headings(text), kSections);
    EXPECT_EQ(text.rfind("# Post-mortem: incident inc-20261123T101503Z-0001 on prod\n", 0), 0U);
    expect_contains(text, "redis.master_down: no vantage. closed since 2026-11-23T10:15:00.123Z.");
    expect_contains(text, "Not known to the watcher; to be written by a person.");
    expect_contains(text, "- sentinel-1: odown\n");
    EXPECT_GT(text.find("second line"), text.find("## Evidence")) << "one line each where people read";
    expect_contains(text, "- `exec-1`: runbook redis failover, succeeded: redis-2 is master\n");
    expect_contains(text, "  - redis.promote done (verify)\n");
    expect_contains(text, "[execution exec-1, record 1](#exec-1-1) |");
    expect_contains(text, "RTO and RPO are unknown");
    expect_contains(text, "- [ ] `inc-20261123T101503Z-0001-A1` (open)");
    EXPECT_EQ(text.find("Verdict"), std::string::npos);
}

TEST(PostMortem, EveryRowLinksToItsEvidenceWordByWord) {
    Material material = drill_material(drill_card({faulted_store("postgres", 3.1, 23.4, 23.6, 25.3)}));
    material.events = {{injected(), "postgres", "fault.injected", "postgres-1", "kill `9`\nand | more"}};
    engine::IncidentSummary incident;
    incident.id = "inc-1";
    incident.detector = "postgres.primary_down";
    incident.subject = "postgres-1";
    incident.summary = "nobody answers";
    incident.reasons = {"SQL: refused", "REST: refused"};
    incident.opened_at = injected() + 3100ms;
    incident.closed_at = injected() + 44s;
    material.incidents = {incident};
    engine::ExecutionRecord execution;
    execution.id = "exec-1";
    execution.runbook = "failover";
    execution.store = "postgres";
    execution.started_at = injected() + 4s;
    execution.ended_at = injected() + 40s;
    const auto record = [](const char* phase, const char* outcome, const std::string& detail) {
        return engine::StepRecord{"exec-1", 2, "postgres.fence", phase, outcome, Effect::kNone, injected() + 5s, detail};
    };
    material.executions = {{execution,
                            {record("check", "started", "fence it"),
                             record("check", "skipped", "not needed: only if the primary is proven lost")}}};
    const std::string text = post_mortem_markdown(material);
    std::size_t rows = 0;
    for (const std::string& row : table_rows(text)) {
        if (count_cells(row) != 4) continue;
        ++rows;
        std::smatch target;
        ASSERT_TRUE(std::regex_search(row, target, std::regex(R"(\[[^\]]+\]\((#([^)]+)|</[^>]+>)\))"))) << row;
        if (target[2].matched) expect_contains(text, "<a id=\"" + target[2].str() + "\"></a>");
    }
    EXPECT_EQ(rows, 10U);
    expect_contains(text, "<a id=\"event-1\"></a>event 1 at 2026-11-23T10:15:00.123Z: postgres ` \"fault.injected\" ` ` "
                          "\"postgres-1\" ` `` \"kill `9`\\nand | more\" ``\n");
    expect_contains(text, "(`aeterna-dr incident show inc-1`)\n  - ` \"SQL: refused\" `\n");
    expect_contains(text, "(`aeterna-dr execution show exec-1`)");
    expect_contains(text, "  - postgres.fence skipped: not needed: only if the primary is proven lost\n");
}

struct LessonCase {
    const char* title;
    engine::StoreScore score;
    const char* fault;
    std::vector<std::string> texts;    // one part of each lesson, in order
    std::vector<std::string> actions;  // one part of each action
};

engine::StoreScore with_loss(engine::StoreScore score, std::uint64_t before, std::uint64_t after) {
    lose(score, before, after, 4.5);
    return score;
}

engine::StoreScore with_phase(engine::StoreScore score, const std::string& name, double at) {
    std::erase_if(score.phases, [&](const engine::Phase& phase) { return phase.name == name; });
    score.phases.push_back({name, score.store, at});
    return score;
}

engine::StoreScore undetected(engine::StoreScore score) {
    score.detect_seconds.reset();
    std::erase_if(score.phases, [](const engine::Phase& phase) { return phase.name == "detected"; });
    return score;
}

engine::StoreScore assisted(engine::StoreScore score, const Json& facts) {
    score.injected_at = injected();
    score.assist = engine::assist_score(facts, injected());
    return score;
}

const Json kActed = {{"assist", "acted"},
                     {"assist_acted_at", "2026-11-23T10:15:01.023Z"},  // 0.9 s after the fault
                     {"lease_remaining_seconds", 23.1},
                     {"salvaged",
                      {{"directory", "/state/salvage/exec-1"}, {"files", 2}, {"bytes", 16777300}, {"lost_writes", 3},
                       {"summary", "WAL of timeline 1 after 0/3000060"}}}};

TEST(PostMortem, SaysWhatTheAssistDidAndSaved) {
    Material material = drill_material(drill_card({assisted(faulted_store("postgres", 0.5, 1.4, 1.6, 3.2), kActed)}));
    engine::ExecutionRecord execution;
    execution.id = "exec-1";
    execution.runbook = "failover";
    execution.store = "postgres";
    execution.trigger = "incident:inc-1";
    execution.state = engine::ExecutionState::kSucceeded;
    execution.started_at = injected() + 600ms;
    execution.facts = kActed;
    material.executions = {{execution, {}}};
    const std::string text = post_mortem_markdown(material);
    expect_contains(text, "  - the assist acted 900 ms after the fault: 23.1 s of the leader's lease were left, which "
                          "nobody had to wait for\n");
    expect_contains(text, "  - salvaged what only the old primary had: 2 files, 16777300 bytes, in "
                          "/state/salvage/exec-1 (WAL of timeline 1 after 0/3000060); 3 writes are only there\n");
    EXPECT_EQ(text.find("lower Patroni's ttl"), std::string::npos) << "nobody waited for it";
}

TEST(LessonsOf, TheAssistTakesThePlaceOfTheWait) {
    struct Row {
        const char* title;
        Json facts;
        double promoted;
        std::vector<std::string> texts;
        std::vector<std::string> actions;
    };
    const Row rows[] = {
        {"acted", {{"assist", "acted"}, {"down_after_remaining_seconds", 29.2}}, 1.2,
         {"1.3 s without writes = 500 ms detection + ", "the assist acted: 29.2 s of Sentinel's down-after were left"},
         {"", ""}},
        {"acted, slow promotion", {{"assist", "acted"}, {"assist_acted_at", "2026-11-23T10:15:01.123Z"}}, 6,
         {"redis: 6.1 s without writes = 500 ms detection + 500 ms proof and fence + 5.0 s promotion after the assist + "
          "100 ms to the first write + 0 s until writes stayed unbroken.",
          "the assist acted 1.0 s after the fault.", "after the assist had acted, the promotion took 5.0 s more"},
         {"", "", "find out what the candidate waited for"}},
        {"refused", {{"assist", "refused"}, {"assist_reasons", {"the cluster is paused", "no quorum"}}}, 30,
         {"30.1 s without writes = 500 ms detection + 29.5 s wait for a promotion",
          "the assist refused: the cluster is paused; no quorum.",
          "29.5 s of the 30.1 s without writes passed between our detection (500 ms after the fault) and the promotion: "
          "Sentinel's down-after-milliseconds"},
         {"", "remove the reason of the refusal", ""}},
        {"only proposed", {{"assist", "proposed"}, {"assist_reasons", {"its port refuses", "no process"}}}, 30,
         {"30.1 s without writes = ", "the assist proposed to act, and nobody said yes: its port refuses; no process.",
          "down-after-milliseconds had to pass"},
         {"", "say yes to a proposal (`aeterna-dr failover redis`)", ""}},
        {"approved", {{"assist", "acted"}, {"assist_approved_by", "ada"}, {"down_after_remaining_seconds", 20}}, 10,
         {"10.1 s without writes = ", "the assist acted, approved by ada: 20.0 s of Sentinel's down-after were left"},
         {"", ""}},
        {"not needed", {{"assist", "not_needed"}}, 1.2, {"1.3 s without writes = ", "the assist was not needed"}, {"", ""}},
        {"not needed, but waited for", {{"assist", "not_needed"}}, 9,
         {"8.5 s wait for a promotion", "the assist was not needed", "down-after-milliseconds had to pass"},
         {"", "", "or lower down-after"}},
        {"still fenced", {{"assist", "acted"}, {"fenced", {"redis-1"}}}, 1.2,
         {"1.3 s without writes = ", "the assist acted.", "still held fenced by it: redis-1."}, {"", "", "aeterna-dr unfence"}},
        {"off", {{"assist", "off"}}, 30, {"30.1 s without writes = ", "down-after-milliseconds had to pass"},
         {"", "(assist: act), or lower down-after"}},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(row.title);
        const auto score = assisted(faulted_store("redis", 0.5, row.promoted, row.promoted + 0.1, row.promoted + 0.2), row.facts);
        const std::vector<Lesson> lessons = lessons_of(to_json(drill_card({score})));
        ASSERT_EQ(lessons.size(), row.texts.size()) << (lessons.empty() ? "" : lessons[0].text);
        for (std::size_t i = 0; i < lessons.size(); ++i) {
            expect_contains(lessons[i].text, row.texts[i]);
            if (row.actions[i].empty()) EXPECT_EQ(lessons[i].action, "");
            else expect_contains(lessons[i].action, row.actions[i]);
        }
    }
}

TEST(LessonsOf, SayWhereEverySecondWent) {
    const std::pair<engine::StoreScore, const char*> cases[] = {
        {faulted_store("postgres", 3.1, 23.4, 23.6, 25.3),
         "postgres: 23.6 s without writes = 3.1 s detection + 20.3 s wait for a promotion + 200 ms to the first write + 0 s "
         "until writes stayed unbroken."},
        {with_phase(faulted_store("redis", 1, 2, 10, 10), "first_success", 3),
         "redis: 10.0 s without writes = 1.0 s detection + 1.0 s wait for a promotion + 1.0 s to the first write + 7.0 s "
         "until writes stayed unbroken."},
        // Promoted before it was called critical: the detection cost nothing.
        {faulted_store("redis", 4, 2, 2.5, 2.5),
         "redis: 2.5 s without writes = 2.0 s wait for a promotion + 500 ms to the first write + 0 s until writes stayed "
         "unbroken."},
        {undetected(faulted_store("redis", 1, 30, 30.1, 30.2)),
         "redis: 30.1 s without writes = 30.0 s wait for a promotion + 100 ms to the first write + 0 s until writes stayed "
         "unbroken."},
    };
    for (const auto& [score, text] : cases) {
        const std::vector<Lesson> lessons = lessons_of(to_json(drill_card({score})));
        ASSERT_FALSE(lessons.empty());
        EXPECT_EQ(lessons.front().text, text);
        EXPECT_EQ(lessons.front().action, "");
    }
}

TEST(LessonsOf, NameTheLongestWaitAndWhatToDo) {
    const LessonCase cases[] = {
        {"nothing stood out", faulted_store("postgres", 1, 2, 2.1, 2.2), "kill", {}, {}},
        {"slow detection", faulted_store("postgres", 6, 7, 7.2, 7.3), "kill", {"the detection alone took 6.0 s"},
         {"which vantage spoke late"}},
        {"slow first write", faulted_store("postgres", 1, 2, 10, 10), "kill",
         {"8.0 s passed between the promotion and the first write"}, {"what refused writes"}},
        {"broken again", with_phase(faulted_store("redis", 1, 2, 10, 10), "first_success", 3), "kill",
         {"after the first write, 7.0 s more passed until writes stayed unbroken"}, {"failed in between"}},
        {"watched only", watched_store("qdrant"), "kill", {}, {}},
        {"postgres kill", faulted_store("postgres", 3, 23, 23.5, 23.6), "kill",
         {"20.0 s of the 23.5 s without writes passed between our detection (3.0 s after the fault) and the promotion: "
          "Patroni's leader lease (ttl) had to expire"},
         {"lower Patroni's ttl"}},
        {"postgres pause", faulted_store("postgres", 3, 23, 23.5, 23.6), "pause",
         {"the paused primary held Patroni's leader lease"}, {"arm a watchdog"}},
        {"redis kill", faulted_store("redis", 2, 30, 30.4, 30.5), "kill", {"down-after-milliseconds had to pass"},
         {"lower down-after-milliseconds"}},
        {"another store", faulted_store("mongodb", 2, 30, 30.4, 30.5), "kill", {"the store waited before it acted"},
         {"which time-out"}},
        {"slow clients", faulted_store("postgres", 1, 2, 2.5, 8.5), "kill",
         {"clients waited 6.0 s longer than the nodes needed (8.5 s against 2.5 s)"}, {"HAProxy"}},
        {"lost before", with_loss(faulted_store("postgres", 1, 2, 2.1, 2.2), 7, 0), "kill",
         {"7 writes were acknowledged before the fault and are lost"}, {"synchronous_mode"}},
        {"lost after", with_loss(faulted_store("redis", 1, 2, 2.1, 2.2), 0, 3000), "pause",
         {"3000 writes were acknowledged after the fault and are lost, over 4.5 s"}, {"min-replicas-to-write"}},
        {"lost both", with_loss(faulted_store("redis", 1, 2, 2.1, 2.2), 1, 2), "kill",
         {"1 writes were acknowledged before", "2 writes were acknowledged after"}, {"WAIT", "min-replicas"}},
        {"not detected", undetected(faulted_store("redis", 1, 30, 30.1, 30.2)), "kill",
         {"30.0 s of the 30.1 s without writes passed before the promotion: Sentinel's down-after",
          "the watcher did not report the fault as critical"},
         {"lower down-after-milliseconds", "find out why detection failed"}},
    };
    for (const LessonCase& each : cases) {
        SCOPED_TRACE(each.title);
        std::vector<Lesson> lessons = lessons_of(to_json(drill_card({each.score}, each.fault)));
        // What each part cost comes first; it is another test's business.
        if (each.score.faulted) lessons.erase(lessons.begin());
        ASSERT_EQ(lessons.size(), each.texts.size()) << (lessons.empty() ? "" : lessons[0].text);
        for (std::size_t i = 0; i < lessons.size(); ++i) {
            expect_contains(lessons[i].text, each.texts[i]);
            expect_contains(lessons[i].action, each.actions[i]);
            EXPECT_EQ(lessons[i].text.rfind(each.score.store + ": ", 0), 0U);
            EXPECT_EQ(lessons[i].action.rfind(each.score.store + ": ", 0), 0U);
        }
    }
    EXPECT_TRUE(lessons_of(Json()).empty());
    EXPECT_TRUE(lessons_of(Json::array()).empty());
}

}  // namespace
}  // namespace aeterna::report
