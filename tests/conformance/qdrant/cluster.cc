#include "cluster.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "base/json.h"
#include "qdrant/client/qdrant.h"

namespace aeterna::qdrant::testing {
namespace {

std::string find_real_server() {
    if (const auto given = real_env().files.environment_variable("QDRANT_BIN");
        given && !given->empty()) {
        return *given;
    }
    return real_env().processes.find_program("qdrant").value_or("");
}

std::string address(int last_byte) { return fmt::format("127.0.93.{}", last_byte); }

// The first of three ports (API, gRPC, peers) that are free at every node's address; other programs
// and other runs of this one may use the same addresses. Below the kernel's ports for outgoing
// connections.
int choose_ports(int first) {
    for (int attempt = 0; attempt < 100; ++attempt) {
        const int port = 20000 + 3 * static_cast<int>(real_env().random.next() % 4000);
        bool is_free = true;
        for (int i = 0; i < Cluster::kNodes; ++i)
            for (int service = 0; service < 3; ++service)
                is_free = is_free &&
                          real_env().dialer.can_listen({address(first + i), port + service});
        if (is_free) return port;
    }
    ADD_FAILURE() << "no free ports at " << address(first) << " and the addresses after it";
    return 0;
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
    // A key of its own: a server that an earlier run left answers it with 401.
    const std::string key =
        fmt::format("{:016x}{:016x}", real_env().random.next(), real_env().random.next());
    settings->api_key = Secret(key);
    cluster->port_ = choose_ports(first);
    Json peers = Json::array();
    for (int i = 0; i < kNodes; ++i) {
        NodeSettings node;
        node.name = "qdrant-" + std::to_string(i + 1);
        node.url = fmt::format("http://{}:{}", address(first + i), cluster->port_);
        peers.push_back({{"name", node.name}, {"peer_id", i + 1}, {"url", node.url}});
        settings->nodes.push_back(node);
    }
    cluster->settings_ = settings;
    cluster->processes_.resize(kNodes);
    const std::string key_file = cluster->directory_ + "/key";
    EXPECT_TRUE(real_env().files.write_durable(key_file, key + "\n"));
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
    if (directory_.empty()) return;  // nothing was started
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
    const std::string peer_port = std::to_string(port_ + 2);
    const std::string peer = "http://" + host + ":" + peer_port;
    options.argv = {program_, "--disable-telemetry", "--uri", peer};
    if (index > 0) {
        options.argv.insert(
            options.argv.end(),
            {"--bootstrap", "http://" + host_of_url(node(0).url) + ":" + peer_port});
    }
    options.working_directory = directory_of(index);
    options.environment = {{"QDRANT__SERVICE__HOST", host},
                           {"QDRANT__SERVICE__HTTP_PORT", std::to_string(port_)},
                           {"QDRANT__SERVICE__GRPC_PORT", std::to_string(port_ + 1)},
                           {"QDRANT__CLUSTER__P2P__PORT", peer_port},
                           {"QDRANT__SERVICE__API_KEY", settings_->api_key.reveal()},
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
    bool is_answered = false;
    while (!is_answered) {
        is_answered = client.cluster(within(1s)).has_value();
        // Asked after the answer: what answers for a dead process is another server.
        const bool is_hopeful = real_env().processes.is_alive(*started) &&
                                (is_answered || real_env().clock.remaining(limit) > Duration{});
        ASSERT_TRUE(is_hopeful)
            << real_env().files.read_tail(directory_of(index) + ".log", 2000).value_or("no log");
        if (!is_answered) real_env().clock.sleep_for(50ms, {});
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
