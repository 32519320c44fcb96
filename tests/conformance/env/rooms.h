// Rooms: the two implementations of env/ behind one face, for the suite that both must pass. A body
// runs in a thread of the room's kind: on this thread over env/posix, in a fiber over env/sim.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <string>

#include "env/posix/posix_env.h"
#include "env/sim/sim_env.h"

namespace aeterna::env::testing {

class PosixRoom {
  public:
    PosixRoom() {
        std::string pattern = "/var/tmp/aeterna-test-XXXXXX";
        directory_ = ::mkdtemp(pattern.data());
    }
    ~PosixRoom() {
        std::error_code ignored;
        std::filesystem::remove_all(directory_, ignored);
    }
    const Env& env() { return env_.env(); }
    void run(const std::function<void()>& body) { body(); }
    [[nodiscard]] std::string directory() const { return directory_; }
    Endpoint free_endpoint() {
        for (int attempt = 0; attempt < 200; ++attempt) {
            const Endpoint endpoint{"127.0.83." + std::to_string(1 + env().random.next() % 250),
                                    20000 + static_cast<int>(env().random.next() % 10000)};
            if (env().dialer.can_listen(endpoint)) return endpoint;
        }
        ADD_FAILURE() << "no free port";
        return {};
    }
    // Long enough for a loaded machine, short enough to wait for.
    static constexpr Duration kShort = 60ms;

  private:
    std::string directory_;
    PosixEnv env_{LogFormat::kText, LogLevel::kError};
};

class SimRoom {
  public:
    SimRoom() : world_(7), host_(world_.network.add_host("here", "10.0.0.1")) {
        sim::ProcessOptions options;
        options.command = "test";
        options.host = &host_;
        process_ = &world_.processes.start(options);
        env_ = std::make_unique<sim::SimEnv>(world_, *process_);
        world_.disk.make_directories("/tmp/room", 0700);
        world_.programs["sleep"] = [this](const std::vector<std::string>&, sim::Process&) {
            sim::ProcessOptions child;
            child.command = "sleep";
            child.host = &host_;
            world_.processes.start(child);
            RunResult result;
            result.exit_status = 0;
            return result;
        };
    }
    ~SimRoom() {
        world_.processes.end_all();
        world_.scheduler.drain();
    }
    const Env& env() { return env_->env(); }
    void run(const std::function<void()>& body) {
        bool done = false;
        world_.scheduler.spawn(process_, "body", [&] {
            body();
            done = true;
        });
        EXPECT_TRUE(world_.scheduler.run_until(world_.now() + 10h, [&] { return done; }))
            << "nothing goes on:\n"
            << world_.scheduler.describe_waiting();
        EXPECT_TRUE(done);
    }
    [[nodiscard]] std::string directory() const { return "/tmp/room"; }
    Endpoint free_endpoint() { return {"10.0.0.1", ++port_}; }
    static constexpr Duration kShort = 60ms;

  private:
    sim::World world_;
    sim::Host& host_;
    sim::Process* process_ = nullptr;
    std::unique_ptr<sim::SimEnv> env_;
    int port_ = 20000;
};

}  // namespace aeterna::env::testing
