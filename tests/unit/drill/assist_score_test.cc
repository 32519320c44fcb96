#include "engine/drill/assist_score.h"

#include <gtest/gtest.h>

#include "engine/drill/scorecard.h"

namespace aeterna::engine {
namespace {

const WallTime kFault = parse_time("2026-03-01T10:00:00Z").value();

TEST(AssistScore, ReadsTheFactsOfAnExecution) {
    const auto postgres = assist_score({{"assist", "acted"},
                                        {"assist_acted_at", "2026-03-01T10:00:00.900Z"},
                                        {"lease_remaining_seconds", 23.5},
                                        {"fenced", {"patroni-1", "postgres-1"}},
                                        {"salvaged", {{"files", 2}}}},
                                       kFault);
    ASSERT_TRUE(postgres);
    EXPECT_EQ(postgres->acted_at_seconds, 0.9);
    EXPECT_EQ(postgres->saved_seconds, 23.5);
    EXPECT_EQ(postgres->saved_of, "lease");
    EXPECT_EQ(postgres->fenced.size(), 2U);
    EXPECT_EQ(postgres->salvaged["files"], 2);
    const auto redis = assist_score({{"assist", "acted"}, {"down_after_remaining_seconds", 29.0}}, kFault);
    EXPECT_EQ(redis->saved_of, "down_after");
    EXPECT_FALSE(redis->acted_at_seconds);
}

TEST(AssistScore, GuessesNothing) {
    EXPECT_FALSE(assist_score(Json::object(), kFault));
    EXPECT_FALSE(assist_score(Json(), kFault));
    EXPECT_FALSE(assist_score({{"assist", 1}}, kFault));
    const auto refused = assist_score({{"assist", "refused"},
                                       {"assist_reasons", {"paused", 7}},
                                       {"assist_acted_at", "soon"},
                                       {"lease_remaining_seconds", 20}},
                                      kFault);
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->reasons, std::vector<std::string>{"paused"});
    EXPECT_FALSE(refused->acted_at_seconds);
    EXPECT_FALSE(refused->saved_seconds) << "nothing was saved by who did not act";
    EXPECT_EQ(assist_score({{"assist", "acted"}, {"lease_remaining_seconds", -0.2}}, kFault)->saved_seconds, 0);
}

TEST(AssistScore, IsPartOfTheScorecard) {
    Scorecard card;
    card.stores.resize(2);
    card.stores[0].store = "postgres";
    card.stores[0].assist = assist_score({{"assist", "acted"}, {"lease_remaining_seconds", 23.5}}, kFault);
    card.stores[1].store = "qdrant";
    const Json json = to_json(card);
    EXPECT_EQ(json["stores"]["postgres"]["assist"]["outcome"], "acted");
    EXPECT_EQ(json["stores"]["postgres"]["assist"]["saved_seconds"], 23.5);
    EXPECT_TRUE(json["stores"]["qdrant"]["assist"].is_null());
    const Json all = to_json(std::vector<Scorecard>{card, card});
    EXPECT_EQ(all["summary"]["stores"]["postgres"]["assists"]["acted"], 2);
    EXPECT_EQ(all["summary"]["stores"]["postgres"]["saved_seconds"]["n"], 2);
    EXPECT_EQ(all["summary"]["stores"]["qdrant"]["assists"], Json::object());
}

}  // namespace
}  // namespace aeterna::engine
