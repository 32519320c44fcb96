// Published values: 59 passes of 59 bound the rate by 95 %, 299 by 99 % (one-sided, confidence 95 %).
#include "engine/drill/statistics.h"

#include <gtest/gtest.h>

#include <cmath>

namespace aeterna::engine {
namespace {

TEST(PassRate, AgreesWithTheClosedFormWhenNothingFailed) {
    for (const std::size_t runs : {1U, 3U, 10U, 59U, 299U}) {
        EXPECT_NEAR(pass_rate_lower_bound(runs, runs, 0.95), std::pow(0.05, 1.0 / static_cast<double>(runs)), 1e-6);
    }
    EXPECT_GE(pass_rate_lower_bound(59, 59, 0.95), 0.95);
    EXPECT_LT(pass_rate_lower_bound(58, 58, 0.95), 0.95);
}

TEST(PassRate, FailuresLowerIt) {
    EXPECT_NEAR(pass_rate_lower_bound(9, 10, 0.95), 0.6058, 1e-3);  // Clopper-Pearson table
    EXPECT_EQ(pass_rate_lower_bound(0, 10, 0.95), 0);
    EXPECT_EQ(pass_rate_lower_bound(0, 0, 0.95), 0);
}

TEST(Median, OfOddAndEvenCounts) {
    EXPECT_DOUBLE_EQ(median({3, 1, 2}), 2);
    EXPECT_DOUBLE_EQ(median({4, 1, 2, 3}), 2.5);
}

}  // namespace
}  // namespace aeterna::engine
