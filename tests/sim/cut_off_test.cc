// Executions whose program is killed at any instant. A planned switchover that is resumed at once ends as if nothing had
// happened; a failover that is given up leaves no fence.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <vector>

#include "app/registry.h"
#include "engine/runbook/execution_run.h"
#include "engine/runbook/runner.h"
#include "env/sim/sim_env.h"
#include "harness/cluster.h"
#include "harness/memory_journal.h"

namespace aeterna::sim {
namespace {

constexpr Duration kBegin = std::chrono::seconds(12);  // the cluster stands, and its agents have looped
constexpr Duration kLongest = std::chrono::minutes(5);
constexpr Duration kLookEvery = std::chrono::milliseconds(20);
constexpr const char* kStatePath = "/state/1";
constexpr const char* kStackPath = "/etc/aeterna-dr/1.yaml";

// What the room's people do: one `aeterna-dr RUNBOOK postgres`, then `execution resume` or `execution abort`.
struct Order {
    std::string runbook;
    Json parameters = Json::object();
    std::string assist = "off";  // the stack file's
};

// One command of theirs.
struct Command {
    Command(World& world, Process& own, JournalPages& pages, CrashPoint crash)
        : process(own), env(world, own), journal(world, own, pages, crash) {}
    Process& process;
    SimEnv env;
    MemoryJournal journal;
    std::unique_ptr<app::OpenStack> open;
    std::optional<Result<engine::ExecutionRecord>> ended;
};

class Room {
  public:
    Room(std::uint64_t seed, Order order) : world_(seed), cluster_(world_, {}), order_(std::move(order)) {
        cluster_.fence_directories = {fmt::format("{}/fences", kStatePath)};
        world_.disk.make_directories("/etc/aeterna-dr", 0755);
        const std::string text = cluster_.stack_file(kStatePath, order_.assist);
        if (Result<Disk::Node*> node = world_.disk.make(kStackPath)) (*node)->content = (*node)->durable = text;
        pass(kBegin + world_.rng().between(0s, 10s));
    }
    ~Room() {
        cluster_.is_over = true;
        world_.processes.end_all();
        world_.scheduler.drain();
    }

    World& world() { return world_; }
    Cluster& cluster() { return cluster_; }
    void pass(Duration time) { static_cast<void>(world_.scheduler.run_until(world_.now() + time)); }

    Command& start(bool gives_up = false, CrashPoint crash = {}) {
        ProcessOptions options;
        options.command = "aeterna-dr";
        options.host = &cluster_.controller_host(0);
        Process& process = world_.processes.start(std::move(options));
        Command& command = *commands_.emplace_back(std::make_unique<Command>(world_, process, pages_, crash));
        world_.scheduler.spawn(&process, "command", [this, &command, gives_up] { run(command, gives_up); });
        return command;
    }

    // Starts the first command, and kills it so long after its step `name` has begun to act. False when it had ended by then.
    bool start_and_kill(std::string_view name, Duration after, const std::string& when) {
        Command& first = start();
        while (!has_begun(name) && !first.ended) pass(std::chrono::milliseconds(1));
        EXPECT_FALSE(first.ended) << when << ": it ended before it could be killed";
        pass(after);
        if (first.ended) return false;
        world_.processes.kill(first.process);
        return true;
    }

    // What the journal says of the execution when a command that dies at a journal write is dead, or has ended without.
    std::optional<engine::ExecutionRecord> start_and_die(CrashPoint crash) {
        const Command& first = start(false, crash);
        const MonoTime end = world_.now() + kLongest;
        while (first.process.is_alive() && !first.ended && world_.now() < end) pass(kLookEvery);
        if (pages_.executions.empty()) return std::nullopt;
        return pages_.executions.begin()->second;
    }
    int writes() const { return pages_.execution_writes; }

    void lose(int leader) {
        world_.processes.kill(*cluster_.patroni(leader).process());
        world_.processes.kill(*cluster_.postgres(leader).process());
    }

    // Nothing when it did not end in time.
    const Result<engine::ExecutionRecord>* wait_for(Command& command) {
        const MonoTime end = world_.now() + kLongest;
        while (!command.ended && world_.now() < end) pass(kLookEvery);
        return command.ended ? &*command.ended : nullptr;
    }

    // The journal shows that the step `name` has begun to act.
    bool has_begun(std::string_view name) const {
        for (const engine::StepRecord& record : pages_.steps) {
            if (record.step == name && record.phase == "apply") return true;
        }
        return false;
    }

