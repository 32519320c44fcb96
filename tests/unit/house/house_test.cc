// The house stands as docs/architecture.md says: every #include goes downwards, stores do not know each other, and only
// env/posix touches the outside world. The table below is the same as the document's.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

const fs::path kSource = fs::path(AETERNA_SOURCE_DIR) / "src";

// Room → rooms that it may include, besides itself.
const std::map<std::string, std::set<std::string>> kMayInclude = [] {
    std::map<std::string, std::set<std::string>> table;
    const std::set<std::string> ports = {"base", "env"};
    const std::set<std::string> clients = {"base", "env", "config"};
    const std::set<std::string> engine = {"base", "env", "config", "hosts", "services", "repository"};
    std::set<std::string> store = engine;
    store.insert("engine");
    std::set<std::string> stack = store;
    for (const char* name : {"postgres", "redis", "qdrant"}) stack.insert(name);
    std::set<std::string> above = stack;
    above.insert("stack");
    std::set<std::string> app = above;
    app.insert({"report", "lab"});
    table["base"] = {};
    table["env"] = {"base"};
    table["config"] = table["repository"] = ports;
    table["hosts"] = table["services"] = clients;
    table["engine"] = engine;
    for (const char* name : {"postgres", "redis", "qdrant"}) table[name] = store;
    table["stack"] = stack;
    table["report"] = table["lab"] = above;
    table["app"] = app;
    return table;
}();

struct File {
    std::string room;
    std::string path;  // below src/
    std::string text;
};

std::vector<File> source_files() {
    std::vector<File> files;
    for (const auto& entry : fs::recursive_directory_iterator(kSource)) {
        const std::string extension = entry.path().extension();
        if (extension != ".h" && extension != ".cc") continue;
        const std::string path = fs::relative(entry.path(), kSource);
        std::ifstream stream(entry.path());
        std::stringstream text;
        text << stream.rdbuf();
        files.push_back({path.substr(0, path.find('/')), path, text.str()});
    }
    return files;
}

std::vector<std::string> quoted_includes(const std::string& text) {
    static const std::regex kInclude(R"re((?:^|\n)#include "([^"]+)")re");
    std::vector<std::string> found;
    for (std::sregex_iterator it(text.begin(), text.end(), kInclude), end; it != end; ++it) {
        found.push_back((*it)[1]);
    }
    return found;
}

TEST(House, EveryIncludeGoesDownwards) {
    const std::vector<File> files = source_files();
    ASSERT_GT(files.size(), 50U) << "the sources were not found";
    for (const File& file : files) {
        const auto rules = kMayInclude.find(file.room);
        ASSERT_NE(rules, kMayInclude.end()) << file.path << " is in a room that the table does not know";
        for (const std::string& include : quoted_includes(file.text)) {
            const std::string room = include.substr(0, include.find('/'));
            const bool allowed = room == file.room || rules->second.count(room) > 0;
            EXPECT_TRUE(allowed) << file.path << " includes \"" << include << '"';
        }
    }
}

TEST(House, OnlyTheRegistryNamesTheStores) {
    for (const File& file : source_files()) {
        // The lab builds one cluster of each store, so it has to know them.
        if (file.path == "app/registry.cc" || file.room == "lab") continue;
        if (file.room == "postgres" || file.room == "redis" || file.room == "qdrant") continue;
        for (const std::string& include : quoted_includes(file.text)) {
            const std::string room = include.substr(0, include.find('/'));
            EXPECT_FALSE(room == "postgres" || room == "redis" || room == "qdrant")
                << file.path << " includes \"" << include << '"';
        }
    }
}

std::string without_comments(const std::string& text) {
    std::istringstream lines(text);
    std::string code;
    for (std::string line; std::getline(lines, line);) code += line.substr(0, line.find("//")) + '\n';
    return code;
}

// What only the adapters may touch: env/posix, the command line's terminal, the journal's SQLite.
TEST(House, OnlyTheAdaptersTouchTheOutsideWorld) {
    const std::regex forbidden(
        R"(std::thread|std::jthread|std::condition_variable|std::this_thread|steady_clock::now|system_clock::now|)"
        R"(std::filesystem|std::ifstream|std::ofstream|\bgetenv\(|::fork\(|\bsocket\(|<sys/socket\.h>|<thread>|<fstream>)");
    for (const File& file : source_files()) {
        if (file.path.rfind("env/posix/", 0) == 0 || file.path.rfind("app/cli/terminal.", 0) == 0) continue;
        if (file.path == "engine/runbook/sqlite_schema.cc") continue;
        const std::string code = without_comments(file.text);
        std::smatch match;
        EXPECT_FALSE(std::regex_search(code, match, forbidden)) << file.path << " uses " << match.str();
    }
}

TEST(House, OurCodeThrowsNothing) {
    const std::regex forbidden(R"((^|[^_\w])throw[ ;])");
    for (const File& file : source_files()) {
        const std::string code = without_comments(file.text);
        std::smatch match;
        EXPECT_FALSE(std::regex_search(code, match, forbidden)) << file.path << ": " << match.str();
    }
}

}  // namespace
