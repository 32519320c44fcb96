#include "config/section.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/fake_env.h"

namespace aeterna::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct BadDocument {
    const char* what;
    std::string text;
    const char* expected;  // part of "t.yaml:LINE: …"
};

// Without this, each failing case would print the structure's bytes.
void PrintTo(const BadDocument& document, std::ostream* out) { *out << document.what; }

class BadDocuments : public ::testing::TestWithParam<BadDocument> {};

// Reads what a small schema knows, so that every kind of wrong input meets its reader.
Status read(const std::string& text) {
    Result<Section> root = Section::parse(text, "t.yaml");
    if (!root) return root.error();
    testing::FakeFiles files;
    static_cast<void>(root->required_text("name"));
    static_cast<void>(root->integer("count", 1, 0, 10));
    static_cast<void>(root->boolean("flag", false));
    static_cast<void>(root->duration("wait", Duration::zero()));
    static_cast<void>(root->word("mode", "a", {"a", "b"}));
    static_cast<void>(root->texts("words"));
    static_cast<void>(root->endpoint("listen"));
    static_cast<void>(root->secret("password", files));
    Section nested = root->section("nested");
    static_cast<void>(nested.text("inner", ""));
    for (Section& item : root->list("items")) static_cast<void>(item.required_text("id"));
    return root->finish();
}

