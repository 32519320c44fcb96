// What `lab up` writes must be what every other command reads.
#include "lab/stack_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/stack.h"
#include "unit/support/fake_env.h"
#include "unit/lab/fixture.h"

namespace aeterna::lab {
namespace {

class StackFile : public ::testing::Test {
  protected:
    config::Section root() {
        auto parsed =
            config::Section::parse(stack_file(test_layout(), test_programs()), "stack.yaml");
        EXPECT_TRUE(parsed) << parsed.error().to_string();
        return std::move(*parsed);
    }
};

TEST_F(StackFile, MarksTheLabAndNamesItsServices) {
    config::Section stack = root();
    EXPECT_EQ(stack.required_text("name"), "lab");
    EXPECT_EQ(stack.required_text("state_directory"), "/var/tmp/t/lab/state");
    EXPECT_EQ(stack.section("lab").required_text("directory"), "/var/tmp/t/lab");
    EXPECT_EQ(stack.section("etcd").texts("endpoints").size(), 3U);
    EXPECT_EQ(stack.section("prometheus").required_text("url"), "http://127.0.20.10:9090");
    EXPECT_EQ(stack.section("serve").required_endpoint("listen").to_string(), "127.0.20.10:9464");
}

TEST_F(StackFile, IsAWholeStackFile) {
    testing::FakeFiles files;
    files.content["/var/tmp/t/lab/stack.yaml"] = stack_file(test_layout(), test_programs());
    const auto stack = config::load_stack("/var/tmp/t/lab/stack.yaml", files);
    ASSERT_TRUE(stack) << stack.error().to_string();
    EXPECT_EQ(stack->lab_directory, "/var/tmp/t/lab");
    EXPECT_EQ(stack->repository, "/var/tmp/t/lab/repository");
    EXPECT_EQ(stack->repository_key_file, "/var/tmp/t/lab/secrets/repository.key");
    ASSERT_NE(stack->host_of("sentinel-3"), nullptr);
    EXPECT_EQ(stack->host_of("sentinel-3")->name, "host-3");
    EXPECT_EQ(stack->host_of("haproxy-1")->name, "front");
    for (const char* store : {"postgres", "redis", "qdrant"}) {
        ASSERT_NE(stack->find_store(store), nullptr) << store;
        EXPECT_TRUE(stack->find_store(store)->is_approved("drill")) << store;
    }
}

TEST_F(StackFile, EveryProcessCanBeFoundAndStarted) {
    std::map<std::string, std::string> pid_files;
    std::map<std::string, std::vector<std::string>> starts;
    for (config::Section& host : root().list("hosts"))
        for (config::Section& process : host.list("processes")) {
            const std::string node = process.required_text("node");
            pid_files[node] = process.required_text("pid_file");
            starts[node] = process.texts("start");
        }
    EXPECT_EQ(pid_files.size(), test_layout().nodes().size());
    EXPECT_EQ(pid_files["redis-2"], "/var/tmp/t/lab/run/redis-2.pid");
    EXPECT_EQ(pid_files["postgres-2"], "/var/tmp/t/lab/data/postgres-2/postmaster.pid");
    EXPECT_THAT(starts["redis-2"], ::testing::ElementsAre("/opt/aeterna-dr", "lab", "up", "--dir",
                                                        "/var/tmp/t/lab", "--only", "redis-2"));
    EXPECT_EQ(starts["postgres-2"].back(), "patroni-2") << "Patroni starts PostgreSQL";
}

TEST_F(StackFile, ApprovesEverythingThatALabIsFor) {
    config::Section stores = root().section("stores");
    EXPECT_THAT(stores.section("postgres").texts("approvals"),
                ::testing::ElementsAre("heartbeat", "failover", "switchover", "drill"));
    EXPECT_THAT(stores.section("redis").texts("approvals"),
                ::testing::ElementsAre("failover", "switchover", "drill"));
    EXPECT_THAT(stores.section("qdrant").texts("approvals"), ::testing::ElementsAre("drill"));
}

TEST_F(StackFile, LetsTheFailoversOfALabAct) {
    testing::FakeFiles files;
    files.content["/var/tmp/t/lab/stack.yaml"] = stack_file(test_layout(), test_programs());
    const auto stack = config::load_stack("/var/tmp/t/lab/stack.yaml", files);
    ASSERT_TRUE(stack) << stack.error().to_string();
    EXPECT_EQ(stack->find_store("postgres")->assist, config::Assist::kAct);
    EXPECT_EQ(stack->find_store("redis")->assist, config::Assist::kAct);
    EXPECT_EQ(stack->find_store("qdrant")->assist, config::Assist::kOff) << "it has no primary";
}

TEST_F(StackFile, DescribesTheStores) {
    config::Section stores = root().section("stores");
    config::Section postgres = stores.section("postgres");
    EXPECT_EQ(postgres.required_endpoint("client").to_string(), "127.0.20.10:5000");
    EXPECT_EQ(postgres.required_text("user"), "aeterna_dr");
    auto nodes = postgres.list("nodes");
    ASSERT_EQ(nodes.size(), 3U);
    EXPECT_EQ(nodes[1].required_text("agent"), "patroni-2");
    EXPECT_EQ(nodes[1].required_text("patroni"), "http://127.0.20.2:8008");
    config::Section redis = stores.section("redis");
    EXPECT_EQ(redis.required_text("master_name"), "aeterna-master");
    EXPECT_EQ(redis.list("nodes").size(), 3U);
    EXPECT_EQ(redis.list("sentinels").size(), 3U);
    EXPECT_EQ(stores.section("qdrant").list("nodes")[2].required_text("url"),
              "http://127.0.20.3:6333");
}

TEST_F(StackFile, SaysLoudlyThatQdrantIsAStandIn) {
    EXPECT_THAT(stack_file(test_layout(), test_programs()),
                ::testing::HasSubstr("# A STAND-IN answers here"));
    Layout layout = test_layout();
    layout.qdrant_program = "/usr/local/bin/qdrant";
    EXPECT_THAT(stack_file(layout, test_programs()), ::testing::Not(::testing::HasSubstr("STAND-IN")));
}

}  // namespace
}  // namespace aeterna::lab
