// The local executor on real process trees of shells.
#include <signal.h>

#include "base/strings.h"
#include "hosts/executor.h"
#include "unit/env/real_env.h"

namespace aeterna::hosts {
namespace {

using env::testing::Directory;
using env::testing::eventually;
using env::testing::real;
using env::testing::within;

class LocalExecutorTest : public ::testing::Test {
  protected:
    LocalExecutorTest() {
        host_.name = "host-1";
        host_.executor = "local";
        host_.processes = {{"node-1", directory_.file("pid"), {}}};
    }
    ~LocalExecutorTest() override {
        for (const env::ProcessId& id : everything_) (void)real().processes.signal(id, SIGKILL);
    }

    // A parent, a child, and a grandchild in a session of its own.
    env::ProcessId start_tree() {
        const std::string ready = directory_.file("ready");
        env::SpawnOptions options;
        options.argv = {"sh", "-c",
                        "sh -c 'setsid sleep 1000 & sleep 1001 & touch " + ready + "; wait' & wait"};
        const auto root = real().processes.spawn(options);
        EXPECT_TRUE(root) << root.error().to_string();
        everything_.push_back(*root);
        write_pid(root->pid);
        EXPECT_TRUE(eventually([&] { return real().files.exists(ready) && tree_size() == 4; }));
        const auto found = executor()->find("node-1", within(5s));
        if (found) everything_ = found->processes;
        return *root;
    }
    std::size_t tree_size() {
        const auto found = executor()->find("node-1", within(5s));
        return found ? found->processes.size() : 0;
    }
    void write_pid(int pid, const std::string& rest = "\n") {
        ASSERT_TRUE(real().files.write_durable(directory_.file("pid"), std::to_string(pid) + rest));
    }
    std::unique_ptr<Executor> executor() { return std::move(*make_executor(host_, real())); }
    bool all_in_state(const std::string& states) {
        for (const env::ProcessId& id : everything_) {
            const auto info = real().processes.inspect(id.pid);
            if (!info || states.find(info->state) == std::string::npos) return false;
        }
        return true;
    }

