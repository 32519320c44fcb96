// Healing what a dead drill left: real processes, stopped or killed, from nothing but the journal.
#include "stack/healing.h"

#include <csignal>

#include "engine/drill/fault.h"
#include "hosts/executor.h"
#include "rig.h"

namespace aeterna::stack::test {
namespace {

using engine::FaultKind;
using engine::FaultRecord;

void ignore_progress(const std::string&) {}

std::size_t heal(Rig& rig) {
    const auto healed = heal_faults(rig.stack, rig.journal(), ignore_progress, real(), within(10s));
    EXPECT_TRUE(healed) << healed.error().to_string();
    return healed.value_or(999);
}

FaultRecord break_it(Rig& rig, FaultKind kind) {
    engine::FaultInjector injector(rig.stack, rig.journal(), real());
    auto fault = injector.prepare("q1-test", "alpha", kind, {"node-1", {"node-1"}, {"node-1"}}, within(5s));
    EXPECT_TRUE(fault) << fault.error().to_string();
    EXPECT_EQ(rig.unhealed(), 1U) << "the inverse must be in the journal before anything is signalled";
    EXPECT_TRUE(rig.process.is_running());
    const Status injected = injector.inject(*fault, within(5s));
    EXPECT_TRUE(injected) << injected.error().to_string();
    return *fault;
}

TEST(HealFaults, ContinuesWhatWasStoppedAndTwiceEqualsOnce) {
    Rig rig;
    const env::ProcessId before = rig.process.id();
    break_it(rig, FaultKind::kPause);
    ASSERT_TRUE(env::testing::eventually([&] { return rig.process.now()->state == 'T'; }));
    EXPECT_EQ(heal(rig), 1U);
    EXPECT_TRUE(env::testing::eventually([&] { return rig.process.is_running(); }));
    EXPECT_EQ(rig.process.id(), before);
    EXPECT_EQ(rig.unhealed(), 0U);
    EXPECT_EQ(heal(rig), 0U);
    EXPECT_EQ(rig.count_events("fault.healed"), 1U);
    EXPECT_EQ(rig.process.id(), before);
}

TEST(HealFaults, StartsWhatWasKilledOnlyOnce) {
    Rig rig;
    const env::ProcessId before = rig.process.id();
    const FaultRecord fault = break_it(rig, FaultKind::kKill);
    ASSERT_FALSE(rig.process.now());
    EXPECT_EQ(heal(rig), 1U);
    const env::ProcessId after = rig.process.id();
    EXPECT_NE(after, before);
    EXPECT_TRUE(rig.process.is_running());
    // As if the healer had died after the start and before the journal knew.
    ASSERT_TRUE(rig.journal().put_fault(fault));
    EXPECT_EQ(heal(rig), 1U);
    EXPECT_EQ(rig.process.id(), after) << "a second process was started";
}

// Whoever rejoins the node must not bring it back before the drill has measured.
TEST(HealFaults, AKilledNodeStaysDownUntilThen) {
    Rig rig;
    const auto executor = hosts::make_executor(rig.stack.hosts[0], real());
    ASSERT_TRUE(executor);
    break_it(rig, FaultKind::kKill);
    const auto fences = (*executor)->fences(within(1s)).value();
    ASSERT_EQ(fences.size(), 1U);
    EXPECT_EQ(fences[0].node, "node-1");
    EXPECT_EQ(fences[0].holder, "q1-test");
    const Status start = (*executor)->start("node-1", within(5s));
    ASSERT_FALSE(start);
    EXPECT_EQ(start.error().code, ErrorCode::kGuardRefused);
    EXPECT_FALSE(rig.process.now());
    EXPECT_EQ(heal(rig), 1U);
    EXPECT_TRUE(rig.process.is_running());
    EXPECT_TRUE((*executor)->fences(within(1s)).value().empty());
}

// The failover that the drill provoked may still keep the node from being started: it will do so itself.
TEST(HealFaults, ANodeThatAFailoverHoldsIsLeftToIt) {
    Rig rig;
    break_it(rig, FaultKind::kKill);
    const auto executor = hosts::make_executor(rig.stack.hosts[0], real()).value();
    ASSERT_TRUE(executor->fence({{"node-1"}, "exec-1", "failover under way"}, within(5s)));
    EXPECT_EQ(heal(rig), 1U);
    EXPECT_FALSE(rig.process.now());
    ASSERT_EQ(executor->fences(within(1s)).value().size(), 1U) << "only its own hold is lifted";
}

TEST(HealFaults, WhatCannotBeHeldIsKilledAllTheSame) {
    Rig rig;
    rig.stack.hosts[0].processes[0].honours_fence = false;
    break_it(rig, FaultKind::kKill);
    EXPECT_FALSE(rig.process.now());
    EXPECT_TRUE(hosts::make_executor(rig.stack.hosts[0], real()).value()->fences(within(1s)).value().empty());
    EXPECT_EQ(heal(rig), 1U);
    EXPECT_TRUE(rig.process.is_running());
}

// A connection of the last moment: its backend is in no list, and outlives its postmaster.
TEST(HealFaults, WhatWasForkedSinceThePreparationDiesToo) {
    Rig rig;
    Directory directory;
    engine::FaultInjector injector(rig.stack, rig.journal(), real());
    auto fault = injector.prepare("q1-test", "alpha", FaultKind::kKill, {"node-1", {"node-1"}, {"node-1"}}, within(5s));
    ASSERT_TRUE(fault);
    env::RunOptions copy;
    copy.argv = {"cp", "/bin/sleep", directory.file("postgres")};
    ASSERT_TRUE(real().processes.run(copy, within(5s)));
    env::SpawnOptions options;
    options.argv = {directory.file("postgres"), "1000"};
    options.working_directory = directory.file("");
    const auto backend = real().processes.spawn(options);
    ASSERT_TRUE(backend);
    const std::string& pid_file = rig.stack.hosts[0].processes[0].pid_file;
    ASSERT_TRUE(real().files.write_durable(
        pid_file, fmt::format("{}\n{}\n", rig.process.id().pid, real().files.canonical(directory.file("")))));
    EXPECT_TRUE(injector.inject(*fault, within(5s)));
    EXPECT_TRUE(injector.complete(*fault, within(5s)));
    EXPECT_FALSE(real().processes.is_alive(*backend));
    static_cast<void>(real().processes.signal(*backend, SIGKILL));
    EXPECT_EQ(heal(rig), 1U);
}

TEST(HealFaults, AHoldWithoutAKillIsLiftedToo) {
    Rig rig;
    engine::FaultInjector injector(rig.stack, rig.journal(), real());
    ASSERT_TRUE(injector.prepare("q1-test", "alpha", FaultKind::kKill, {"node-1", {"node-1"}, {"node-1"}}, within(5s)));
    const env::ProcessId before = rig.process.id();
    EXPECT_EQ(heal(rig), 1U);
    EXPECT_EQ(rig.process.id(), before);
    EXPECT_TRUE(hosts::make_executor(rig.stack.hosts[0], real()).value()->fences(within(1s)).value().empty());
}

TEST(HealFaults, KeepsInTheJournalWhatCannotBeHealed) {
    Rig rig;
    break_it(rig, FaultKind::kKill);
    rig.stack.hosts[0].processes[0].start = {"/bin/false"};
    const auto healed = heal_faults(rig.stack, rig.journal(), ignore_progress, real(), within(10s));
    ASSERT_FALSE(healed);
    EXPECT_EQ(rig.unhealed(), 1U);
    EXPECT_EQ(rig.count_events("fault.healed"), 0U);
}

TEST(LockDrills, LetsOnlyOneRun) {
    Rig rig;
    {
        const auto first = lock_drills(rig.stack, real());
        ASSERT_TRUE(first) << first.error().to_string();
        const auto second = lock_drills(rig.stack, real());
        ASSERT_FALSE(second);
        EXPECT_EQ(second.error().code, ErrorCode::kLocked);
        EXPECT_EQ(second.error().message, "a drill runs on stack 'test'");
    }
    EXPECT_TRUE(lock_drills(rig.stack, real()));
}

}  // namespace
}  // namespace aeterna::stack::test
