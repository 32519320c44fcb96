// Wrong command lines: exit 2, one clear line and what to do, nothing on stdout but the JSON that was asked for.
#include "app/cli/command_line.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace aeterna::app {
namespace {

struct Outcome {
    int code = 0;
    std::string output;
    std::string errors;
};

Outcome run(const std::vector<std::string>& arguments) {
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    Outcome outcome;
    outcome.code = run_command_line(arguments);
    outcome.output = testing::internal::GetCapturedStdout();
    outcome.errors = testing::internal::GetCapturedStderr();
    return outcome;
}

TEST(CommandLine, MistakesAreExplained) {
    struct Row {
        std::vector<std::string> arguments;
        std::string what;
    };
    const Row rows[] = {
        {{}, "a command is missing"},
        {{"foo"}, "unknown command 'foo'"},
        {{"--json-lines", "status"}, "'--json-lines' is not understood by 'status'"},
        {{"status", "--bad"}, "'--bad' is not understood by 'status'"},
        {{"status", "extra"}, "'extra' is not understood by 'status'"},
        {{"runbook"}, "'runbook' needs to be told what to do"},
        {{"failover"}, "STORE is required"},
        {{"status", "--timeout", "5"}, "'5' is not a duration"},
        {{"status", "--timeout", ""}, "--timeout: it is given, but empty"},
        {{"--stack", "", "fence", "redis-1", "--yes"}, "--stack: it is given, but empty"},
        {{"drill", "run", "q1", "--seed", "-1"}, "--seed '-1' is no seed"},
        {{"drill", "run", "q1", "--seed", "99999999999999999999999"}, "--seed '99999999999999999999999' is no seed"},
        {{"status", "--timeout", "0s"}, "--timeout '0s' leaves no time"},
        {{"status", "--log-format", "xml"}, "--log-format: xml not in {text,json}"},
        {{"status", "--watch", "--json"}, "--watch and --json do not go together"},
        {{"status", "--stack", "/does/not/exist.yaml"}, "no stack file '/does/not/exist.yaml'"},
    };
    for (const Row& row : rows) {
        const Outcome outcome = run(row.arguments);
        EXPECT_EQ(outcome.code, 2) << row.what;
        EXPECT_EQ(outcome.errors.rfind("aeterna-dr: " + row.what, 0), 0U) << outcome.errors;
        EXPECT_NE(outcome.errors.find("\n  hint: "), std::string::npos) << outcome.errors;
        EXPECT_EQ(std::count(outcome.errors.begin(), outcome.errors.end(), '\n'), 2) << outcome.errors;
    }
}

TEST(CommandLine, JsonMistakesAreOneDocument) {
    for (const auto& arguments :
         {std::vector<std::string>{"foo", "--json"}, {"--json", "status", "--stack", "/does/not/exist.yaml"}}) {
        const Outcome outcome = run(arguments);
        EXPECT_EQ(outcome.code, 2);
        const auto document = parse_json(outcome.output, "stdout");
        ASSERT_TRUE(document) << outcome.output;
        EXPECT_EQ((*document)["schema_version"], 1);
        EXPECT_TRUE((*document)["error"]["message"].is_string());
    }
}

TEST(CommandLine, HelpAndVersionSucceed) {
    const Outcome version = run({"--version"});
    EXPECT_EQ(version.code, 0);
    EXPECT_EQ(version.output.rfind("aeterna-dr ", 0), 0U);
    const Outcome help = run({"--help"});
    EXPECT_EQ(help.code, 0);
    for (const char* command : {"lab", "status", "serve", "failover", "switchover", "execution", "runbook", "incident",
                                "config", "drill", "fence", "unfence", "maintenance"}) {
        EXPECT_NE(help.output.find(std::string("\n  ") + command + " "), std::string::npos) << command;
    }
    EXPECT_EQ(help.output.find("stand-in"), std::string::npos) << "hidden commands stay hidden";
}

}  // namespace
}  // namespace aeterna::app
