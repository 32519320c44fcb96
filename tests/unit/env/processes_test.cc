#include <grp.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "base/strings.h"
#include "env/posix/process_table.h"
#include "real_env.h"

namespace aeterna::env::testing {
namespace {

class ProcessesTest : public ::testing::Test {
  protected:
    ~ProcessesTest() override {
        for (const ProcessId& id : started_) (void)processes_.signal(id, SIGKILL);
    }
    Result<ProcessId> spawn(SpawnOptions options) {
        auto id = processes_.spawn(options);
        if (id) started_.push_back(*id);
        return id;
    }
    Result<RunResult> run(std::vector<std::string> argv, Duration limit = 20s) {
        RunOptions options;
        options.argv = std::move(argv);
        return processes_.run(options, within(limit));
    }

    Processes& processes_ = real().processes;
    Directory directory_;
    std::vector<ProcessId> started_;
};

TEST(ProcessTable, ACommandMayHoldSpacesAndParentheses) {
    const auto info = parse_stat("42 (a) b (c) S 7 1 2 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 98765 0 0\n");
    ASSERT_TRUE(info);
    EXPECT_EQ(info->id, (ProcessId{42, 98765}));
    EXPECT_EQ(info->parent_pid, 7);
    EXPECT_EQ(info->group, 1);
    EXPECT_EQ(info->state, 'S');
    EXPECT_EQ(info->command, "a) b (c");
    for (const char* text : {"", "42", "42 (x", "42 (x) S 7", "x (y) S 7 1 2 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 9 0"}) {
        EXPECT_FALSE(parse_stat(text)) << text;
    }
}

TEST(ProcessTable, AZombieWhoseThreadsStillRunIsNotGone) {
    // Field 20 is the number of threads: the others hold the sockets until they have ended.
    EXPECT_EQ(parse_stat("42 (x) Z 7 1 2 0 -1 4 0 0 0 0 0 0 0 0 20 0 3 0 98765 0 0")->state, 'R');
    EXPECT_EQ(parse_stat("42 (x) Z 7 1 2 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 98765 0 0")->state, 'Z');
}

TEST_F(ProcessesTest, StreamsPassThroughWithoutAPlaceInMemory) {
    RunOptions options;
    options.argv = {"sh", "-c", "cat; echo oops >&2; exit 3"};
    options.output_limit_bytes = 100;
    std::string expected, got;
    int pieces = 0;
    options.next_input = [&]() -> Result<std::string> {
        if (++pieces > 40) return std::string();
        expected += std::string(100'000, static_cast<char>('a' + pieces % 26));
        return expected.substr(expected.size() - 100'000);
    };
    options.on_output = [&](std::string_view bytes) -> Status {
        got += bytes;
        return {};
    };
    const auto result = processes_.run(options, within(20s));
    ASSERT_TRUE(result) << result.error().to_string();
    EXPECT_EQ(result->exit_status, 3);
    EXPECT_EQ(result->errors, "oops\n");
    EXPECT_EQ(result->output, "");
    EXPECT_TRUE(got == expected);
}

TEST_F(ProcessesTest, AnErrorOfAStreamEndsTheProgram) {
    RunOptions options;
    options.argv = {"sh", "-c", "echo $$; exec cat /dev/zero"};
    std::string got;
    options.on_output = [&](std::string_view bytes) -> Status {
        got += bytes.substr(0, 20);
        return got.size() < 100 ? Status() : Status(make_error(ErrorCode::kNoSpace, "no room"));
    };
    EXPECT_EQ(processes_.run(options, within(20s)).error().code, ErrorCode::kNoSpace);
    EXPECT_FALSE(processes_.inspect(std::atoi(got.c_str())));
    RunOptions feeding;
    feeding.argv = {"sh", "-c", "cat; sleep 1000"};
    feeding.next_input = []() -> Result<std::string> { return make_error(ErrorCode::kCorrupt, "bent"); };
    EXPECT_EQ(processes_.run(feeding, within(20s)).error().code, ErrorCode::kCorrupt);
}

TEST_F(ProcessesTest, AProgramThatLeavesItsInputIsNoError) {
    RunOptions options;
    options.argv = {"head", "-c", "5"};
    options.next_input = []() -> Result<std::string> { return std::string(1 << 16, 'x'); };
    const auto result = processes_.run(options, within(20s));
    ASSERT_TRUE(result) << result.error().to_string();
    EXPECT_EQ(result->output, "xxxxx");
}

TEST_F(ProcessesTest, AStreamThatNeverPausesSeesStopAndDeadline) {
    RunOptions options;
    options.argv = {"cat", "/dev/zero"};
    std::stop_source stop;
    std::size_t got = 0, ones = 0;
    options.on_output = [&](std::string_view bytes) -> Status {
        // Slower than the program: there is always something to read.
        for (int i = 0; i < 20; ++i) ones += static_cast<std::size_t>(std::count(bytes.begin(), bytes.end(), '1'));
        got += bytes.size();
        if (got > (4 << 20)) stop.request_stop();
        return got < (64 << 20) ? Status() : Status(make_error(ErrorCode::kInternal, "nobody ended it"));
    };
    Context context = within(60s);
    context.stop = stop.get_token();
    EXPECT_EQ(processes_.run(options, context).error().code, ErrorCode::kCancelled);
    got = 0;
    EXPECT_EQ(processes_.run(options, within(300ms)).error().code, ErrorCode::kDeadline);
    EXPECT_EQ(ones, 0u);
}

TEST_F(ProcessesTest, AProgramThatFallsSilentIsEnded) {
    RunOptions options;
    options.argv = {"sh", "-c", "echo begun; sleep 1000"};
    options.longest_silence = 200ms;
    EXPECT_EQ(processes_.run(options, within(60s)).error().code, ErrorCode::kTimeout);
}

TEST_F(ProcessesTest, RunGivesStatusOutputAndErrors) {
    RunOptions options;
    options.argv = {"sh", "-c", "cat; echo $WORD; echo oops >&2; exit 3"};
    options.environment = {{"WORD", "hello"}};
    options.input = std::string(300'000, 'x') + "\n";
    const auto result = processes_.run(options, within(20s));
    ASSERT_TRUE(result) << result.error().to_string();
    EXPECT_EQ(result->exit_status, 3);
    EXPECT_EQ(result->output, options.input + "hello\n");
    EXPECT_EQ(result->errors, "oops\n");
    EXPECT_EQ(run({"sh", "-c", "kill -9 $$"})->signal, SIGKILL);
}

TEST_F(ProcessesTest, RunIgnoresAProgramThatDoesNotWantItsInput) {
    RunOptions options;
    options.argv = {"true"};
    options.input = std::string(1 << 20, 'x');
    EXPECT_EQ(processes_.run(options, within(20s))->exit_status, 0);
}

TEST_F(ProcessesTest, RunKillsTheWholeGroupAtTheDeadline) {
    const std::string file = directory_.file("pid");
    const auto result = run({"sh", "-c", "sleep 1000 & echo $! > " + file + "; wait"}, 500ms);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kDeadline);
    const auto child = to_integer(trim(real().files.read(file).value()));
    ASSERT_TRUE(child);
    EXPECT_TRUE(eventually([&] { return !processes_.inspect(static_cast<int>(*child)); }));
}

TEST_F(ProcessesTest, RunLetsAProgramEndInItsOwnWayBeforeItIsKilled) {
    const std::string file = directory_.file("told");
    EXPECT_EQ(run({"sh", "-c", "trap 'echo ended > " + file + "; exit' TERM; sleep 1000 & wait"}, 500ms).error().code, ErrorCode::kDeadline);
    EXPECT_EQ(real().files.read(file).value_or(""), "ended\n");
    EXPECT_EQ(run({"sh", "-c", "trap '' TERM; while :; do sleep 1000; done"}, 500ms).error().code, ErrorCode::kDeadline);
}

// As kill -9 of us does, and as a daemon's death does not.
TEST_F(ProcessesTest, WhatRunHasStartedEndsWithUs) {
    const std::string file = directory_.file("pid");
    const pid_t us = ::fork();
    if (us == 0) {
        (void)run({"sh", "-c", "echo $$ > " + file + "; exec sleep 1000"}, 60s);
        ::_exit(0);
    }
    ASSERT_TRUE(eventually([&] { return real().files.read(file).value_or("").ends_with('\n'); }));
    const auto child = to_integer(trim(real().files.read(file).value()));
    ASSERT_TRUE(child && processes_.inspect(static_cast<int>(*child)));
    ::kill(us, SIGKILL);
    ::waitpid(us, nullptr, 0);
    EXPECT_TRUE(eventually([&] { return !processes_.inspect(static_cast<int>(*child)); }));
}

TEST_F(ProcessesTest, RunDoesNotWaitForADaemonThatHoldsThePipes) {
    const std::string file = directory_.file("pid");
    const MonoTime start = real().clock.now();
    const auto result = run({"sh", "-c", "sleep 1000 & echo $! > " + file + "; echo done"}, 60s);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->output, "done\n");
    EXPECT_LT(real().clock.now() - start, 30s);
    const auto child = static_cast<int>(to_integer(trim(real().files.read(file).value())).value());
    started_.push_back(processes_.inspect(child)->id);
}

TEST_F(ProcessesTest, RunRefusesTooMuchOutput) {
    RunOptions options;
    options.argv = {"sh", "-c", "yes"};
    options.output_limit_bytes = 1000;
    EXPECT_EQ(processes_.run(options, within(20s)).error().code, ErrorCode::kIo);
}

TEST_F(ProcessesTest, WhatCannotStartIsToldApart) {
    EXPECT_EQ(run({"no-such-program-here"}).error().code, ErrorCode::kNotFound);
    EXPECT_EQ(run({"/no/such/program"}).error().code, ErrorCode::kNotFound);
    ASSERT_TRUE(real().files.write_durable(directory_.file("text"), "x", 0644));
    EXPECT_EQ(run({directory_.file("text")}).error().code, ErrorCode::kPermission);
    SpawnOptions options;
    options.argv = {"sleep", "1"};
    options.working_directory = "/no/such/directory";
    EXPECT_EQ(spawn(options).error().code, ErrorCode::kNotFound);
    options.working_directory = "/";
    options.argv = {directory_.file("text")};
    EXPECT_EQ(spawn(options).error().code, ErrorCode::kPermission);
}

TEST_F(ProcessesTest, SpawnMakesADaemonOfItsOwn) {
    SpawnOptions options;
    options.argv = {"sh", "-c", "echo started; ls /proc/self/fd | wc -l; exec sleep 1000"};
    options.working_directory = directory_.path();
    options.log_path = directory_.file("log");
    const auto inherited = real().files.open_append(directory_.file("inherited"));
    const auto id = spawn(options);
    ASSERT_TRUE(id) << id.error().to_string();
    ASSERT_TRUE(eventually([&] { return processes_.inspect(id->pid)->command == "sleep"; }));
    const auto info = processes_.inspect(id->pid);
    EXPECT_EQ(info->id, *id);
    EXPECT_NE(info->parent_pid, processes_.own_pid());
    EXPECT_EQ(info->working_directory, std::filesystem::canonical(directory_.path()));
    EXPECT_NE(::getsid(id->pid), ::getsid(0));
    // 0, 1, 2 and the directory that ls reads.
    EXPECT_EQ(real().files.read(options.log_path).value(), "started\n4\n");
}

TEST_F(ProcessesTest, ASpawnedProcessStartsWithDefaultSignals) {
    ::signal(SIGPIPE, SIG_IGN);
    SpawnOptions options;
    options.argv = {"sleep", "1000"};
    const auto id = spawn(options);
    ASSERT_TRUE(id);
    const std::string status = real().files.read("/proc/" + std::to_string(id->pid) + "/status").value();
    EXPECT_NE(status.find("SigIgn:\t0000000000000000"), std::string::npos) << status;
    EXPECT_NE(status.find("SigBlk:\t0000000000000000"), std::string::npos) << status;
}

TEST_F(ProcessesTest, SpawnDropsPrivilegesForGood) {
    if (processes_.effective_uid() != 0) GTEST_SKIP() << "only root can become another user";
    const auto user = processes_.find_user("nobody");
    ASSERT_TRUE(user);
    SpawnOptions options;
    options.argv = {"sh", "-c", "id -u; id -G; echo $HOME $USER; exec sleep 1000"};
    options.log_path = directory_.file("log");
    options.user = *user;
    // A group of ours that must not be inherited.
    const gid_t extra = 4242;
    std::vector<gid_t> before(64);
    before.resize(static_cast<std::size_t>(::getgroups(64, before.data())));
    ASSERT_EQ(::setgroups(1, &extra), 0);
    const auto id = spawn(options);
    ASSERT_EQ(::setgroups(before.size(), before.data()), 0);
    ASSERT_TRUE(id) << id.error().to_string();
    ASSERT_TRUE(eventually([&] { return processes_.inspect(id->pid)->command == "sleep"; }));
    EXPECT_EQ(processes_.inspect(id->pid)->uid, user->owner.uid);
    const std::string gid = std::to_string(user->owner.gid);
    EXPECT_EQ(real().files.read(options.log_path).value(), std::to_string(user->owner.uid) + "\n" + gid + "\n" +
                                                               user->home + " nobody\n");
    EXPECT_EQ(real().files.owner(options.log_path)->uid, user->owner.uid);
}

TEST_F(ProcessesTest, SignalsOnlyTheVeryProcess) {
    SpawnOptions options;
    options.argv = {"sleep", "1000"};
    const auto id = spawn(options);
    ASSERT_TRUE(id);
    EXPECT_EQ(processes_.signal({id->pid, id->start_ticks + 1}, SIGKILL).error().code, ErrorCode::kNotFound);
    EXPECT_TRUE(processes_.is_alive(*id));
    EXPECT_FALSE(processes_.wait_gone(*id, within(20ms)));
    ASSERT_TRUE(processes_.signal(*id, SIGSTOP));
    EXPECT_TRUE(eventually([&] { return processes_.inspect(id->pid)->state == 'T'; }));
    ASSERT_TRUE(processes_.signal(*id, SIGKILL));
    EXPECT_TRUE(processes_.wait_gone(*id, within(10s)));
    EXPECT_FALSE(processes_.is_alive(*id));
    EXPECT_EQ(processes_.signal(*id, SIGKILL).error().code, ErrorCode::kNotFound);
}

TEST_F(ProcessesTest, SeesItselfAndItsEnvironment) {
    SpawnOptions options;
    options.argv = {"sleep", "1000"};
    options.environment = {{"AETERNA_TEST", "a b"}};
    options.inherit_environment = false;
    const auto id = spawn(options);
    // Without an inherited PATH a bare name can't be found.
    EXPECT_EQ(id.error().code, ErrorCode::kNotFound);
    options.argv = {processes_.find_program("sleep").value(), "1000"};
    const auto other = spawn(options);
    ASSERT_TRUE(other);
    EXPECT_EQ(processes_.environment_of(other->pid), std::vector<std::string>{"AETERNA_TEST=a b"});
    bool has_self = false;
    for (const ProcessInfo& info : processes_.list()) has_self = has_self || info.id.pid == processes_.own_pid();
    EXPECT_TRUE(has_self);
    EXPECT_FALSE(processes_.find_program("no-such-program-here"));
    EXPECT_NE(processes_.own_executable().find("env_test"), std::string::npos);
}

}  // namespace
}  // namespace aeterna::env::testing
