// JSON from strangers: wrong documents are errors, missing or mistyped members are nothing, and nothing throws.
#include "base/json.h"

#include <gtest/gtest.h>

namespace aeterna {
namespace {

Json document(const char* text) {
    auto parsed = parse_json(text, "the test");
    EXPECT_TRUE(parsed) << text;
    return parsed ? *parsed : Json();
}

TEST(ParseJson, RefusesWhatIsNotOneDocument) {
    for (const char* text : {"", " ", "{", "{]", "{} {}", "{\"a\":}", "nul", "'a'", "[1,]", "\"\xff\"", "01"}) {
        const auto parsed = parse_json(text, "etcd");
        ASSERT_FALSE(parsed) << text;
        EXPECT_EQ(parsed.error().code, ErrorCode::kProtocol);
        EXPECT_EQ(parsed.error().message, "etcd sent what is not JSON");
    }
}

TEST(ParseJson, RefusesWhatIsNestedTooDeep) {
    const auto nested = [](std::size_t depth) {
        return std::string(depth, '[') + std::string(depth, ']');
    };
    EXPECT_TRUE(parse_json(nested(64), "qdrant"));
    EXPECT_TRUE(parse_json("[" + nested(63) + "," + nested(63) + "]", "qdrant"))
        << "depth, not number";
    for (const std::string& text : {nested(65), nested(100'000), std::string(100'000, '['),
                                    "{\"\\\"\":" + nested(64) + "}"}) {
        const auto parsed = parse_json(text, "qdrant");
        ASSERT_FALSE(parsed) << text.size();
        EXPECT_EQ(parsed.error().code, ErrorCode::kProtocol);
        EXPECT_EQ(parsed.error().message, "qdrant sent JSON nested too deep");
    }
    const std::string braces(1000, '{');
    for (const std::string& text : {braces, "\\\"" + braces, braces + "\\\\"}) {
        EXPECT_TRUE(parse_json("\"" + text + "\"", "qdrant")) << "a string's braces nest nothing";
    }
}

TEST(FindMember, IsNothingForMissingNullAndNonObjects) {
    const Json object = document(R"({"a": 1, "none": null, "list": [1]})");
    ASSERT_NE(find_member(object, "a"), nullptr);
    EXPECT_EQ(*find_member(object, "a"), 1);
    EXPECT_EQ(find_member(object, "b"), nullptr);
    EXPECT_EQ(find_member(object, "none"), nullptr);
    for (const char* text : {"[1]", "1", "null", "\"a\"", "true"}) {
        EXPECT_EQ(find_member(document(text), "a"), nullptr) << text;
    }
}

TEST(FindTyped, TakesNoOtherType) {
    const Json object = document(R"({"text": "7", "integer": 7, "real": 7.5, "whole": 7.0, "yes": true, "list": []})");
    EXPECT_EQ(find_string(object, "text"), "7");
    EXPECT_EQ(find_integer(object, "integer"), 7);
    EXPECT_EQ(find_number(object, "integer"), 7.0);
    EXPECT_EQ(find_number(object, "real"), 7.5);
    EXPECT_EQ(find_boolean(object, "yes"), true);
    for (const char* key : {"integer", "real", "yes", "list", "missing"}) EXPECT_FALSE(find_string(object, key)) << key;
    for (const char* key : {"text", "real", "whole", "yes", "list", "missing"}) {
        EXPECT_FALSE(find_integer(object, key)) << key;
    }
    for (const char* key : {"text", "yes", "list", "missing"}) EXPECT_FALSE(find_number(object, key)) << key;
    for (const char* key : {"text", "integer", "list", "missing"}) EXPECT_FALSE(find_boolean(object, key)) << key;
}

TEST(FindStrings, LeavesOutWhatIsNoText) {
    const Json object =
        document(R"({"list": ["b", 1, null, "a", ["c"]], "empty": [], "text": "a", "object": {"a": "b"}})");
    EXPECT_EQ(find_strings(object, "list"), (std::vector<std::string>{"b", "a"}));
    for (const char* key : {"empty", "text", "object", "missing"}) {
        EXPECT_TRUE(find_strings(object, key).empty()) << key;
    }
    EXPECT_TRUE(find_strings(document("[\"a\"]"), "a").empty());
}

TEST(FindInteger, RefusesWhatDoesNotFit) {
    const Json object = document(R"({"max": 9223372036854775807, "min": -9223372036854775808,
                                     "over": 9223372036854775808, "far": 18446744073709551615})");
    EXPECT_EQ(find_integer(object, "max"), INT64_MAX);
    EXPECT_EQ(find_integer(object, "min"), INT64_MIN);
    EXPECT_FALSE(find_integer(object, "over"));
    EXPECT_FALSE(find_integer(object, "far"));
}

TEST(FindIntegerOrText, TakesBothOfEtcdsForms) {
    const Json object = document(R"({"number": 12, "text": "-12", "empty": "", "words": "12a", "space": " 12",
                                     "over": "9223372036854775808", "real": 1.5})");
    EXPECT_EQ(find_integer_or_text(object, "number"), 12);
    EXPECT_EQ(find_integer_or_text(object, "text"), -12);
    for (const char* key : {"empty", "words", "space", "over", "real", "missing"}) {
        EXPECT_FALSE(find_integer_or_text(object, key)) << key;
    }
}

TEST(DumpJson, ReplacesInvalidTextInsteadOfThrowing) {
    const Json value = {{"text", "a\xff" "b"}};
    EXPECT_EQ(dump_json(value), "{\"text\":\"a\xEF\xBF\xBD" "b\"}");
    EXPECT_EQ(dump_json_pretty(Json{{"a", 1}}), "{\n  \"a\": 1\n}");
}

TEST(JsonOrNull, KeepsUnknownApartFromZero) {
    EXPECT_EQ(json_or_null(std::optional<double>(0.0)), Json(0.0));
    EXPECT_TRUE(json_or_null(std::optional<double>()).is_null());
}

}  // namespace
}  // namespace aeterna
