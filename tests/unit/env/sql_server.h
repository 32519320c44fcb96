// A real PostgreSQL server on a loopback address, for one test program; `is_up` is false where there is none.
#pragma once

#include <signal.h>

#include <functional>

#include "real_env.h"

namespace aeterna::env::testing {

class SqlServer {
  public:
    // `prepare` may change the new data directory before the server starts.
    explicit SqlServer(const std::function<void(const std::string& data_directory)>& prepare = {}) {
        const auto initdb = real().processes.find_program("initdb", {"/usr/lib/postgresql/15/bin"});
        const auto postgres = real().processes.find_program("postgres", {"/usr/lib/postgresql/15/bin"});
        if (!initdb || !postgres) return;
        std::optional<User> user;
        if (real().processes.effective_uid() == 0) {
            const auto found = real().processes.find_user("postgres");
            if (!found) return;
            user = *found;
            (void)real().files.change_owner(directory_.path(), found->owner);
        }
        (void)real().files.write_durable(directory_.file("password"), "right\n", 0644);
        RunOptions options;
        options.argv = {*initdb,         "-D",       directory_.file("data"),     "-U",        "tester",          "-A",
                        "scram-sha-256", "--pwfile", directory_.file("password"), "--no-sync", "--locale=C.UTF-8"};
        options.user = user;
        const auto made = real().processes.run(options, within(60s));
        EXPECT_TRUE(made && made->exit_status == 0) << (made ? made->errors : made.error().to_string());
        if (prepare) prepare(directory_.file("data"));
        target.endpoint = free_endpoint();
        SpawnOptions start;
        start.argv = {*postgres,
                      "-D",
                      directory_.file("data"),
                      "-h",
                      target.endpoint.host,
                      "-p",
                      std::to_string(target.endpoint.port),
                      "-c",
                      "unix_socket_directories=",
                      "-c",
                      "fsync=off"};
        start.user = user;
        start.log_path = directory_.file("log");
        const auto id = real().processes.spawn(start);
        if (!id) return;
        id_ = *id;
        target.user = "tester";
        target.password = Secret("right");
        target.database = "postgres";
        is_up = eventually([&] { return real().sql.connect(target, within(2s)).has_value(); }, 30s);
        EXPECT_TRUE(is_up) << real().files.read_tail(directory_.file("log"), 2000).value_or("");
    }
    ~SqlServer() {
        if (id_.pid == 0) return;
        (void)real().processes.signal(id_, SIGCONT);
        (void)real().processes.signal(id_, SIGQUIT);
        real().processes.wait_gone(id_, within(10s));
    }
    [[nodiscard]] const ProcessId& id() const { return id_; }
    bool is_up = false;
    SqlTarget target;

  private:
    Directory directory_;
    ProcessId id_;
};

// One server for all tests of a suite; they are skipped without one.
class SqlServerTest : public ::testing::Test {
  protected:
    static void SetUpTestSuite() { server_ = new SqlServer(); }
    static void TearDownTestSuite() {
        delete server_;
        server_ = nullptr;
    }
    void SetUp() override {
        if (!server_->is_up) GTEST_SKIP() << "no PostgreSQL server on this machine";
    }
    inline static SqlServer* server_ = nullptr;
};

}  // namespace aeterna::env::testing
