// Backends that outlived a dead postmaster: which are ended, and when.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/fake_env.h"
#include "fixtures.h"
#include "postgres/steps/steps.h"

namespace aeterna::postgres {
namespace {

using namespace testing;
using engine::CheckOutcome;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ProcessTable final : public aeterna::testing::FakeProcesses {
  public:
    std::vector<env::ProcessInfo> all;
    std::vector<int> killed;
    std::set<int> in_kernel;  // waits for a disk: SIGKILL does not take

    std::optional<env::ProcessInfo> inspect(int pid) override {
        for (const env::ProcessInfo& info : all)
            if (info.id.pid == pid) return info;
        return std::nullopt;
    }
    std::vector<env::ProcessInfo> list() override { return all; }
    Status signal(const env::ProcessId& id, int) override {
        killed.push_back(id.pid);
        if (!in_kernel.contains(id.pid)) std::erase_if(all, [&](const env::ProcessInfo& info) { return info.id == id; });
        return {};
    }
    bool wait_gone(const env::ProcessId& id, const env::Context&) override { return !inspect(id.pid); }
};

// Of postgres-1, process 50 is dead; 51 and 52 were its children. 60 is a server of somebody else.
struct Orphaned {
    Settings settings = three_nodes();
    aeterna::testing::FakeEnv fake;
    ProcessTable processes;
    env::Env env{fake.clock, fake.random, fake.threads, fake.files, processes, fake.dialer, fake.http, fake.http_listener,
                 fake.sql, fake.log};
    Json facts{{"old_primary", "postgres-1"}, {"new_primary", "postgres-2"}};
    std::string told;
    engine::StepContext step{fake.clock.context(), facts, [this](const std::string& line) { told += line + "\n"; }};

    Orphaned() {
        settings.hosts = {{"host-1", "a", "local", "/fences", {{"postgres-1", "/data/postmaster.pid", {}}}}};
        fake.files.content["/data/postmaster.pid"] = "50\n/data\n1790000000\n";
        processes.all = {process(51, "/data"), process(52, "/data"), process(60, "/other")};
    }
    static env::ProcessInfo process(int pid, const std::string& directory, int parent = 1) {
        return {{pid, 1}, parent, 'S', 0, "postgres", directory};
    }
    std::unique_ptr<engine::Step> make(config::Assist assist = config::Assist::kAct) {
        return make_end_orphans({settings, env, "", "", assist});
    }
    CheckOutcome check(config::Assist assist = config::Assist::kAct) { return *make(assist)->check(step); }
};

TEST(EndOrphans, EndsWhatIsLeftOfTheReplacedServerAndNothingElse) {
    Orphaned stage;
    ASSERT_EQ(stage.check(), CheckOutcome::kReady);
    const auto step = stage.make();
    ASSERT_TRUE(step->apply(stage.step));
    EXPECT_THAT(stage.processes.killed, ElementsAre(51, 52));
    EXPECT_THAT(stage.told, HasSubstr("ended 2 backends of 'postgres-1'"));
    EXPECT_TRUE(step->verify(stage.step));
    EXPECT_EQ(stage.check(), CheckOutcome::kNotDue) << "nothing is left";
}

TEST(EndOrphans, IsNotDueWhereNobodyReplacedItOrNothingOutlivedIt) {
    struct Row {
        const char* what;
        config::Assist assist;
        void (*change)(Orphaned&);
    };
    const Row table[] = {
        {"assist only proposes", config::Assist::kPropose, [](Orphaned&) {}},
        {"it leads again", config::Assist::kAct, [](Orphaned& s) { s.facts["new_primary"] = "postgres-1"; }},
        {"nobody knows which it was", config::Assist::kAct, [](Orphaned& s) { s.facts.erase("old_primary"); }},
        {"its postmaster lives", config::Assist::kAct,
         [](Orphaned& s) { s.processes.all = {Orphaned::process(50, "/data"), Orphaned::process(51, "/data", 50)}; }},
        {"its host cannot be asked", config::Assist::kAct, [](Orphaned& s) { s.settings.hosts.clear(); }},
    };
    for (const Row& row : table) {
        Orphaned stage;
        row.change(stage);
        EXPECT_EQ(stage.check(row.assist), CheckOutcome::kNotDue) << row.what;
    }
}

// Between check and apply.
TEST(EndOrphans, AServerThatWasStartedAgainIsLeftAlone) {
    Orphaned stage;
    ASSERT_EQ(stage.check(), CheckOutcome::kReady);
    stage.fake.files.content["/data/postmaster.pid"] = "70\n/data\n1790000001\n";
    stage.processes.all = {Orphaned::process(70, "/data"), Orphaned::process(71, "/data", 70)};
    EXPECT_TRUE(stage.make()->apply(stage.step));
    EXPECT_THAT(stage.processes.killed, IsEmpty());
    EXPECT_EQ(stage.told, "");
}

TEST(EndOrphans, OneThatTheKernelHoldsIsToldAndTheFailoverIsOver) {
    Orphaned stage;
    stage.processes.in_kernel = {52};
    const auto step = stage.make();
    ASSERT_TRUE(step->apply(stage.step));
    EXPECT_THAT(stage.told, HasSubstr("not all have ended"));
    EXPECT_TRUE(step->verify(stage.step));
}

}  // namespace
}  // namespace aeterna::postgres
