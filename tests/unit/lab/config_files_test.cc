// The lines of the servers' configuration that the product relies on, and where secrets may be.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "base/strings.h"
#include "lab/server_commands.h"
#include "lab/server_config.h"
#include "unit/lab/fixture.h"

namespace aeterna::lab {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(PatroniConfig, KeepsStockTimingsAndUsesEtcdV3) {
    const std::string text = patroni_config(test_layout(), test_secrets(), test_programs(), 2);
    for (const char* line :
         {"name: postgres-2\n", "scope: aeterna\n", "    ttl: 30\n", "    loop_wait: 10\n",
          "    retry_timeout: 10\n", "    maximum_lag_on_failover: 1048576\n",
          "    synchronous_mode: false\n", "      use_pg_rewind: true\n",
          "etcd3:\n  hosts: ['127.0.20.1:2379', '127.0.20.2:2379', '127.0.20.3:2379']\n",
          "    - data-checksums\n", "    - locale: C.UTF-8\n", "  listen: 127.0.20.2:5432\n",
          "  listen: 127.0.20.2:8008\n", "  data_dir: /var/tmp/t/lab/data/postgres-2\n",
          "    - checkpoint: fast\n", "    fsync: 'on'\n",
          "    unix_socket_directories: '/var/tmp/t/lab/run/postgres-2'\n",
          "    - host all all 127.0.0.0/8 scram-sha-256\n", "  mode: 'off'\n"})
        EXPECT_THAT(text, HasSubstr(line));
}

TEST(PatroniConfig, SynchronousModeIsWhatTheLayoutSays) {
    Layout layout = test_layout();
    layout.synchronous = true;
    EXPECT_THAT(patroni_config(layout, test_secrets(), test_programs(), 1),
                HasSubstr("synchronous_mode: true"));
}

TEST(RedisConfig, OnlyTheOthersFollowTheFirst) {
    const std::string first = redis_config(test_layout(), test_secrets(), 1);
    EXPECT_THAT(first, Not(HasSubstr("replicaof")));
    const std::string second = redis_config(test_layout(), test_secrets(), 2);
    for (const char* line :
         {"replicaof 127.0.20.1 6379\n", "bind 127.0.20.2\n", "replica-announce-ip 127.0.20.2\n",
          "appendonly yes\n", "appendfsync everysec\n", "requirepass secret-redis\n",
          "masterauth secret-redis\n"})
        EXPECT_THAT(second, HasSubstr(line));
}

TEST(SentinelConfig, KeepsStockTimings) {
    const std::string text = sentinel_config(test_layout(), test_secrets(), 3);
    for (const char* line :
         {"sentinel monitor aeterna-master 127.0.20.1 6379 2\n",
          "sentinel down-after-milliseconds aeterna-master 30000\n",
          "sentinel failover-timeout aeterna-master 180000\n",
          "sentinel auth-pass aeterna-master secret-redis\n", "sentinel announce-ip 127.0.20.3\n"})
        EXPECT_THAT(text, HasSubstr(line));
}

TEST(HaproxyConfig, SendsWritersToTheLeaderOnly) {
    const std::string text = haproxy_config(test_layout());
    const auto primary = text.find("listen primary\n    bind 127.0.20.10:5000\n");
    const auto replicas = text.find("listen replicas\n    bind 127.0.20.10:5001\n");
    ASSERT_NE(primary, std::string::npos);
    ASSERT_NE(replicas, std::string::npos);
    EXPECT_THAT(text.substr(primary, replicas - primary), HasSubstr("httpchk OPTIONS /primary\n"));
    EXPECT_THAT(text.substr(replicas), HasSubstr("httpchk OPTIONS /replica\n"));
    EXPECT_THAT(
        text,
        HasSubstr("default-server inter 3s fall 3 rise 2 on-marked-down shutdown-sessions\n"));
    EXPECT_THAT(text, HasSubstr("server postgres-3 127.0.20.3:5432 maxconn 100 check port 8008\n"));
}

TEST(PrometheusConfig, NamesTheJobsThatDetectorsAskFor) {
    const std::string text = prometheus_config(test_layout());
    for (const char* line : {"job_name: postgres\n", "job_name: patroni\n",
                             "job_name: aeterna-dr\n", "targets: ['127.0.20.3:9187']\n",
                             "labels: {node: postgres-3}\n", "targets: ['127.0.20.10:9464']\n"})
        EXPECT_THAT(text, HasSubstr(line));
}

TEST(StandInConfig, NamesAllPeersAndNoSecret) {
    const std::string text = stand_in_config(test_layout(), 2);
    const auto document = parse_json(text, "stand-in");
    ASSERT_TRUE(document);
    EXPECT_EQ(find_string(*document, "listen"), "127.0.20.2:6333");
    EXPECT_EQ((*document)["peers"].size(), 3U);
    EXPECT_EQ((*document)["peers"][2]["url"], "http://127.0.20.3:6333");
    EXPECT_THAT(text, Not(HasSubstr("secret-")));
}

TEST(ServerCommands, NeverHaveASecretInTheirArguments) {
    for (const char* qdrant : {"", "/usr/local/bin/qdrant"}) {
        Layout layout = test_layout();
        layout.qdrant_program = qdrant;
        for (const Node& node : layout.nodes()) {
            if (!node.is_spawned) continue;
            const auto command =
                server_command(layout, test_secrets(), test_programs(), node, std::nullopt);
            EXPECT_THAT(join(command.argv, " "), Not(HasSubstr("secret-"))) << node.name;
            EXPECT_EQ(command.environment.at(kMarkerVariable), layout.directory) << node.name;
            EXPECT_EQ(command.inherit_environment, node.kind == "serve") << node.name;
        }
    }
}

TEST(ServerCommands, ServersRunAsTheGivenUserAndServeAsOneself) {
    env::User user;
    user.name = "postgres";
    const Layout layout = test_layout();
    for (const Node& node : layout.nodes()) {
        if (!node.is_spawned) continue;
        const auto command = server_command(layout, test_secrets(), test_programs(), node, user);
        EXPECT_EQ(command.user.has_value(), node.kind != "serve") << node.name;
    }
}

TEST(ServerCommands, AnotherUsersStandInIsTheCopyInTheLab) {
    const Layout layout = test_layout();
    const auto program = [&](const char* name, const std::optional<env::User>& user) {
        return server_command(layout, test_secrets(), test_programs(), *layout.find(name), user)
            .argv.front();
    };
    EXPECT_EQ(program("qdrant-1", env::User{}), "/var/tmp/t/lab/bin/aeterna-dr");
    EXPECT_EQ(program("qdrant-1", std::nullopt), "/opt/aeterna-dr");
    EXPECT_EQ(program("serve", env::User{}), "/opt/aeterna-dr");
}

TEST(ServerCommands, AnotherPatroniBringsItsOwnInterpreter) {
    Layout layout = test_layout();
    const auto begin = [&] {
        auto argv =
            server_command(layout, test_secrets(), test_programs(), *layout.find("patroni-2"), {})
                .argv;
        argv.pop_back();
        return join(argv, " ");
    };
    EXPECT_EQ(begin(), "/usr/bin/python3 /usr/bin/patroni");
    layout.patroni_program = "/opt/patroni/bin/patroni";
    EXPECT_EQ(begin(), "/opt/patroni/bin/patroni");
}

TEST(ServerCommands, RealQdrantNodesJoinTheFirstWithTelemetryOff) {
    Layout layout = test_layout();
    layout.qdrant_program = "/usr/local/bin/qdrant";
    const auto argv = [&](const char* name) {
        return join(
            server_command(layout, test_secrets(), test_programs(), *layout.find(name), {}).argv,
            " ");
    };
    EXPECT_EQ(argv("qdrant-1"),
              "/usr/local/bin/qdrant --uri http://127.0.20.1:6335 --disable-telemetry");
    EXPECT_THAT(argv("qdrant-3"), HasSubstr("--uri http://127.0.20.3:6335"));
    EXPECT_THAT(argv("qdrant-3"), HasSubstr("--bootstrap http://127.0.20.1:6335"));
    const auto environment =
        server_command(layout, test_secrets(), test_programs(), *layout.find("qdrant-3"), {})
            .environment;
    EXPECT_EQ(environment.at("QDRANT__SERVICE__API_KEY"), "secret-qdrant");
    EXPECT_EQ(environment.at("QDRANT__TELEMETRY_DISABLED"), "true");
}

}  // namespace
}  // namespace aeterna::lab
