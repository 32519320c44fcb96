// The scorecard on a terminal: never wider than 80 columns, and every figure is there.
#include "report/scorecard_text.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/strings.h"
#include "cards.h"

namespace aeterna::report {
namespace {

using test::drill_card;
using test::faulted_store;
using test::lose;
using test::watched_store;

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    for (const std::string_view line : split(text, '\n')) lines.emplace_back(line);
    return lines;
}

void expect_narrow(const std::string& text) {
    for (const std::string& line : lines_of(text)) {
        EXPECT_LE(line.size(), 80U) << line;
        EXPECT_TRUE(line.empty() || line.back() != ' ') << "'" << line << "'";
    }
}

// The words of the first line below `heading` that begins with `name`.
std::vector<std::string> row(const std::string& text, const std::string& heading, const std::string& name) {
    bool is_below = false;
    for (const std::string& line : lines_of(text)) {
        is_below = is_below || line.rfind(heading, 0) == 0;
        if (!is_below || line.rfind(name + " ", 0) != 0) continue;
        std::vector<std::string> cells;
        std::string cell;
        const std::string_view rest = std::string_view(line).substr(name.size());
        for (const std::string_view word : split(rest, ' ')) {
            // Two spaces part the cells, one parts the words of a cell.
            if (word.empty() && !cell.empty()) cells.push_back(std::exchange(cell, ""));
            if (!word.empty()) cell += (cell.empty() ? "" : " ") + std::string(word);
        }
        if (!cell.empty()) cells.push_back(cell);
        return cells;
    }
    return {};
}

using Cells = std::vector<std::string>;

TEST(ScorecardText, ShowsARealisticDrill) {
    auto redis = faulted_store("redis", 2.0, 30.1, 30.4, 30.6);
    lose(redis, 7, 5, 0.21);
    redis.loss->unknown = 4;
    redis.loss->unknown_present = 1;
    auto card = drill_card({faulted_store("postgres", 3.1, 23.4, 23.6, 25.3), watched_store("qdrant"), redis});
    card.post_mortem = "/var/tmp/aeterna-dr-1000/lab/state/post-mortems/q1-20261123T101459Z-3f2a.md";
    const std::string text = scorecard_text(to_json(card), "lab", false);
    expect_narrow(text);
    EXPECT_EQ(text.rfind("PASS  drill q1: primary failover by kill\n", 0), 0U) << text;
    EXPECT_EQ(row(text, "NO WRITES FOR", "postgres"), (Cells{"23.6 s", "25.3 s", "5 min", "3.1 s"}));
    EXPECT_EQ(row(text, "NO WRITES FOR", "qdrant STAND-IN"), (Cells{"12 ms", "15 ms", "10 min", "no fault"}));
    EXPECT_EQ(row(text, "NO WRITES FOR", "overall"), (Cells{"30.6 s", "15 min"}));
    EXPECT_EQ(row(text, "WRITES LOST", "postgres"), (Cells{"5231", "0", "0", "0 s", "5 min", "met"}));
    EXPECT_EQ(row(text, "WRITES LOST", "redis"), (Cells{"5231", "12", "4", "210 ms", "5 min", "met"}));
    EXPECT_EQ(row(text, "SECONDS AFTER FAULT", "promoted"), (Cells{"23.40", "30.10"}));
    EXPECT_EQ(row(text, "SECONDS AFTER FAULT", "redundancy restored"), (Cells{"44.20", "44.20"}));
    for (const char* part : {"stack     lab\n", "run       q1-20261123T101459Z-3f2a\n", "2026-11-23T10:14:50.123Z",
                             "seed      42, assist off\n", "postgres  kill of postgres-1; postgres-2 is primary now\n",
                             "of 12 lost writes 7 were acknowledged before the fault, 5 after it\n",
                             "of 4 writes without an answer the store has 1\n",
                             "qdrant    STAND-IN: not the real server",
                             "\npost-mortem:\n/var/tmp/aeterna-dr-1000/lab/state/post-mortems/"}) {
        EXPECT_NE(text.find(part), std::string::npos) << part << "\nin\n" << text;
    }
}

TEST(ScorecardText, SaysUnknownWhereNothingWasMeasured) {
    auto broken = faulted_store("postgres", 3, 23, 23, 25);
    broken.rto_seconds.reset();
    broken.client_rto_seconds.reset();
    broken.detect_seconds.reset();
    broken.loss.reset();
    broken.new_primary.clear();
    broken.notes = {"could not read back: could not connect to 'postgres-2' at 127.0.0.2:5432: connection refused, "
                    "tried for two minutes"};
    auto card = drill_card({broken});
    card.healed = false;
    const std::string text = scorecard_text(to_json(card), "lab", false);
    expect_narrow(text);
    EXPECT_EQ(text.rfind("UNKNOWN  drill", 0), 0U);
    EXPECT_EQ(row(text, "NO WRITES FOR", "postgres"), (Cells{"unknown", "unknown", "5 min", "unknown"}));
    EXPECT_EQ(row(text, "WRITES LOST", "postgres"),
              (Cells{"unknown", "unknown", "unknown", "unknown", "5 min", "UNKNOWN"}));
    EXPECT_NE(text.find("who is primary now is unknown"), std::string::npos);
    EXPECT_NE(text.find("tried for two minutes"), std::string::npos) << "the end of a note must not be cut";
    EXPECT_NE(text.find("`aeterna-dr drill heal`"), std::string::npos);
}

TEST(ScorecardText, StaysNarrowForExtremeFigures) {
    auto score = faulted_store("postgres", 3599.4, 86399, 86399, 8639999);
    score.server = "stand-in";
    score.objectives = {23h + 59min, 59min + 59s};
    lose(score, 0, 0, 3599);
    score.loss->acknowledged = 999'999'999'999;
    score.loss->unknown = 99'999'999;
    score.missed_slots = 18'000'000'000;
    std::vector<engine::StoreScore> stores = {score};
    for (int i = 1; i <= 8; ++i) stores.push_back(faulted_store(fmt::format("store-with-name-{}", i), 1, 2, 3, 4));
    auto card = drill_card(std::move(stores), "pause");
    card.seed = 9'223'372'036'854'775'807U;
    Json json = to_json(card);
    json["stores"]["postgres"]["lost"] = 99'999'999;
    json["stores"]["postgres"]["lost_before_fault"] = 99'999'998;
    json["stores"]["postgres"]["lost_after_fault"] = 1;
    const std::string text = scorecard_text(json, std::string(60, 's'), false);
    expect_narrow(text);
    EXPECT_EQ(row(text, "NO WRITES FOR", "postgres STAND-IN").size(), 0U) << "too long for its column: own line";
    EXPECT_NE(text.find("\npostgres STAND-IN\n"), std::string::npos);
    for (const char* figure : {"999999999999", "99999999", "99999998", "18000000000", "23 h 59 min", "59 min 59 s",
                               "8639999", "9223372036854775807", "MISSED", "99 d 23 h"}) {
        // The phases are plain seconds, 5 s after the clients' figure.
        const std::string wanted = figure == std::string("8639999") ? "8640004.00" : figure;
        EXPECT_NE(text.find(wanted), std::string::npos) << wanted << "\nin\n" << text;
    }
    for (int i = 1; i <= 8; ++i) {
        const std::string name = fmt::format("store-with-name-{}", i);
        std::size_t count = 0;
        for (std::size_t at = 0; (at = text.find(name, at)) != std::string::npos; ++at) ++count;
        EXPECT_GE(count, 4U) << name << " is missing in one of the tables";
    }
}

TEST(ScorecardText, SaysWhatTheAssistDid) {
    auto score = faulted_store("postgres", 0.5, 1.4, 1.6, 3.2);
    score.assist = engine::assist_score({{"assist", "acted"},
                                         {"assist_acted_at", "2026-11-23T10:15:01.023Z"},
                                         {"lease_remaining_seconds", 23.1}},
                                        test::injected());
    auto refused = faulted_store("redis", 0.5, 30.1, 30.4, 30.6);
    refused.assist = engine::assist_score({{"assist", "refused"}, {"assist_reasons", {"no quorum"}}}, test::injected());
    auto card = drill_card({score, refused});
    card.assist = "act";
    const std::string one = scorecard_text(to_json(card), "lab", false);
    expect_narrow(one);
    EXPECT_NE(one.find("seed      42, assist act\n"), std::string::npos) << one;
    EXPECT_NE(one.find("the assist acted 900 ms after the fault"), std::string::npos) << one;
    EXPECT_NE(one.find("the assist refused: no quorum\n"), std::string::npos) << one;
    const std::string all = scorecard_text(engine::to_json(std::vector<engine::Scorecard>(3, card)), "lab", false);
    expect_narrow(all);
    EXPECT_EQ(row(all, "ALL RUNS", "                wait saved"), (Cells{"3", "23.1 s", "23.1 s", "0"})) << all;
    EXPECT_NE(all.find("assist      acted in 3 runs\n"), std::string::npos) << all;
    EXPECT_NE(all.find("assist      refused in 3 runs\n"), std::string::npos) << all;
}

TEST(ScorecardText, SummarisesRepeats) {
    std::vector<engine::Scorecard> cards;
    for (int i = 0; i < 60; ++i) {
        auto score = faulted_store("postgres", 3, 20 + i, 20 + i, 21 + i);
        if (i == 7) lose(score, 3, 0, 0.5);
        if (i == 8) score.detect_seconds.reset();
        cards.push_back(drill_card({score}));
    }
    const std::string text = scorecard_text(engine::to_json(cards), "lab", false);
    expect_narrow(text);
    EXPECT_NE(text.find("60 of 60 runs passed: at least 95.1 % of such drills do (95 % confidence)."),
              std::string::npos) << text;
    EXPECT_NE(text.find("those of the worst run"), std::string::npos);
    EXPECT_EQ(row(text, "ALL RUNS", "postgres        nodes"), (Cells{"60", "49.5 s", "1 min 19 s", "0"})) << text;
    EXPECT_EQ(row(text, "ALL RUNS", "                detected"), (Cells{"59", "3.0 s", "3.0 s", "1"})) << text;
    EXPECT_NE(text.find("lost writes 3 in all, at most 3 in one run"), std::string::npos) << text;
}

// 58 passes of 58 prove 94.97 %, which must not be shown as 95.
TEST(ScorecardText, RoundsAProvenRateDown) {
    const std::vector<engine::Scorecard> cards(58, drill_card({faulted_store("postgres", 3, 20, 20, 21)}));
    EXPECT_NE(scorecard_text(engine::to_json(cards), "lab", false).find("at least 94.9 %"), std::string::npos);
}

TEST(ScorecardText, ColoursOnlyWhenAsked) {
    const Json json = to_json(drill_card({faulted_store("postgres", 3, 400, 400, 401)}));
    const std::string plain = scorecard_text(json, "lab", false);
    EXPECT_EQ(plain.find('\x1b'), std::string::npos);
    std::string coloured = scorecard_text(json, "lab", true);
    EXPECT_EQ(coloured.rfind("\x1b[1;31mFAIL\x1b[0m", 0), 0U);
    for (const char* code : {"\x1b[1;31m", "\x1b[1;32m", "\x1b[0m"}) {
        for (std::size_t at; (at = coloured.find(code)) != std::string::npos;) {
            coloured.erase(at, std::string_view(code).size());
        }
    }
    EXPECT_EQ(coloured, plain);
}

TEST(ScorecardText, SurvivesAnEmptyDocument) {
    const std::string text = scorecard_text(Json::object(), "lab", false);
    expect_narrow(text);
    EXPECT_EQ(text.rfind("UNKNOWN", 0), 0U);
}

}  // namespace
}  // namespace aeterna::report