TEST_P(BadDocuments, GiveOneLineWithFileAndLine) {
    const Status status = read(GetParam().text);
    ASSERT_FALSE(status) << GetParam().text;
    EXPECT_EQ(status.error().code, ErrorCode::kConfiguration);
    EXPECT_THAT(status.error().message, HasSubstr(GetParam().expected));
    EXPECT_EQ(status.error().message.find('\n'), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(
    Section, BadDocuments,
    ::testing::Values(
        BadDocument{"unknown key", "name: x\nfoo: 1\n", "t.yaml:2: unknown key 'foo'"},
        BadDocument{"unknown nested key", "name: x\nnested:\n  inner: a\n  outer: b\n", "t.yaml:4: unknown key 'outer'"},
        BadDocument{"unknown section", "name: x\nextra:\n  a: {b: 1}\n", "t.yaml:2: unknown key 'extra'"},
        BadDocument{"unknown key in a list", "name: x\nitems:\n  - id: a\n  - {id: b, z: 1}\n", "t.yaml:4: unknown key 'z'"},
        BadDocument{"duplicate key", "name: x\ncount: 1\ncount: 2\n", "t.yaml:3: duplicate key 'count'; the first is in line 2"},
        BadDocument{"duplicate nested key", "name: x\nnested: {inner: a, inner: b}\n", "t.yaml:2: duplicate key 'inner'"},
        BadDocument{"quoted duplicate", "name: x\n\"name\": y\n", "t.yaml:2: duplicate key 'name'"},
        BadDocument{"missing key", "count: 1\n", "t.yaml:1: missing key 'name'"},
        BadDocument{"missing in an item", "name: x\nitems:\n  - {}\n", "missing key 'id'"},
        BadDocument{"no value", "name:\n", "t.yaml:1: key 'name' has no value"},
        BadDocument{"tilde", "name: ~\n", "key 'name' has no value"},
        BadDocument{"word as number", "name: x\ncount: many\n", "t.yaml:2: 'count' must be a whole number from 0 to 10"},
        BadDocument{"quoted number", "name: x\ncount: \"3\"\n", "'count' must be a whole number"},
        BadDocument{"number too large", "name: x\ncount: 11\n", "'count' must be a whole number from 0 to 10, not '11'"},
        BadDocument{"fraction", "name: x\ncount: 1.5\n", "'count' must be a whole number"},
        BadDocument{"yes is no boolean", "name: x\nflag: yes\n", "t.yaml:2: 'flag' must be true or false, not 'yes'"},
        BadDocument{"duration without unit", "name: x\nwait: 5\n", "t.yaml:2: 'wait': '5' is not a duration"},
        BadDocument{"unknown word", "name: x\nmode: c\n", "'mode' must be one of a, b, not 'c'"},
        BadDocument{"text for list", "name: x\nwords: one\n", "'words' must be a list, not a plain value"},
        BadDocument{"mapping in texts", "name: x\nwords: [a, {b: c}]\n", "'words' must be a list of plain values"},
        BadDocument{"mapping for text", "name: {a: b}\n", "'name' must be a plain value, not a mapping"},
        BadDocument{"list for mapping", "name: x\nnested: [a]\n", "'nested' must be a mapping, not a list"},
        BadDocument{"texts in mappings", "name: x\nitems: [a]\n", "'items' must be a list of mappings"},
        BadDocument{"bad endpoint", "name: x\nlisten: here\n", "t.yaml:2: 'listen': "},
        BadDocument{"literal secret", "name: x\npassword: hunter2\n", "t.yaml:2: 'password' does not belong into the stack file"},
        BadDocument{"missing secret file", "name: x\npassword_file: none\n", "t.yaml:2: cannot read 'none'"},
        BadDocument{"unset variable", "name: x\npassword_environment: NONE\n", "environment variable 'NONE' is not set"},
        BadDocument{"alias", "name: &a x\nmode: *a\n", "anchors are not allowed"},
        BadDocument{"tag", "name: !!binary eA==\n", "tag 'tag:yaml.org,2002:binary' is not allowed"},
        BadDocument{"two documents", "name: x\n---\nname: y\n", "more than one YAML document"},
        BadDocument{"complex key", "name: x\n? {a: b}\n: c\n", "a key is not plain text"},
        BadDocument{"not YAML", "name: [x\n", "not YAML"},
        BadDocument{"a list", "- name\n", "t.yaml:1: expected a mapping, found a list"},
        BadDocument{"empty", "", "t.yaml:1: the file is empty"},
        BadDocument{"NUL", "name: \"a\\0b\"\n", "a value contains a NUL character"},
        BadDocument{"too large", std::string((1 << 20) + 1, '#'), "larger than 1 MiB"},
        BadDocument{"too deep", "name: " + std::string(5000, '['), "t.yaml:1: "}));

TEST(Section, NamesNoSecretInItsError) {
    EXPECT_EQ(read("name: x\npassword: hunter2\n").error().to_string().find("hunter2"), std::string::npos);
}

TEST(Section, TellsTheKnownKeysOfAnUnknownOne) {
    EXPECT_THAT(read("name: x\nnested: {iner: a}\n").error().hint, HasSubstr("inner"));
}

TEST(Section, ReportsTheFirstErrorOnly) {
    EXPECT_THAT(read("name: x\nmode: c\ncount: z\nfoo: 1\n").error().message, HasSubstr("t.yaml:3: 'count'"));
}

TEST(Section, ReadsValuesInFileOrder) {
    testing::FakeFiles files;
    files.content["/etc/s/pw"] = "secret\n";
    const std::string text =
        "count: 3\nflag: true\nwait: 90s\nwords: [b, a]\nlisten: '[::1]:80'\npassword_file: pw\nnumber_name: 17\n"
        "empty: \"\"\nchildren:\n  z: {v: 1}\n  a: {v: 2}\n";
    Result<Section> root = Section::parse(text, "/etc/s/stack.yaml");
    ASSERT_TRUE(root) << root.error().message;
    EXPECT_EQ(root->integer("count", 0, 0, 9), 3);
    EXPECT_TRUE(root->boolean("flag", false));
    EXPECT_EQ(root->duration("wait", {}), std::chrono::seconds(90));
    EXPECT_THAT(root->texts("words"), ElementsAre("b", "a"));
    EXPECT_EQ(root->required_endpoint("listen"), (env::Endpoint{"::1", 80}));
    EXPECT_EQ(root->secret("password", files).reveal(), "secret");
    EXPECT_EQ(root->required_text("number_name"), "17");
    EXPECT_EQ(root->text("empty", "x"), "");
    EXPECT_EQ(root->text("absent", "x"), "x");
    auto children = root->children("children");
    ASSERT_EQ(children.size(), 2u);
    EXPECT_EQ(children[0].first, "z");
    EXPECT_EQ(children[1].second.integer("v", 0, 0, 9), 2);
    EXPECT_EQ(children[1].second.location(), "/etc/s/stack.yaml:11");
    EXPECT_EQ(children[0].second.integer("v", 0, 0, 9), 1);
    const Status finished = children[0].second.finish();
    EXPECT_TRUE(finished) << finished.error().message;
}

TEST(Section, FinishExceptLeavesOnePartToOthers) {
    Result<Section> root = Section::parse("stores:\n  a: {own: 1}\nbad: 2\n", "t.yaml");
    ASSERT_TRUE(root);
    static_cast<void>(root->children("stores"));
    EXPECT_THAT(root->finish_except("stores").error().message, HasSubstr("t.yaml:3: unknown key 'bad'"));
}

}  // namespace
}  // namespace aeterna::config
