// Fences on real processes: what is fenced is dead and stays dead until it is unfenced.
#include <signal.h>

#include <functional>
#include <set>

#include "hosts/executor.h"
#include "unit/env/real_env.h"
#include "unit/support/fake_env.h"

namespace aeterna::hosts {
namespace {

using env::testing::Directory;
using env::testing::eventually;
using env::testing::real;
using env::testing::within;

class FenceTest : public ::testing::Test {
  protected:
    FenceTest() {
        host_.name = "host-1";
        host_.executor = "local";
        host_.fence_directory = directory_.file("fences");
        host_.processes = {{"agent-1", directory_.file("agent"), {"touch", started()}, true},
                           {"server-1", directory_.file("server"), {"touch", started()}, true}};
    }
    ~FenceTest() override {
        for (const env::ProcessId& id : spawned_) (void)real().processes.signal(id, SIGKILL);
    }

    std::string started() { return directory_.file("started"); }
    env::ProcessId spawn(const std::vector<std::string>& argv, const std::string& pid_file) {
        env::SpawnOptions options;
        options.argv = argv;
        options.working_directory = directory_.file("");
        const auto id = real().processes.spawn(options);
        EXPECT_TRUE(id) << id.error().to_string();
        spawned_.push_back(*id);
        if (!pid_file.empty()) write(pid_file, std::to_string(id->pid) + "\n");
        return *id;
    }
    void write(const std::string& name, const std::string& text) {
        ASSERT_TRUE(real().files.write_durable(directory_.file(name), text));
    }
    std::unique_ptr<Executor> executor() { return std::move(*make_executor(host_, real())); }
    Status fence(const std::string& holder = "exec-1") {
        return executor()->fence({{"agent-1", "server-1"}, holder, "test"}, within(10s));
    }

