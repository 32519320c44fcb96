// A stage for the assisted failover: servers in memory, hands without hosts, the real runner and
// journal.
#pragma once

#include <gtest/gtest.h>

#include "../engine/temp_journal.h"
#include "../engine/toy_runbook.h"
#include "engine/runbook/execution_run.h"
#include "fake_hands.h"
#include "redis/runbooks.h"
#include "redis/steps/return_guard.h"

namespace aeterna::redis::testing {

// redis-1 was killed; a told Sentinel promotes redis-2, the others follow; a started redis-1
// follows as its file says.
struct Stage {
    Stage() {
        auto settings = std::make_shared<RedisSettings>(*make_settings());
        settings->nodes[0].config_file = "/etc/redis-1.conf";
        servers.settings = settings;
        servers.fake.files.content["/etc/redis-1.conf"] =
            "port 6379\ndir /data/1\nappendonly yes\n";
        servers.fake.files.content["/data/1/appendonlydir/appendonly.aof.1.incr.aof"] =
            "*1\r\n$4\r\nPING\r\n";
        servers.nodes[1].is_refusing = true;
        servers.nodes[2].link = servers.nodes[3].link = "connect";
        for (auto& [n, sentinel] : servers.sentinels) sentinel.flags = {"disconnected"};
        servers.on_order = [this](const std::string& order) { carry_out(order); };
        hands->executor.on_start = [this](const std::string&) {
            const std::string& text = servers.fake.files.content["/etc/redis-1.conf"];
            const bool follows = text.find("replicaof 10.0.0.2") != std::string::npos;
            servers.nodes[1].is_refusing = false;
            servers.nodes[1].follows = follows ? 2 : 0;
            if (!follows) ++masters_started;
        };
        rebuild();
    }
    void carry_out(const std::string& order) {
        if (order.find("SENTINEL FAILOVER") != std::string::npos && can_promote) promote();
        if (order.find("REPLICAOF NO ONE") != std::string::npos) servers.promote(order[6] - '0');
        for (int n = 1; n <= 3; ++n)
            if (order.find("redis-" + std::to_string(n) + " REPLICAOF 10.0.0.2") == 0) {
                servers.nodes[n].follows = 2;
                servers.nodes[n].link = "connected";
            }
    }
    void promote() {
        if (servers.nodes[2].follows == 0) return;
        servers.promote(2);
        servers.nodes[3].follows = 2;
        servers.nodes[3].link = "connected";
        for (auto& [n, sentinel] : servers.sentinels) sentinel = FakeSentinel{2, 6};
    }
    // The old master answers again, and everybody hears it.
    void bring_back() {
        servers.nodes[1].is_refusing = false;
        for (int n = 2; n <= 3; ++n) servers.nodes[n].link = "connected";
        for (auto& [n, sentinel] : servers.sentinels) sentinel = FakeSentinel{};
    }
    // As another process would begin.
    void rebuild() {
        servers.cluster = std::make_shared<Cluster>(servers.settings, servers.env);
        acting = std::make_shared<Acting>();
        acting->cluster = servers.cluster;
        acting->hands = hands;
        acting->guards = std::make_shared<ReturnGuards>(servers.settings, servers.env);
        acting->state_directory = "/state";
    }
    engine::Runbook runbook(const std::string& assist = "act") {
        auto built =
            build_runbook("failover", Json{{"old_primary", "redis-1"}, {"assist", assist}}, acting);
        return std::move(*built);
    }
    engine::ExecutionRecord run(const std::string& assist = "act") {
        engine::Runbook built = runbook(assist);
        engine::RunRequest request;
        request.on_record = [this](const engine::StepRecord& record) {
            if (record.phase == "progress") progress += record.detail + "\n";
            if (record.outcome == "proposed") put_proposal(record);
        };
        auto ran = engine::Runner(*temp.journal, lock, servers.env)
                       .run(built, request, servers.fake.clock.context(20min));
        return ran ? *ran : engine::ExecutionRecord{};
    }

    // Somebody sees it, and may say yes after a while.
    void put_proposal(const engine::StepRecord& record) {
        proposals.push_back(record.detail);
        if (!approve_after) return;
        const MonoTime at = servers.fake.clock.now() + *approve_after;
        servers.on_question = [this, at, id = record.execution_id] {
            if (!approve_after || servers.fake.clock.now() < at) return;
            approve_after.reset();
            ASSERT_TRUE(temp.journal->put_request({"req-1", "execution.approve", id, "a person", servers.fake.clock.wall_now(), {}}));
            if (on_yes) on_yes();
        };
    }

    // As run(), by a process that dies at that write of the journal: from then on nothing reaches the servers. Whether it
    // came to its end before.
    bool run_until(int last_write) {
        engine::testing::World world;
        engine::testing::MortalJournal mortal(*temp.journal, world, last_write);
        servers.dead = &world.dead;
        {
            engine::Runbook first = runbook();
            static_cast<void>(
                engine::Runner(mortal, lock, servers.env).run(first, {}, servers.fake.clock.context(20min)));
        }
        servers.dead = nullptr;
        return mortal.writes < last_write;
    }
    // As another process resumes it.
    Result<engine::ExecutionRecord> resume(const engine::ExecutionRecord& record) {
        rebuild();
        engine::Runbook again = runbook();
        return engine::Runner(*temp.journal, lock, servers.env)
            .resume(record, again, {}, servers.fake.clock.context(20min));
    }

    FakeServers servers;
    std::shared_ptr<FakeHands> hands = std::make_shared<FakeHands>(servers);
    ActingPointer acting;
    engine::testing::TempJournal temp;
    engine::testing::ToyLock lock;
    std::string progress;
    std::vector<std::string> proposals;
    std::optional<Duration> approve_after;  // after the proposal was put; nothing: nobody says yes
    std::function<void()> on_yes;
    bool can_promote = true;
    int masters_started = 0;
};

}  // namespace aeterna::redis::testing
