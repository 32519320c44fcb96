// What only a virtual world can show: time that jumps, power that fails, paths that are cut,
// processes that don't die.
#include <csignal>

#include "env/sim/services.h"
#include "rooms.h"

namespace aeterna::sim {
namespace {

class SimWorld : public ::testing::Test {
  protected:
    Process& start(const std::string& command, Host& host) {
        ProcessOptions options;
        options.command = command;
        options.host = &host;
        return world.processes.start(options);
    }
    void run(Process& process, std::function<void()> body) {
        bool done = false;
        world.scheduler.spawn(&process, "body", [&] {
            body();
            done = true;
        });
        ASSERT_TRUE(world.scheduler.run_until(world.now() + 10h, [&] { return done; }));
        ASSERT_TRUE(done) << world.scheduler.describe_waiting();
    }
    ~SimWorld() override {
        world.processes.end_all();
        world.scheduler.drain();
    }

    World world{1};
    Host& here = world.network.add_host("here", "10.0.0.1");
    Host& there = world.network.add_host("there", "10.0.0.2");
    Process& client = start("client", here);
    Process& server = start("server", there);
    SimEnv client_env{world, client};
    SimEnv server_env{world, server};
    const env::Env& env = client_env.env();
    const env::Endpoint address{"10.0.0.2", 80};

    env::Context within(Duration duration) { return {world.now() + duration, {}, "test"}; }
    Result<env::HttpResponse> post(Duration limit) {
        env::HttpRequest request;
        request.method = "POST";
        request.url = "http://10.0.0.2:80/";
        return env.http.send(request, within(limit));
    }
    int served = 0;
    Result<std::unique_ptr<env::HttpServer>> listening =
        server_env.env().http_listener.serve(address, [this](const env::ServerRequest&) {
            ++served;
            return env::ServerResponse();
        });
};

TEST_F(SimWorld, TheWallClockJumpsAndTheMonotonicDoesNot) {
    run(client, [&] {
        const MonoTime mono = env.clock.now();
        const WallTime wall = env.clock.wall_now();
        here.wall_offset += 1h;
        EXPECT_EQ(env.clock.now(), mono);
        EXPECT_EQ(env.clock.wall_now() - wall, 1h);
    });
}

TEST_F(SimWorld, OnlyWhatWasSyncedSurvivesAPowerLoss) {
    world.disk.make_directories("/data", 0700);
    run(client, [&] {
        auto log = env.files.open_append("/data/log").value();
        EXPECT_TRUE(log->append("kept"));
        EXPECT_TRUE(log->sync());
        EXPECT_TRUE(log->append(" lost"));
        EXPECT_TRUE(env.files.write_durable("/data/file", "whole"));
        world.disk.lose_power();
        EXPECT_EQ(env.files.read("/data/log").value(), "kept");
        EXPECT_EQ(env.files.read("/data/file").value(), "whole");
    });
}

TEST_F(SimWorld, AStoppedServerIsSilentAndCarriesOutLaterWhatTimedOut) {
    run(client, [&] {
        EXPECT_TRUE(post(1s));
        world.processes.signal(server, SIGSTOP);
        EXPECT_EQ(post(1s).error().code, ErrorCode::kTimeout);
        EXPECT_EQ(served, 1);
        world.processes.signal(server, SIGCONT);
        env.clock.sleep_for(1s, {});
        EXPECT_EQ(served, 2);
    });
}

TEST_F(SimWorld, AKilledServerRefusesAndItsUnansweredCallsAreReset) {
    run(client, [&] {
        world.processes.signal(server, SIGSTOP);
        ErrorCode code{};
        const auto thread = env.threads.start(
            "asker", [&](const std::stop_token&) { code = post(10s).error().code; });
        env.clock.sleep_for(100ms, {});
        world.processes.kill(server);
        thread->join();
        EXPECT_EQ(code, ErrorCode::kConnectionLost);
        EXPECT_EQ(post(10s).error().code, ErrorCode::kConnectionRefused);
    });
}

TEST_F(SimWorld, ACutPathIsSilentEitherWayAndHealsLate) {
    run(client, [&] {
        EXPECT_TRUE(post(1s));
        world.network.cut(there, here);
        EXPECT_EQ(post(1s).error().code, ErrorCode::kTimeout);
        EXPECT_EQ(served, 2) << "a kept connection carried the request; only the answer was lost";
        EXPECT_EQ(post(1s).error().code, ErrorCode::kTimeout);
        EXPECT_EQ(served, 2) << "a new connection cannot be made";
        world.network.heal(there, here);
        EXPECT_TRUE(post(1s));
    });
}

TEST_F(SimWorld, NoSignalTakesInUninterruptibleSleep) {
    run(client, [&] {
        world.processes.freeze(server);
        EXPECT_TRUE(env.processes.signal(server.id, SIGKILL));
        EXPECT_FALSE(env.processes.wait_gone(server.id, within(1s)));
        EXPECT_EQ(env.processes.inspect(server.id.pid)->state, 'D');
        world.processes.thaw(server);
        EXPECT_TRUE(env.processes.wait_gone(server.id, within(1s)));
    });
}

TEST_F(SimWorld, ADeadProcessReachesNothingAnyMore) {
    world.disk.make_directories("/data", 0700);
    run(server, [] {});
    auto lock = client_env.env().files.lock("/data/lock");
    bool went_on = false;
    world.scheduler.spawn(&client, "victim", [&] {
        world.processes.kill(client);
        EXPECT_FALSE(env.clock.sleep_for(1h, {}));
        EXPECT_EQ(post(1h).error().code, ErrorCode::kCancelled);
        EXPECT_FALSE(env.files.write_durable("/data/file", "x"));
        went_on = true;
    });
    world.scheduler.run_until(world.now() + 1s);
    EXPECT_TRUE(went_on);
    EXPECT_EQ(served, 0);
    EXPECT_EQ(world.disk.find("/data/file"), nullptr);
    EXPECT_TRUE(world.disk.lock("/data/lock")) << "the kernel frees a dead process's locks";
}

TEST_F(SimWorld, NothingLeftToHappenIsSeenAndSaysWhoWaits) {
    const auto signal = env.threads.make_signal();
    world.scheduler.spawn(&client, "waiter", [&] { signal->wait_until(MonoTime::max(), {}); });
    EXPECT_FALSE(world.scheduler.run_until(world.now() + 1h));
    EXPECT_NE(world.scheduler.describe_waiting().find("client/waiter: waits for a signal"),
              std::string::npos);
}

}  // namespace
}  // namespace aeterna::sim