    Directory directory_;
    config::Host host_;
    std::vector<env::ProcessId> spawned_;
};

TEST_F(FenceTest, KillsAgentAndServerAndKeepsThemDown) {
    const auto agent = spawn({"sleep", "1000"}, "agent");
    const auto server = spawn({"sleep", "1001"}, "server");
    ASSERT_TRUE(fence());
    EXPECT_FALSE(real().processes.is_alive(agent));
    EXPECT_FALSE(real().processes.is_alive(server));
    for (const char* node : {"agent-1", "server-1"}) {
        EXPECT_EQ(executor()->start(node, within(5s)).error().code, ErrorCode::kGuardRefused);
        EXPECT_TRUE(executor()->vitals(node, within(5s))->is_gone());
    }
    EXPECT_FALSE(real().files.exists(started()));
    const auto fences = executor()->fences(within(5s));
    ASSERT_TRUE(fences);
    ASSERT_EQ(fences->size(), 2U);
    EXPECT_EQ(fences->front().holder, "exec-1");
    EXPECT_EQ(fences->front().reason, "test");
    EXPECT_TRUE(fence()) << "a fence may be repeated";
}

TEST_F(FenceTest, AnOrderThatComesTooLateKillsNothing) {
    const auto server = spawn({"sleep", "1001"}, "server");
    FenceOrder order{{"server-1"}, "exec-1", "test"};
    order.begin_before = real().clock.now();
    EXPECT_EQ(executor()->fence(order, within(10s)).error().code, ErrorCode::kDeadline);
    EXPECT_TRUE(real().processes.is_alive(server));
    EXPECT_EQ(executor()->fences(within(5s))->size(), 1U) << "the marker stays until it is lifted";
    order.begin_before = real().clock.now() + 10s;
    EXPECT_TRUE(executor()->fence(order, within(10s)));
    EXPECT_FALSE(real().processes.is_alive(server));
}

TEST_F(FenceTest, WhatWasStartedAfterTheLookIsNotKilled) {
    FenceOrder order{{"server-1"}, "exec-1", "test"};
    order.ran = executor()->remains("server-1", within(5s))->processes;
    EXPECT_TRUE(order.ran->empty());
    const auto server = spawn({"sleep", "1001"}, "server");
    const Status refused = executor()->fence(order, within(10s));
    EXPECT_EQ(refused.error().code, ErrorCode::kGuardRefused);
    EXPECT_EQ(refused.error().effect, Effect::kPartial);
    EXPECT_TRUE(real().processes.is_alive(server));
    EXPECT_EQ(executor()->fences(within(5s))->size(), 1U) << "nobody starts another one meanwhile";
    order.ran = executor()->remains("server-1", within(5s))->processes;
    EXPECT_TRUE(executor()->fence(order, within(10s)));
    EXPECT_FALSE(real().processes.is_alive(server));
}

TEST_F(FenceTest, WhereOneOfThemWasStartedAfterTheLookNoneIsKilled) {
    const auto agent = spawn({"sleep", "1000"}, "agent");
    FenceOrder order{{"agent-1", "server-1"}, "exec-1", "test"};
    order.ran = {agent};
    const auto server = spawn({"sleep", "1001"}, "server");
    EXPECT_EQ(executor()->fence(order, within(10s)).error().code, ErrorCode::kGuardRefused);
    EXPECT_TRUE(real().processes.is_alive(agent));
    EXPECT_TRUE(real().processes.is_alive(server));
}

// Of an agent (pid 50) that is stuck in the kernel, and a server (pid 60).
class StuckAgent final : public aeterna::testing::FakeProcesses {
  public:
    std::set<int> signalled;
    StuckAgent() { alive = {50, 60}; }
    Status signal(const env::ProcessId& id, int) override {
        signalled.insert(id.pid);
        if (id.pid != 50) alive.erase(id.pid);
        return {};
    }
    bool wait_gone(const env::ProcessId& id, const env::Context&) override { return !is_alive(id); }
};

TEST_F(FenceTest, AnAgentThatIsStuckInTheKernelDoesNotSpareItsServer) {
    aeterna::testing::FakeEnv fake;
    StuckAgent processes;
    const env::Env env{fake.clock,  fake.random, fake.threads,       fake.files, processes,
                       fake.dialer, fake.http,   fake.http_listener, fake.sql,   fake.log};
    fake.files.content[directory_.file("agent")] = "50\n";
    fake.files.content[directory_.file("server")] = "60\n";
    const Status fenced = (*make_executor(host_, env))->fence({{"agent-1", "server-1"}, "exec-1", "test"}, fake.clock.context(10s));
    ASSERT_FALSE(fenced);
    EXPECT_EQ(fenced.error().code, ErrorCode::kPartial);
    EXPECT_EQ(processes.signalled, (std::set<int>{50, 60}));
}

TEST_F(FenceTest, WhereTheSecondMarkerCannotBeWrittenTheFirstOneIsToldOf) {
    const auto server = spawn({"sleep", "1001"}, "server");
    ASSERT_TRUE(real().files.make_directories(directory_.file("fences"), 0755));
    write("fences/server-1", "no directory");
    const Status fenced = fence();
    ASSERT_FALSE(fenced);
    EXPECT_EQ(fenced.error().effect, Effect::kPartial);
    EXPECT_TRUE(real().processes.is_alive(server));
    host_.fence_directory = directory_.file("server");  // a file: there is none at all
    EXPECT_EQ(fence().error().effect, Effect::kNone);
}

// Its sleep is the time between the first kill and the next look.
class HookedClock final : public env::Clock {
  public:
    explicit HookedClock(std::function<void()> hook) : hook_(std::move(hook)) {}
    MonoTime now() const override { return real().clock.now(); }
    WallTime wall_now() const override { return real().clock.wall_now(); }
    bool sleep_until(MonoTime until, const std::stop_token& stop) override {
        if (hook_) std::exchange(hook_, nullptr)();
        return real().clock.sleep_until(until, stop);
    }

