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
    files.content = {{"two", "a\nb\n"}, {"nul", std::string("a\0b", 3)}, {"empty", "\n"}};
    static_cast<void>(root->required_text("name"));
    if (root->has("url")) static_cast<void>(root->required_url("url"));
    if (root->has("node")) static_cast<void>(root->required_node("node"));
    static_cast<void>(root->integer("count", 1, 0, 10));
    static_cast<void>(root->boolean("flag", false));
    static_cast<void>(root->duration("wait", Duration::zero()));
    static_cast<void>(root->bytes("size", 0));
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
    EXPECT_TRUE(status.error().hint.ends_with('.') || status.error().hint.ends_with('?')) << "what to do: " << GetParam().text;
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
        BadDocument{"size without unit", "name: x\nsize: 5\n", "t.yaml:2: 'size': '5' is no size"},
        BadDocument{"size in other units", "name: x\nsize: 5GB\n", "t.yaml:2: 'size': '5GB' is no size"},
        BadDocument{"size without bound", "name: x\nsize: 99999999TiB\n", "t.yaml:2: 'size'"},
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
        BadDocument{"not YAML", "name: x\n  count: 1\n", "t.yaml:2: not YAML"},
        BadDocument{"a list", "- name\n", "t.yaml:1: expected a mapping, found a list"},
        BadDocument{"empty", "", "t.yaml:1: the file is empty"},
        BadDocument{"NUL", "name: \"a\\0b\"\n", "a value contains a NUL character"},
        BadDocument{"too large", std::string((1 << 20) + 1, '#'), "larger than 1 MiB"},
        BadDocument{"too deep", "name: " + std::string(5000, '['), "t.yaml:1: nested too deeply"},
        BadDocument{"tab", "name: x\nnested:\n\tinner: a\n", "t.yaml:3: a tab stands where only spaces may"},
        BadDocument{"open quote", "name: \"x\ncount: 1\nflag: true\n", "t.yaml:1: a text that is quoted here never ends"},
        BadDocument{"open apostrophe", "name: x\nmode: 'a\ncount: 1\n", "t.yaml:2: a text that is quoted here never ends"},
        BadDocument{"open quote at the end", "name: x\nmode: \"a\n", "t.yaml:2: a text that is quoted here never ends"},
        BadDocument{"open brace", "name: x\nnested: {inner: a\nflag: true\n", "t.yaml:2: '{' is never closed"},
        BadDocument{"open bracket", "name: x # it's [here\nwords: [a, b\n", "t.yaml:2: '[' is never closed"},
        BadDocument{"bytes that are no text", "name: x\nmode: \"\x01\xff\"\n", "t.yaml:2: "},
        BadDocument{"two secrets", "name: x\npassword_file: two\n", "t.yaml:2: 'two' holds more than one line of text"},
        BadDocument{"a secret with NUL", "name: x\npassword_file: nul\n", "'nul' holds more than one line of text"},
        BadDocument{"an empty secret", "name: x\npassword_file: empty\n", "t.yaml:2: 'empty' is empty"},
        BadDocument{"port too large", "name: x\nurl: http://h:99999\n", "t.yaml:2: 'url': 'http://h:99999' is no http(s) address"},
        BadDocument{"port zero", "name: x\nurl: http://h:0/a\n", "is no http(s) address"},
        BadDocument{"no host", "name: x\nurl: 'http://'\n", "'http://' is no http(s) address"},
        BadDocument{"no scheme", "name: x\nurl: h:80\n", "'h:80' is no http(s) address"},
        BadDocument{"no port after v6", "name: x\nurl: 'http://[::1]:'\n", "is no http(s) address"},
        BadDocument{"node with a path", "name: x\nnode: /../etc\n", "t.yaml:2: '/../etc' is no node name"},
        BadDocument{"node with a space", "name: x\nnode: a b\n", "'a b' is no node name"},
        BadDocument{"node with a dot first", "name: x\nnode: .a\n", "'.a' is no node name"}));

TEST(Section, ApostrophesWithinAPlainValueOpenNothing) {
    for (const char* text : {"name: it's\n", "name: a 'b\n", "name: x # isn't\n", "name: \"a 'b\"\n", "name: 'it''s'\n",
                             "words: ['a', \"b\"] # '\nname: \"\\\"\"\n"}) {
        const Status status = read(text);
        EXPECT_TRUE(status) << text << status.error().message;
    }
}

TEST(Section, UrlsLoseTheirFinalSlashOnly) {
    Result<Section> root = Section::parse("a: http://h\nb: 'https://[::1]:65535/p/'\nc: [http://h:1/]\n", "t.yaml");
    ASSERT_TRUE(root);
    EXPECT_EQ(root->required_url("a"), "http://h");
    EXPECT_EQ(root->required_url("b"), "https://[::1]:65535/p");
    EXPECT_THAT(root->urls("c"), ElementsAre("http://h:1"));
    const Status finished = root->finish();
    EXPECT_TRUE(finished) << finished.error().message;
}

TEST(Section, WhatIsClaimedTwiceNamesBothLines) {
    Result<Section> root = Section::parse("a: one\nb: one\n", "t.yaml");
    ASSERT_TRUE(root);
    root->claim("a", "address", root->text("a", ""));
    root->claim("b", "other kind", root->text("b", ""));
    EXPECT_TRUE(root->finish());
    root->claim("b", "address", root->text("b", ""));
    EXPECT_EQ(root->finish().error().message, "t.yaml:2: the address 'one' is used twice; first in line 1");
}

TEST(Section, AReferenceIsToANodeThatMayComeLater) {
    Result<Section> root = Section::parse("host: a\nother: b\nnode: a\n", "t.yaml");
    ASSERT_TRUE(root);
    static_cast<void>(root->required_node("host"));
    root->refer_to_node("host");
    root->claim("node", "node name", root->required_node("node"));
    static_cast<void>(root->text("other", ""));
    EXPECT_TRUE(root->finish());
    root->refer_to_node("other");
    EXPECT_EQ(root->finish().error().message, "t.yaml:2: 'b' is the name of no store's node or agent");
}

TEST(Section, WhatIsNotPrintableIsShownEscaped) {
    EXPECT_EQ(shown("caf\xc3\xa9 \xe2\x80\xa6"), "caf\xc3\xa9 \xe2\x80\xa6");
    EXPECT_EQ(shown(std::string_view("a\x1b[2J\n\xff\0z", 9)), "a\\x1b[2J\\x0a\\xff\\x00z");
    EXPECT_EQ(shown("\xc2\x9b"), "\\xc2\\x9b") << "C1 is a terminal's";
    EXPECT_LT(shown(std::string(5000, '\xff')).size(), 140U);
}

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
        "count: 3\nflag: true\nwait: 90s\nsize: 16GiB\nwords: [b, a]\nlisten: '[::1]:80'\npassword_file: pw\nnumber_name: 17\n"
        "empty: \"\"\nchildren:\n  z: {v: 1}\n  a: {v: 2}\n";
    Result<Section> root = Section::parse(text, "/etc/s/stack.yaml");
    ASSERT_TRUE(root) << root.error().message;
    EXPECT_EQ(root->integer("count", 0, 0, 9), 3);
    EXPECT_TRUE(root->boolean("flag", false));
    EXPECT_EQ(root->duration("wait", {}), std::chrono::seconds(90));
    EXPECT_EQ(root->bytes("size", 1), 16ULL << 30);
    EXPECT_EQ(root->bytes("no_size", 1), 1U);
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
    EXPECT_EQ(children[1].second.location(), "/etc/s/stack.yaml:12");
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
