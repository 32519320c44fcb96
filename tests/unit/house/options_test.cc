// The stack file's options are said in three places: the readers, the table behind `config explain`, and
// docs/stack-file.md. What one knows, all must know.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>

namespace {

namespace fs = std::filesystem;
using Keys = std::set<std::string>;

const fs::path kRoot = AETERNA_SOURCE_DIR;

std::string text_of(const char* file) {
    std::ifstream stream(kRoot / file);
    std::stringstream text;
    text << stream.rdbuf();
    EXPECT_FALSE(text.str().empty()) << file;
    return text.str();
}

// Every key that a reader of config/section.h is asked for, in one file.
Keys keys_read(const char* file) {
    static const std::regex kReader(
        R"re((?:[.>](?:required_)?(text|word|integer|boolean|bytes|duration|endpoint|texts|path|url|urls|node|secret|section|list|children)\(|read_nodes\(\w+, )"(\w+)")re");
    const std::string text = text_of(file);
    Keys keys;
    for (std::sregex_iterator it(text.begin(), text.end(), kReader), end; it != end; ++it) {
        keys.insert((*it)[1] == "secret" ? (*it)[2].str() + "_file" : (*it)[2].str());
    }
    return keys;
}

// "stores.redis.nodes[].name" gives nodes and name, of the rows that begin with `prefix`.
Keys keys_explained(const std::string& prefix, bool is_common) {
    static const std::regex kRow(R"re(\{"([\w.*\[\]]+)", )re");
    const std::string text = text_of("src/app/cli/config_text.cc");
    Keys keys;
    for (std::sregex_iterator it(text.begin(), text.end(), kRow), end; it != end; ++it) {
        std::string path = (*it)[1];
        const bool is_stores_own = path.starts_with("stores.") && !path.starts_with("stores.*.");
        if (is_common ? is_stores_own : !path.starts_with(prefix)) continue;
        std::stringstream parts(path.substr(is_common ? 0 : prefix.size()));
        for (std::string part; std::getline(parts, part, '.');) {
            if (part != "*") keys.insert(part.substr(0, part.find('[')));
        }
    }
    return keys;
}

void expect_same(const char* reader, const Keys& read, const Keys& explained) {
    const std::string document = text_of("docs/stack-file.md");
    EXPECT_GT(read.size(), 4U) << reader;
    for (const std::string& key : read) {
        EXPECT_TRUE(explained.contains(key)) << reader << " reads '" << key << "', `config explain` does not tell it";
        EXPECT_TRUE(std::regex_search(document, std::regex("\\b" + key + "\\b"))) << "docs/stack-file.md lacks " << key;
    }
    for (const std::string& key : explained) {
        EXPECT_TRUE(read.contains(key)) << "`config explain` tells '" << key << "', " << reader << " does not read it";
    }
}

TEST(Options, TheCommonPartIsExplainedAsItIsRead) {
    expect_same("config/stack.cc", keys_read("src/config/stack.cc"), keys_explained("", true));
}

TEST(Options, EachStoresPartIsExplainedAsItIsRead) {
    for (const std::string store : {"postgres", "redis", "qdrant"}) {
        const std::string reader = "src/" + store + "/settings.cc";
        expect_same(reader.c_str(), keys_read(reader.c_str()), keys_explained("stores." + store + ".", false));
    }
}

}  // namespace
