#include "cluster.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "base/json.h"
#include "qdrant/client/qdrant.h"

namespace aeterna::qdrant::testing {
namespace {

constexpr const char* kApiKey = "contract-key";

std::string find_real_server() {
    if (const auto given = real_env().files.environment_variable("QDRANT_BIN");
        given && !given->empty()) {
        return *given;
    }
    return real_env().processes.find_program("qdrant").value_or("");
}

}  // namespace

std::unique_ptr<Cluster> Cluster::start(bool is_real, int first) {
    std::unique_ptr<Cluster> cluster(new Cluster);
    if (is_real) {
        cluster->program_ = find_real_server();
        if (cluster->program_.empty()) return nullptr;
    }
    std::string pattern = "/var/tmp/aeterna-contract-XXXXXX";
    cluster->directory_ = ::mkdtemp(pattern.data());
    auto settings = std::make_shared<Settings>();
    settings->stack_name = "contract";
    settings->api_key = Secret(kApiKey);
    Json peers = Json::array();
    for (int i = 0; i < kNodes; ++i) {
        NodeSettings node;
        node.name = "qdrant-" + std::to_string(i + 1);
        node.url = "http://127.0.93." + std::to_string(first + i) + ":6333";
        peers.push_back({{"name", node.name}, {"peer_id", i + 1}, {"url", node.url}});
        settings->nodes.push_back(node);
    }
    cluster->settings_ = settings;
    cluster->processes_.resize(kNodes);
    const std::string key_file = cluster->directory_ + "/key";
    EXPECT_TRUE(real_env().files.write_durable(key_file, std::string(kApiKey) + "\n"));
    for (int i = 0; i < kNodes; ++i) {
        EXPECT_TRUE(real_env().files.make_directories(cluster->directory_of(i)));
        const std::string& url = cluster->node(i).url;
        const Json config = {{"name", cluster->node(i).name},
                             {"listen", url.substr(7)},
                             {"storage", cluster->directory_of(i)},
                             {"api_key_file", key_file},
                             {"peers", peers}};
        EXPECT_TRUE(
            real_env().files.write_durable(cluster->directory_of(i) + ".json", dump_json(config)));
        cluster->launch(i);
    }
    return cluster;
}

Cluster::~Cluster() {
    for (int i = 0; i < kNodes; ++i) kill(i);
    (void)real_env().files.remove_tree(directory_);
}

env::SpawnOptions Cluster::command(int index) const {
    env::SpawnOptions options;
    options.log_path = directory_of(index) + ".log";
    if (program_.empty()) {
        options.argv = {real_env().processes.own_executable(), "--stand-in",
                        directory_of(index) + ".json"};
        return options;
    }
    const std::string host = host_of_url(node(index).url);
    const std::string peer = "http://" + host + ":6335";
    options.argv = {program_, "--disable-telemetry", "--uri", peer};
    if (index > 0) {
        options.argv.insert(options.argv.end(),
                            {"--bootstrap", "http://" + host_of_url(node(0).url) + ":6335"});
    }
    options.working_directory = directory_of(index);
    options.environment = {{"QDRANT__SERVICE__HOST", host},
                           {"QDRANT__SERVICE__API_KEY", kApiKey},
                           {"QDRANT__CLUSTER__ENABLED", "true"},
                           {"QDRANT__TELEMETRY_DISABLED", "true"},
                           {"QDRANT__STORAGE__STORAGE_PATH", directory_of(index) + "/storage"},
                           {"QDRANT__STORAGE__SNAPSHOTS_PATH", directory_of(index) + "/snapshots"}};
    return options;
}

void Cluster::launch(int index) {
    const auto started = real_env().processes.spawn(command(index));
    ASSERT_TRUE(started) << started.error().to_string();
    processes_[static_cast<std::size_t>(index)] = *started;
    const Client client(node(index), *settings_, real_env());
    const env::Context limit = within(20s);
    while (!client.cluster(within(1s))) {
        ASSERT_TRUE(real_env().clock.remaining(limit) > Duration{})
            << real_env().files.read_tail(directory_of(index) + ".log", 2000).value_or("no log");
        real_env().clock.sleep_for(50ms, {});
    }
}

void Cluster::kill(int index) {
    auto& process = processes_[static_cast<std::size_t>(index)];
    if (!process) return;
    (void)real_env().processes.signal(*process, SIGKILL);
    EXPECT_TRUE(real_env().processes.wait_gone(*process, within(10s)));
    process.reset();
}

void Cluster::pause(int index) {
    ASSERT_TRUE(real_env().processes.signal(*processes_[static_cast<std::size_t>(index)], SIGSTOP));
}

void Cluster::resume(int index) {
    ASSERT_TRUE(real_env().processes.signal(*processes_[static_cast<std::size_t>(index)], SIGCONT));
}

void Cluster::wipe(int index) {
    ASSERT_TRUE(real_env().files.remove_tree(directory_of(index)));
    ASSERT_TRUE(real_env().files.make_directories(directory_of(index)));
}

}  // namespace aeterna::qdrant::testing
