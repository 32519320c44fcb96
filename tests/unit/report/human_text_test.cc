// What people write stays theirs: kept word by word through every new generation of the
// post-mortem.
#include "report/human_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../engine/temp_journal.h"
#include "../support/fake_env.h"
#include "cards.h"
#include "engine/runbook/journal.h"
#include "report/post_mortem_file.h"

namespace aeterna::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(HumanText, AnUntouchedFormSaysNothing) {
    EXPECT_TRUE(parse_human_text(human_template("q1-x")).empty());
    EXPECT_TRUE(parse_human_text("").empty());
}

TEST(HumanText, IsReadBySection) {
    const auto sections = parse_human_text(
        "Seen by Ann.\n\n## Root Cause\n\nThe switch.\n\n### Which one\n\nsw-3\n## Action Items\n"
        "- [x] q1-x-A1\n\n## Our own heading\ntext\n## Lessons Learned\n\n");
    EXPECT_EQ(sections.at("Notes"), "Seen by Ann.");
    EXPECT_EQ(sections.at("Root Cause"), "The switch.\n\n### Which one\n\nsw-3");
    EXPECT_EQ(sections.at("Action Items"), "- [x] q1-x-A1\n\n## Our own heading\ntext");
    EXPECT_EQ(sections.count("Lessons Learned"), 0u);
}

TEST(HumanText, ASealNoticesEveryChange) {
    const std::string text = seal("# A\n\ntext\n", "q1-x");
    EXPECT_TRUE(is_sealed(text));
    EXPECT_FALSE(is_sealed("# A\n\ntext\n"));
    EXPECT_FALSE(is_sealed(text + "one more line\n"));
    std::string changed = text;
    changed[2] = 'B';
    EXPECT_FALSE(is_sealed(changed));
}

class PostMortemFileTest : public ::testing::Test {
  protected:
    PostMortemFileTest() {
        stack.name = "lab";
        stack.state_directory = "/state";
        const Material material = test::drill_material(
            test::drill_card({test::faulted_store("redis", 2.0, 30.1, 30.4, 30.6)}));
        id = material.drill->id;
        EXPECT_TRUE(temp.journal->put_drill(*material.drill));
    }
    [[nodiscard]] std::string written() { return fake.files.content.at(file().path()); }
    [[nodiscard]] PostMortemFile file() { return {id, stack, *temp.journal, fake.env}; }
    [[nodiscard]] std::optional<std::string> write() {
        const auto moved = file().write();
        EXPECT_TRUE(moved) << moved.error().to_string();
        return moved.value_or(std::nullopt);
    }

    config::Stack stack;
    engine::testing::TempJournal temp;
    aeterna::testing::FakeEnv fake;
    std::string id;
};

TEST_F(PostMortemFileTest, KeepsHumanTextApartAndShowsItInItsSection) {
    EXPECT_EQ(write(), std::nullopt);
    EXPECT_THAT(written(), Not(HasSubstr("By people")));
    EXPECT_EQ(temp.journal->drill(id).value()->scorecard["post_mortem"], file().path());
    const std::string words =
        "## Root Cause\nThe fuse of rack 7.\n## Action Items\n[x] " + id + "-A1\n";
    fake.files.content[file().human_path()] = words;
    EXPECT_EQ(write(), std::nullopt);
    EXPECT_EQ(write(), std::nullopt) << "our own text is not somebody's edit";
    const std::string text = written();
    EXPECT_THAT(text, HasSubstr("### By people\n\nThe fuse of rack 7.\n\n## Resolution"));
    EXPECT_THAT(text, HasSubstr("- [x] `" + id + "-A1` (done) "));
    EXPECT_EQ(fake.files.content.at(file().human_path()), words);
    EXPECT_THAT(file().show().value(), HasSubstr("The fuse of rack 7."));
}

TEST_F(PostMortemFileTest, NeverOverwritesWhatWasEditedByHand) {
    EXPECT_EQ(write(), std::nullopt);
    fake.files.content[file().path()] += "written by Ann at the end\n";
    EXPECT_THAT(file().show().value(), HasSubstr("written by Ann at the end"));
    const auto moved = write();
    ASSERT_TRUE(moved);
    EXPECT_THAT(fake.files.content.at(*moved), HasSubstr("written by Ann at the end"));
    EXPECT_TRUE(is_sealed(written()));
    fake.files.content[file().path()] = "a second time\n";
    const auto again = write();
    ASSERT_TRUE(again);
    EXPECT_NE(*again, *moved);
}

TEST_F(PostMortemFileTest, AnUnknownIdIsNotFoundAndLeavesNothing) {
    for (const std::string name : {"q1-none", "../../etc/passwd"}) {
        const PostMortemFile unknown(name, stack, *temp.journal, fake.env);
        EXPECT_EQ(unknown.show().error().code, ErrorCode::kNotFound);
        EXPECT_EQ(unknown.write().error().code, ErrorCode::kNotFound);
    }
    EXPECT_TRUE(fake.files.content.empty());
}

}  // namespace
}  // namespace aeterna::report
