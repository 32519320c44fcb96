// The table of errors: scripts rely on its names and exit codes.
#include "base/error.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "base/result.h"

namespace aeterna {
namespace {

constexpr int kLastCode = static_cast<int>(ErrorCode::kNoSpace);

TEST(ErrorCodes, HaveUniqueNamesThatComeBack) {
    std::set<std::string_view> names;
    for (int i = 0; i <= kLastCode; ++i) {
        const auto code = static_cast<ErrorCode>(i);
        EXPECT_TRUE(names.insert(code_name(code)).second) << code_name(code);
        EXPECT_EQ(code_from_name(code_name(code)), code) << code_name(code);
    }
    EXPECT_EQ(code_from_name("no such word"), ErrorCode::kInternal);
}

// 1 failed, 2 usage or configuration, 3 partial, 4 unknown outcome, 5 refused by a guard, 6 objective missed,
// 7 awaiting approval, 8 deadline passed, 10 no repository, 11 locked, 12 wrong key, 130 cancelled.
TEST(ErrorCodes, GiveTheExitCodesOfTheContract) {
    const std::map<ErrorCode, int> special = {
        {ErrorCode::kUsage, 2},          {ErrorCode::kConfiguration, 2},    {ErrorCode::kAuthentication, 2},
        {ErrorCode::kPartial, 3},        {ErrorCode::kUnknownOutcome, 4},   {ErrorCode::kGuardRefused, 5},
        {ErrorCode::kObjectiveMissed, 6}, {ErrorCode::kAwaitingApproval, 7}, {ErrorCode::kDeadline, 8},
        {ErrorCode::kTimeout, 8},        {ErrorCode::kLocked, 11},          {ErrorCode::kCancelled, 130},
        {ErrorCode::kNoRepository, 10},  {ErrorCode::kWrongKey, 12},
    };
    for (int i = 0; i <= kLastCode; ++i) {
        const auto code = static_cast<ErrorCode>(i);
        const auto found = special.find(code);
        EXPECT_EQ(exit_code(code), found == special.end() ? 1 : found->second) << code_name(code);
    }
}

TEST(Effects, ComeBackAndDoubtIsUnknown) {
    for (const Effect effect : {Effect::kNone, Effect::kPartial, Effect::kUnknown}) {
        EXPECT_EQ(effect_from_name(effect_name(effect)), effect);
    }
    EXPECT_EQ(effect_from_name("garbled"), Effect::kUnknown);
}

TEST(Errors, TellTheirCausesInOneLine) {
    const Error inner = make_error(ErrorCode::kTimeout, "no answer", "Look at the network.", Effect::kUnknown);
    const Error outer = wrap_error(wrap_error(inner, "could not promote 'redis-2'"), "failover");
    EXPECT_EQ(outer.to_string(), "failover: could not promote 'redis-2': no answer");
    EXPECT_EQ(outer.code, ErrorCode::kTimeout);
    EXPECT_EQ(outer.effect, Effect::kUnknown);
    EXPECT_EQ(outer.hint, "Look at the network.");
    EXPECT_EQ(inner.to_string(), "no answer");
}

Result<int> half(int number) {
    if (number % 2 != 0) return make_error(ErrorCode::kUsage, "odd");
    return number / 2;
}

Result<int> quarter(int number) {
    AETERNA_ASSIGN(const int once, half(number));
    AETERNA_TRY(half(once));
    return half(once);
}

TEST(Result, PassesTheFirstErrorUp) {
    EXPECT_EQ(*quarter(12), 3);
    EXPECT_EQ(quarter(5).error().message, "odd");
    EXPECT_EQ(quarter(6).error().message, "odd");
}

}  // namespace
}  // namespace aeterna
