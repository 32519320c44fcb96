// The repository's commands from the command line: a directory goes in and comes out, and each exit code is the
// contract's.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "app/cli/command_line.h"
#include "base/json.h"

namespace aeterna::app {
namespace {

namespace fs = std::filesystem;

class RepositoryCommands : public ::testing::Test {
  protected:
    RepositoryCommands() {
        std::string pattern = "/var/tmp/aeterna-test-XXXXXX";
        root_ = ::mkdtemp(pattern.data());
        ::setenv("STATE_DIRECTORY", (root_ + "/state").c_str(), 1);
        write("from/conf/a", "port = 1\n");
        write("from/b", std::string(100000, 'b'));
    }
    ~RepositoryCommands() override {
        ::unsetenv("STATE_DIRECTORY");
        fs::remove_all(root_);
    }

    void write(const std::string& name, const std::string& content) {
        fs::create_directories(fs::path(root_ + "/" + name).parent_path());
        std::ofstream(root_ + "/" + name) << content;
    }
    std::string read(const std::string& name) {
        std::ifstream stream(root_ + "/" + name);
        return {std::istreambuf_iterator<char>(stream), {}};
    }
    // Runs with --repo, --key-file and --json; the document is in document_.
    int run(std::vector<std::string> arguments, const std::string& key = "key") {
        arguments.insert(arguments.end(), {"--repo", root_ + "/repo", "--key-file", root_ + "/" + key, "--json", "--quiet"});
        ::testing::internal::CaptureStdout();
        ::testing::internal::CaptureStderr();
        const int code = run_command_line(arguments);
        const std::string output = ::testing::internal::GetCapturedStdout();
        errors_ = ::testing::internal::GetCapturedStderr();
        const auto parsed = parse_json(output, "stdout");
        EXPECT_TRUE(parsed) << output;
        document_ = parsed ? *parsed : Json::object();
        return code;
    }
    int back_up() { return run({"backup", "files", "--from", root_ + "/from", "--name", "conf"}); }

    std::string root_, errors_;
    Json document_;
};

TEST_F(RepositoryCommands, ADirectoryGoesInAndComesOut) {
    ASSERT_EQ(run({"repo", "init"}), 0) << errors_;
    EXPECT_EQ(fs::status(root_ + "/key").permissions(), fs::perms::owner_read | fs::perms::owner_write);
    ASSERT_EQ(back_up(), 0) << errors_;
    const std::string id = document_["backup"]["id"];
    ASSERT_EQ(run({"backups", "list"}), 0);
    ASSERT_EQ(document_["backups"].size(), 1U);
    const Json& listed = document_["backups"][0];
    for (const char* key : {"id", "kind", "store", "name", "started_at", "bytes", "stored_bytes", "parent"}) {
        EXPECT_TRUE(listed.contains(key)) << key;
    }
    EXPECT_EQ(listed["bytes"], 100009);
    ASSERT_EQ(run({"backups", "show", "latest", "--path", "conf/a"}), 0);
    EXPECT_EQ(document_["backup"]["nodes"][0]["bytes"], 9);
    ASSERT_EQ(run({"backups", "show", id.substr(0, 12), "--files"}), 0);
    EXPECT_EQ(document_["backup"]["nodes"].size(), 4U);
    ASSERT_EQ(run({"restore", "files", id, "--into", root_ + "/out"}), 0) << errors_;
    EXPECT_EQ(read("out/conf/a"), "port = 1\n");
    EXPECT_EQ(read("out/b"), read("from/b"));
    EXPECT_EQ(run({"restore", "files", id, "--into", root_ + "/out"}), 5) << "not empty";
    ASSERT_EQ(run({"repo", "check", "--read-data"}), 0);
    EXPECT_EQ(document_["check"]["packs_read"], document_["check"]["packs"]);
    ASSERT_EQ(run({"repo", "check"}), 0);
    EXPECT_EQ(document_["check"]["packs_read"], 0);
    EXPECT_EQ(run({"repo", "check", "--read-data=0%"}), 2);
    ASSERT_EQ(run({"repo", "stats"}), 0);
    EXPECT_EQ(document_["stats"]["backups"], 1);
}

TEST_F(RepositoryCommands, KeysLetInAndShutOut) {
    ASSERT_EQ(run({"repo", "init"}), 0);
    write("passphrase", "open sesame\n");
    ASSERT_EQ(run({"repo", "key", "add", "--new-key-file", root_ + "/passphrase", "--label", "ops"}), 0) << errors_;
    ASSERT_EQ(document_["keys"].size(), 2U);
    EXPECT_EQ(run({"backups", "list"}, "passphrase"), 0) << errors_;
    ASSERT_EQ(run({"repo", "key", "list"}), 0);
    const Json keys = document_["keys"];
    for (const Json& key : keys) {
        if (key["kind"] != "passphrase") continue;
        ASSERT_EQ(run({"repo", "key", "remove", std::string(key["id"])}), 0) << errors_;
    }
    EXPECT_EQ(run({"backups", "list"}, "passphrase"), 12);
}

TEST_F(RepositoryCommands, EveryMistakeHasItsExitCode) {
    write("other", "another passphrase\n");
    EXPECT_EQ(run({"backups", "list"}, "other"), 10);
    EXPECT_EQ(run({"backups", "list"}, "none"), 2) << "no such key file";
    ASSERT_EQ(run({"repo", "init"}), 0);
    EXPECT_EQ(run({"repo", "init"}), 1) << "there is one already";
    EXPECT_EQ(run({"backups", "list"}, "other"), 12);
    EXPECT_EQ(document_["error"]["code"], "wrong_key");
    EXPECT_EQ(run({"backups", "show", "nothing"}), 1);
    EXPECT_EQ(run({"backup", "files", "--from", root_ + "/nowhere", "--name", "x"}), 1);
    ASSERT_EQ(::mkfifo((root_ + "/from/pipe").c_str(), 0600), 0);
    EXPECT_EQ(back_up(), 3) << "a pipe is no file";
    write("repo/config", "{}");
    EXPECT_EQ(run({"backups", "list"}), 10) << "something else lies there";
}

}  // namespace
}  // namespace aeterna::app