  private:
    void run(Command& command, bool gives_up) {
        const env::Env& env = command.env.env();
        auto open = app::open_stack(kStackPath, env);
        ASSERT_TRUE(open) << open.error().to_string();
        command.open = std::move(*open);
        const auto store = command.open->find("postgres");
        ASSERT_TRUE(store) << store.error().to_string();
        auto runbook = (*store)->make_runbook(order_.runbook, order_.parameters);
        ASSERT_TRUE(runbook) << runbook.error().to_string();
        const auto lock = engine::make_actor_lock(command.open->stack, env);
        engine::Runner runner(command.journal, *lock, env);
        const env::Context context{world_.now() + kLongest, {}, ""};
        engine::RunRequest request;
        request.parameters = order_.parameters;
        if (pages_.executions.empty()) {
            command.ended.emplace(runner.run(*runbook, request, context));
            return;
        }
        const engine::ExecutionRecord& begun = pages_.executions.begin()->second;
        command.ended.emplace(gives_up ? runner.abort(begun, &*runbook, request, context)
                                       : runner.resume(begun, *runbook, request, context));
    }

    World world_;
    Cluster cluster_;
    const Order order_;
    JournalPages pages_;
    std::vector<std::unique_ptr<Command>> commands_;
};

void expect_end(const Result<engine::ExecutionRecord>* ended, engine::ExecutionState state, const std::string& when) {
    ASSERT_TRUE(ended) << when << ": it did not end";
    ASSERT_TRUE(*ended) << when << ": " << ended->error().to_string();
    EXPECT_EQ((*ended)->state, state) << when << ": " << (*ended)->summary;
}

TEST(Switchover, RunsThrough) {
    Room room(1, {"switchover"});
    const int before = room.cluster().leader();
    expect_end(room.wait_for(room.start()), engine::ExecutionState::kSucceeded, "unbroken");
    EXPECT_NE(room.cluster().leader(), before);
}

TEST(Switchover, KilledAtAnyInstantAndResumedAtOnceItEndsWell) {
    constexpr Duration kLastKill = std::chrono::seconds(6);
    int switched = 0;
    for (Duration kill_after{}; kill_after <= kLastKill; kill_after += std::chrono::milliseconds(50)) {
        const std::string when = fmt::format("killed after {:.2f} s", to_seconds(kill_after));
        Room room(static_cast<std::uint64_t>(kill_after.count()), {"switchover"});
        const int before = room.cluster().leader();
        if (!room.start_and_kill("postgres.switchover", kill_after, when)) break;
        expect_end(room.wait_for(room.start()), engine::ExecutionState::kSucceeded, when);
        switched += room.cluster().leader() != before ? 1 : 0;
    }
    EXPECT_GT(switched, 10) << "hardly anything was cut off";
}

// Killed between the first marker and the end of the fence nothing but the markers says that it has begun.
TEST(Failover, KilledWhileItFencesAndGivenUpItLeavesNoFence) {
    int fenced = 0;
    for (Duration kill_after{}; kill_after <= std::chrono::seconds(1); kill_after += std::chrono::milliseconds(10)) {
        const std::string when = fmt::format("killed after {:.2f} s", to_seconds(kill_after));
        Room room(static_cast<std::uint64_t>(kill_after.count()), {"failover", Json{{"assist", "act"}}, "act"});
        room.lose(room.cluster().leader());
        if (!room.start_and_kill("postgres.fence", kill_after, when)) break;
        fenced += room.cluster().markers().empty() ? 0 : 1;
        expect_end(room.wait_for(room.start(true)), engine::ExecutionState::kAborted, when);
        EXPECT_TRUE(room.cluster().markers().empty()) << when;
    }
    EXPECT_GT(fenced, 3) << "hardly any fence was cut off";
}

// Each write of the journal is the last one of a life, kept or not; the next life begins at once.
TEST(Failover, KilledAtAnyJournalWriteAndResumedItEndsAsIfNothingHadHappened) {
    int unsure = 0, write = 1;
    for (bool is_over = false; !is_over; ++write) {
        for (const bool is_kept : {false, true}) {
            const std::string when = fmt::format("killed {} write {}", is_kept ? "after" : "at", write);
            ASSERT_LT(write, 400) << when;
            Room room(static_cast<std::uint64_t>(write), {"failover", Json{{"assist", "act"}}, "act"});
            const int old = room.cluster().leader();
            room.lose(old);
            auto execution = room.start_and_die({write, is_kept, 0, {}});
            is_over = room.writes() < write;
            if (!execution || engine::is_resumable(*execution)) {
                const auto* ended = room.wait_for(room.start());
                expect_end(ended, engine::ExecutionState::kSucceeded, when);
                if (ended && *ended) execution = **ended;
            }
            ASSERT_TRUE(execution) << when;
            EXPECT_EQ(execution->state, engine::ExecutionState::kSucceeded) << when << ": " << execution->summary;
            EXPECT_TRUE(room.cluster().markers().empty()) << when;
            EXPECT_NE(room.cluster().leader(), old) << when;
            EXPECT_FALSE(room.cluster().postgres(old).is_primary()) << when;
            unsure += find_string(execution->facts, "assist") == "acted" ? 0 : 1;
        }
    }
    EXPECT_GT(write, 60) << "an execution has more writes than that";
    // The next life finds the key gone and cannot know by whose hand.
    EXPECT_LE(unsure, 4) << "only between the release and its record";
}

}  // namespace
}  // namespace aeterna::sim