  private:
    std::function<void()> hook_;
};

TEST_F(FenceTest, AServerThatADyingAgentStartedGoesWithIt) {
    const env::Env& env = real();
    std::optional<env::ProcessId> server;
    HookedClock clock([&] { server = spawn({"sleep", "1001"}, "server"); });
    const env::Env hooked{clock,      env.random, env.threads,       env.files, env.processes,
                          env.dialer, env.http,   env.http_listener, env.sql,   env.log};
    const auto agent = spawn({"sleep", "1000"}, "agent");
    FenceOrder order{{"agent-1", "server-1"}, "exec-1", "test"};
    order.ran = {agent};
    const Status fenced = (*make_executor(host_, hooked))->fence(order, within(10s));
    EXPECT_TRUE(fenced) << fenced.error().to_string();
    ASSERT_TRUE(server);
    EXPECT_FALSE(real().processes.is_alive(*server));
}

// Every look takes four seconds, which is more than there are.
class SlowClock final : public env::Clock {
  public:
    MonoTime now() const override { return real().clock.now() + 4s * ++looks_; }
    WallTime wall_now() const override { return real().clock.wall_now(); }
    bool sleep_until(MonoTime, const std::stop_token& stop) override { return !stop.stop_requested(); }

  private:
    mutable int looks_ = 0;
};

TEST_F(FenceTest, WhatItHasKilledIsSeenToBeGoneHoweverSlowTheMachineIs) {
    SlowClock clock;
    const env::Env& env = real();
    const env::Env slow{clock,      env.random, env.threads,       env.files, env.processes,
                        env.dialer, env.http,   env.http_listener, env.sql,   env.log};
    const auto server = spawn({"sleep", "1001"}, "server");
    const Status fenced = (*make_executor(host_, slow))->fence({{"server-1"}, "exec-1", "test"}, within(1min));
    EXPECT_TRUE(fenced) << fenced.error().to_string();
    EXPECT_FALSE(real().processes.is_alive(server));
}

TEST_F(FenceTest, EachHolderLiftsItsOwn) {
    ASSERT_TRUE(fence("exec-1"));
    ASSERT_TRUE(fence("q1-7"));
    const std::vector<std::string> nodes = {"agent-1", "server-1"};
    ASSERT_TRUE(executor()->unfence(nodes, "exec-1", within(5s)));
    const auto refused = executor()->start("agent-1", within(5s));
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("q1-7"), std::string::npos);
    ASSERT_TRUE(executor()->unfence(nodes, "q1-7", within(5s)));
    ASSERT_TRUE(executor()->start("agent-1", within(5s)));
    EXPECT_TRUE(real().files.exists(started()));
    EXPECT_TRUE(executor()->unfence(nodes, "q1-7", within(5s))) << "lifted twice is lifted";
    EXPECT_TRUE(executor()->fences(within(5s))->empty());
}

TEST_F(FenceTest, WhoseStarterKnowsNoMarkersCannotBeFenced) {
    host_.processes[1].honours_fence = false;
    const auto agent = spawn({"sleep", "1000"}, "agent");
    EXPECT_EQ(fence().error().code, ErrorCode::kConfiguration);
    EXPECT_TRUE(real().processes.is_alive(agent)) << "refused before anything was touched";
    EXPECT_TRUE(executor()->fences(within(5s))->empty());
}

TEST_F(FenceTest, StoppedProcessesAreSeenAsStoppedAndDie) {
    const auto server = spawn({"sleep", "1000"}, "server");
    ASSERT_TRUE(real().processes.signal(server, SIGSTOP));
    EXPECT_TRUE(eventually([&] { return executor()->vitals("server-1", within(5s))->is_all_stopped(); }));
    EXPECT_FALSE(executor()->vitals("server-1", within(5s))->is_headless);
    ASSERT_TRUE(fence());
    EXPECT_FALSE(real().processes.is_alive(server));
}

// The postmaster is gone, its pid file names the directory, a backend still works there.
TEST_F(FenceTest, BackendsThatOutliveThePostmasterDieToo) {
    const std::string program = directory_.file("postgres");
    env::RunOptions copy;
    copy.argv = {"cp", "/bin/sleep", program};
    ASSERT_TRUE(real().processes.run(copy, within(5s)));
    const auto backend = spawn({program, "1000"}, "");
    const auto stranger = spawn({"sleep", "1000"}, "");
    const std::string directory = real().files.canonical(directory_.file(""));
    write("server", "2147483000\n" + directory + "\n1700000000\n");
    EXPECT_EQ(executor()->vitals("server-1", within(5s))->alive, 1U);
    EXPECT_TRUE(executor()->vitals("server-1", within(5s))->is_headless);
    EXPECT_EQ(executor()->remains("server-1", within(5s))->processes, std::vector{backend});
    EXPECT_EQ(*executor()->data_directory("server-1", within(5s)), directory);
    ASSERT_TRUE(fence());
    EXPECT_FALSE(real().processes.is_alive(backend));
    EXPECT_TRUE(real().processes.is_alive(stranger)) << "only working there is no guilt";
}

// Lets the fence wait until the loop has really started the server again, however slow the machine is.
class UntilStartedAgain final : public env::Clock {
  public:
    explicit UntilStartedAgain(std::function<bool()> is_there) : is_there_(std::move(is_there)) {}
    MonoTime now() const override { return real().clock.now(); }
    WallTime wall_now() const override { return real().clock.wall_now(); }
    bool sleep_until(MonoTime until, const std::stop_token& stop) override {
        if (!real().clock.sleep_until(until, stop)) return false;
        return eventually(is_there_);
    }

