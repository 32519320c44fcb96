#include "app/cli/session.h"

#include <gtest/gtest.h>

#include "../support/fake_env.h"
#include "app/cli/option_checks.h"
#include "app/cli/starter.h"

namespace aeterna::app {
namespace {

TEST(Approval, Table) {
    struct Row {
        ApprovalInput input;
        Approval expected;
    };
    const Row rows[] = {
        {{true, false, false}, Approval::kGranted},   {{false, true, false}, Approval::kGranted},
        {{true, true, true}, Approval::kGranted},     {{false, false, true}, Approval::kAsk},
        {{false, false, false}, Approval::kAwaiting},
    };
    for (const Row& row : rows) EXPECT_EQ(decide_approval(row.input), row.expected);
}

TEST(Envelope, AddsTheGlobalMembers) {
    const Json document = with_envelope(Json{{"x", 1}}, "lab", from_unix_us(0));
    EXPECT_EQ(document, (Json{{"x", 1},
                              {"schema_version", 1},
                              {"stack", "lab"},
                              {"generated_at", "1970-01-01T00:00:00.000Z"}}));
    EXPECT_EQ(with_envelope(Json{{"stack", "own"}}, "", from_unix_us(0))["stack"], "own");
}

// systemd (1), Patroni (20), the shell of a wrapper (30), us (40): those with 20 are one group.
class Family final : public aeterna::testing::FakeProcesses {
  public:
    std::optional<env::ProcessInfo> inspect(int pid) override {
        const std::map<int, int> parents = {{1, 0}, {20, 1}, {30, 20}, {40, 30}};
        if (gone == pid || !parents.contains(pid)) return std::nullopt;
        return env::ProcessInfo{{pid, 1}, parents.at(pid), 'S', 1000, "some", "/", pid == 1 ? 1 : 20};
    }
    bool is_alive(const env::ProcessId& id) override { return inspect(id.pid).has_value(); }
    int own_pid() override { return 40; }
    int gone = 0;
};

TEST(Starter, IsWhoeverStandsAboveUsInOurGroup) {
    Family processes;
    const Starter starter = Starter::find(processes);
    for (const int pid : {0, 1}) {
        processes.gone = pid;
        EXPECT_TRUE(starter.still_there()) << pid;
    }
    for (const int pid : {20, 30}) {
        processes.gone = pid;
        EXPECT_EQ(starter.still_there().error().code, ErrorCode::kCancelled) << pid;
    }
}

TEST(Errors, AreTwoLinesWhateverTheySay) {
    const Error error = make_error(ErrorCode::kServer, "a server\nsaid \x1b[2J this", "Do that.", Effect::kUnknown);
    const std::string text = error_text(error);
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2) << text;
    EXPECT_EQ(text.find('\x1b'), std::string::npos);
    EXPECT_EQ(error_text(make_error(ErrorCode::kIo, "what")), "aeterna-dr: what\n");
    const Json document = error_document(error);
    EXPECT_EQ(document["error"]["code"], "server");
    EXPECT_EQ(document["error"]["effect"], "unknown");
}

TEST(ServeUrl, AWildcardIsAskedOnLoopback) {
    config::Stack stack;
    EXPECT_EQ(serve_url(stack), "");
    stack.serve_listen = env::Endpoint{"0.0.0.0", 9464};
    EXPECT_EQ(serve_url(stack), "http://127.0.0.1:9464");
    stack.serve_listen = env::Endpoint{"::", 9464};
    EXPECT_EQ(serve_url(stack), "http://[::1]:9464");
}

TEST(Since, TimesAndAges) {
    const WallTime now = from_unix_us(1'795'440'600'000'000);
    EXPECT_EQ(*parse_since("", now, WallTime{}), WallTime{});
    EXPECT_EQ(*parse_since("2h", now, WallTime{}), now - std::chrono::hours(2));
    EXPECT_EQ(*parse_since("2026-11-23T10:00:00Z", now, WallTime{}), *parse_time("2026-11-23T10:00:00Z"));
    for (const char* wrong : {"yesterday", "2026-11-23", "5", "2026-11-23T10:00:00"}) {
        const auto result = parse_since(wrong, now, WallTime{});
        ASSERT_FALSE(result) << wrong;
        EXPECT_EQ(result.error().code, ErrorCode::kUsage);
    }
}

// Beyond 2^63-1 a seed would be shown as another one.
TEST(Seed, IsAWholeNumberWithRoomForAllRuns) {
    EXPECT_EQ(*parse_seed("", 1), std::nullopt);
    EXPECT_EQ(*parse_seed("0", 1), 0U);
    EXPECT_EQ(*parse_seed("010", 1), 10U) << "no octal";
    EXPECT_EQ(*parse_seed("9223372036854775806", 1), 9223372036854775806U);
    for (const char* wrong : {"-1", "99999999999999999999999", "9223372036854775807", "1.5", "0x10", "one", " 1"}) {
        const auto result = parse_seed(wrong, 1);
        ASSERT_FALSE(result) << wrong;
        EXPECT_EQ(result.error().code, ErrorCode::kUsage);
        EXPECT_FALSE(result.error().hint.empty());
    }
    EXPECT_FALSE(parse_seed("9223372036854775806", 2)) << "the second run's seed would not fit";
}

}  // namespace
}  // namespace aeterna::app