    Directory directory_;
    config::Host host_;
    std::vector<env::ProcessId> everything_;
};

TEST_F(LocalExecutorTest, FindsTheWholeTreeAndKillsIt) {
    const env::ProcessId root = start_tree();
    const auto found = executor()->find("node-1", within(5s));
    ASSERT_TRUE(found);
    ASSERT_EQ(found->processes.size(), 4U);
    EXPECT_EQ(found->processes.front(), root);
    ASSERT_TRUE(executor()->kill(*found, within(10s)));
    for (const env::ProcessId& id : found->processes) EXPECT_FALSE(real().processes.is_alive(id));
    EXPECT_EQ(executor()->find("node-1", within(5s)).error().code, ErrorCode::kNotFound);
    EXPECT_TRUE(executor()->kill(*found, within(10s))) << "what is gone is killed";
}

TEST_F(LocalExecutorTest, KillAlsoReachesChildrenBornAfterFind) {
    const env::ProcessId root = start_tree();
    const NodeProcesses only_the_root{"node-1", {root}};
    ASSERT_TRUE(executor()->kill(only_the_root, within(10s)));
    for (const env::ProcessId& id : everything_) EXPECT_FALSE(real().processes.is_alive(id));
}

TEST_F(LocalExecutorTest, PausesAndResumesAll) {
    start_tree();
    const auto found = executor()->find("node-1", within(5s));
    ASSERT_TRUE(found);
    ASSERT_TRUE(executor()->pause(*found, within(5s)));
    EXPECT_TRUE(eventually([&] { return all_in_state("T"); }));
    EXPECT_EQ(executor()->find("node-1", within(5s))->processes.size(), 4U) << "paused is not gone";
    ASSERT_TRUE(executor()->resume(*found, within(5s)));
    EXPECT_TRUE(eventually([&] { return all_in_state("SR"); }));
    ASSERT_TRUE(executor()->kill(*found, within(10s)));
    EXPECT_EQ(executor()->pause(*found, within(5s)).error().code, ErrorCode::kNotFound);
    EXPECT_TRUE(executor()->resume(*found, within(5s)));
}

TEST_F(LocalExecutorTest, APidFileIsOnlyAHint) {
    EXPECT_EQ(executor()->find("node-1", within(5s)).error().code, ErrorCode::kNotFound) << "no file";
    EXPECT_EQ(executor()->find("node-2", within(5s)).error().code, ErrorCode::kNotFound) << "not configured";
    const env::ProcessId root = start_tree();
    write_pid(root.pid, "\n" + std::to_string(root.start_ticks) + "\n");
    EXPECT_TRUE(executor()->find("node-1", within(5s)));
    write_pid(root.pid, "\n" + std::to_string(root.start_ticks + 1) + "\n");
    EXPECT_EQ(executor()->find("node-1", within(5s)).error().code, ErrorCode::kNotFound) << "reused pid";
    write_pid(root.pid, "\n/\n1790000000\n");
    EXPECT_TRUE(executor()->find("node-1", within(5s)));
    write_pid(root.pid, "\n" + directory_.path() + "\n1790000000\n");
    EXPECT_EQ(executor()->find("node-1", within(5s)).error().code, ErrorCode::kNotFound) << "other directory";
    ASSERT_TRUE(real().files.write_durable(directory_.file("pid"), "garbage\n"));
    EXPECT_EQ(executor()->find("node-1", within(5s)).error().code, ErrorCode::kNotFound);
}

TEST_F(LocalExecutorTest, NeverActsOnItselfOrItsParents) {
    write_pid(real().processes.own_pid());
    EXPECT_EQ(executor()->find("node-1", within(5s)).error().code, ErrorCode::kGuardRefused);
    const NodeProcesses ourselves{"node-1", {real().processes.inspect(real().processes.own_pid())->id}};
    EXPECT_EQ(executor()->kill(ourselves, within(1s)).error().code, ErrorCode::kGuardRefused);
    EXPECT_EQ(executor()->pause(ourselves, within(1s)).error().code, ErrorCode::kGuardRefused);
}

TEST_F(LocalExecutorTest, AnOrdinaryUsersPidFileCannotAimAtOthers) {
    if (real().processes.effective_uid() != 0) GTEST_SKIP() << "only root could be misled";
    start_tree();
    ASSERT_TRUE(real().files.change_owner(directory_.file("pid"), real().processes.find_user("nobody")->owner));
    EXPECT_EQ(executor()->find("node-1", within(5s)).error().code, ErrorCode::kGuardRefused);
}

TEST_F(LocalExecutorTest, StartsWhatDoesNotRun) {
    EXPECT_EQ(executor()->start("node-1", within(5s)).error().code, ErrorCode::kConfiguration);
    host_.processes[0].start = {"sh", "-c", "echo first >&2; echo 'port is taken' >&2; exit 4"};
    const auto failed = executor()->start("node-1", within(5s));
    ASSERT_FALSE(failed);
    EXPECT_NE(failed.error().message.find("status 4: port is taken"), std::string::npos)
        << failed.error().message;
    host_.processes[0].start = {"sh", "-c", "sleep 1000 & echo $! > " + directory_.file("pid")};
    ASSERT_TRUE(executor()->start("node-1", within(5s)));
    const auto found = executor()->find("node-1", within(5s));
    ASSERT_TRUE(found);
    everything_ = found->processes;
    host_.processes[0].start = {"false"};
    EXPECT_TRUE(executor()->start("node-1", within(5s))) << "it runs already";
    ASSERT_TRUE(executor()->kill(*found, within(5s)));
    host_.processes[0].start = {"sleep", "1000"};
    EXPECT_EQ(executor()->start("node-1", within(100ms)).error().code, ErrorCode::kDeadline);
}

TEST(MakeExecutor, RefusesAHostWhereNothingCanBeDone) {
    config::Host host;
    host.name = "host-1";
    host.executor = "none";
    const auto executor = make_executor(host, real());
    ASSERT_FALSE(executor);
    EXPECT_EQ(executor.error().code, ErrorCode::kConfiguration);
}

}  // namespace
}  // namespace aeterna::hosts