  private:
    std::function<bool()> is_there_;
};

// As after a start that failed: the postmaster has taken its pid file along.
TEST_F(FenceTest, TheDataDirectoryIsKnownWithoutThePidFileOfPostgres) {
    EXPECT_EQ(executor()->data_directory("server-1", within(5s)).error().code, ErrorCode::kNotFound);
    host_.processes[1].pid_file = directory_.file("postmaster.pid");
    EXPECT_EQ(*executor()->data_directory("server-1", within(5s)), real().files.canonical(directory_.file("")));
}

TEST_F(FenceTest, WhatIsStartedAgainInSpiteOfTheMarkerIsNoFence) {
    const std::string loop = "while :; do sleep 1000 & echo $! > server.new; mv server.new server; wait; done";
    spawn({"sh", "-c", loop}, "");
    ASSERT_TRUE(eventually([&] { return real().files.exists(directory_.file("server")); }));
    UntilStartedAgain clock([&] { return executor()->vitals("server-1", within(5s))->alive > 0; });
    const env::Env& base = real();
    const env::Env slow{clock,       base.random, base.threads,       base.files, base.processes,
                        base.dialer, base.http,   base.http_listener, base.sql,   base.log};
    const auto watched = std::move(*make_executor(host_, slow));
    const Status fenced = watched->fence({{"agent-1", "server-1"}, "exec-1", "test"}, within(10s));
    ASSERT_FALSE(fenced);
    EXPECT_EQ(fenced.error().code, ErrorCode::kPartial);
    EXPECT_EQ(executor()->fences(within(5s))->size(), 2U) << "the markers stay";
    ASSERT_TRUE(real().processes.signal(spawned_.back(), SIGKILL));
    EXPECT_TRUE(fence()) << "now nothing is in the way";
}

TEST_F(FenceTest, NamesCannotLeaveTheDirectory) {
    EXPECT_EQ(fence("../../etc/passwd").error().code, ErrorCode::kUsage);
    EXPECT_EQ(remove_marker(real().files, host_.fence_directory, "..", "x").error().code, ErrorCode::kUsage);
}

// A marker that a power loss made unreadable still keeps the node down; a half-written one does not.
TEST_F(FenceTest, UnreadableMarkersHoldHalfWrittenOnesDoNot) {
    ASSERT_TRUE(real().files.make_directories(host_.fence_directory + "/agent-1"));
    ASSERT_TRUE(real().files.write_durable(host_.fence_directory + "/agent-1/.exec-9.tmp-1-0", "{"));
    EXPECT_TRUE(require_unfenced(real().files, host_.fence_directory, "agent-1"));
    ASSERT_TRUE(real().files.write_durable(host_.fence_directory + "/agent-1/exec-9", ""));
    EXPECT_EQ(require_unfenced(real().files, host_.fence_directory, "agent-1").error().code,
              ErrorCode::kGuardRefused);
    ASSERT_TRUE(remove_marker(real().files, host_.fence_directory, "agent-1", "exec-9"));
    EXPECT_TRUE(real().files.list(host_.fence_directory + "/agent-1")->empty());
}

}  // namespace
}  // namespace aeterna::hosts
