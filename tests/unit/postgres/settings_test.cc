// The postgres section of the stack file: what makes two servers one, or names something else than was meant.
#include "postgres/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/fake_env.h"
#include "postgres/engines/engine_settings.h"

namespace aeterna::postgres::testing {
namespace {

using ::testing::HasSubstr;

constexpr const char* kFirst =
    "  - {name: one, agent: a1, address: '10.0.0.1:5432', patroni: 'http://10.0.0.1:8008/'}\n";

struct Read {
    Settings settings;
    Status finished;
};

Read read(const std::string& nodes, const std::string& more = "scope: main\n") {
    aeterna::testing::FakeEnv fake;
    auto root = config::Section::parse(more + "nodes:\n" + nodes, "/etc/s/stack.yaml");
    EXPECT_TRUE(root);
    config::Stack stack;
    stack.name = "test";
    Read result;
    result.settings = read_settings(stack, {"postgres", {}, {}, *root}, fake.env);
    result.finished = root->finish();
    return result;
}

TEST(Settings, ReadsANode) {
    const Read good =
        read(std::string(kFirst) + "  - {name: two, address: '10.0.0.2:5432', patroni: 'http://10.0.0.2:8008'}\n",
             "scope: main\nssl_root_certificate: ca.pem\n");
    ASSERT_TRUE(good.finished) << good.finished.error().to_string();
    EXPECT_EQ(good.settings.nodes[0].patroni_url, "http://10.0.0.1:8008");
    EXPECT_EQ(good.settings.nodes[1].agent, "patroni@two");
    EXPECT_EQ(good.settings.nodes[1].member, "two");
    EXPECT_EQ(good.settings.ssl_root_certificate, "/etc/s/ca.pem") << "as every path, from the stack file's folder";
}

TEST(Settings, NoTwoNodesShareWhatIsOneServers) {
    const std::pair<const char*, const char*> cases[] = {
        {"{name: one, address: '10.0.0.2:5432', patroni: 'http://10.0.0.2:8008'}", "the node name 'one' is used twice"},
        {"{name: two, agent: a1, address: '10.0.0.2:5432', patroni: 'http://10.0.0.2:8008'}", "the node name 'a1'"},
        {"{name: a1, address: '10.0.0.2:5432', patroni: 'http://10.0.0.2:8008'}", "the node name 'a1'"},
        {"{name: two, member: one, address: '10.0.0.2:5432', patroni: 'http://10.0.0.2:8008'}",
         "the member name 'one'"},
        {"{name: two, address: '10.0.0.1:5432', patroni: 'http://10.0.0.2:8008'}", "the address '10.0.0.1:5432'"},
        {"{name: two, address: '10.0.0.2:5432', patroni: 'http://10.0.0.1:8008'}", "the URL 'http://10.0.0.1:8008'"},
        {"{name: a/b, address: '10.0.0.2:5432', patroni: 'http://10.0.0.2:8008'}", "'a/b' is no node name"},
        {"{name: two, address: '10.0.0.2:5432', patroni: 'http://10.0.0.2:80080'}", "is no http(s) address"},
    };
    for (const auto& [node, expected] : cases) {
        const Read bad = read(std::string(kFirst) + "  - " + node + "\n");
        ASSERT_FALSE(bad.finished) << node;
        EXPECT_THAT(bad.finished.error().message, HasSubstr("/etc/s/stack.yaml:4: ")) << node;
        EXPECT_THAT(bad.finished.error().message, HasSubstr(expected));
        EXPECT_FALSE(bad.finished.error().hint.empty());
    }
}

TEST(Settings, AScopeIsOnePartOfAKey) {
    const Read bad = read(kFirst, "scope: main/../other\n");
    ASSERT_FALSE(bad.finished);
    EXPECT_THAT(bad.finished.error().message, HasSubstr(":1: 'scope' contains a '/'"));
}

TEST(Settings, ASlotHasANameThatTheServerTakes) {
    EXPECT_EQ(read(kFirst).settings.slot, "aeterna");
    EXPECT_TRUE(read(kFirst, "scope: main\nslot: dr_2\n").finished);
    const std::string too_long(64, 'a');
    for (const std::string& bad : {std::string("'DR'"), std::string("a-b"), std::string("'a b'"), too_long}) {
        const Read refused = read(kFirst, "scope: main\nslot: " + bad + "\n");
        ASSERT_FALSE(refused.finished) << bad;
        EXPECT_THAT(refused.finished.error().message, HasSubstr("'slot' is no name of a replication slot"));
    }
}

TEST(Settings, CaptureConfirmsCommitsOnlyUnderANameOfItsOwn) {
    EXPECT_EQ(read(kFirst).settings.synchronous_name, "");
    EXPECT_EQ(read(kFirst, "scope: main\nsynchronous_name: Repository-1\n").settings.synchronous_name, "repository-1");
    for (const char* bad : {"'*'", "'a b'", "'a,b'"}) {
        const Read refused = read(kFirst, std::string("scope: main\nsynchronous_name: ") + bad + "\n");
        ASSERT_FALSE(refused.finished) << bad;
        EXPECT_THAT(refused.finished.error().message, HasSubstr("no name for a standby"));
    }
    const Read member = read(kFirst, "scope: main\nsynchronous_name: One\n");
    ASSERT_FALSE(member.finished);
    EXPECT_THAT(member.finished.error().message, HasSubstr("the name of a node"));
}

TEST(Settings, CaptureNeedsARepositoryAndALimitThatHoldsASegment) {
    EXPECT_FALSE(read(kFirst).settings.captures);
    EXPECT_EQ(read(kFirst).settings.slot_limit, 16ULL << 30);
    const Read without = read(kFirst, "scope: main\ncapture: on\n");
    ASSERT_FALSE(without.finished);
    EXPECT_THAT(without.finished.error().message, HasSubstr("'capture: on' needs a repository"));
    const Read small = read(kFirst, "scope: main\nslot_limit: 15MiB\n");
    ASSERT_FALSE(small.finished);
    EXPECT_THAT(small.finished.error().message, HasSubstr("at least 16MiB"));
}

struct ReadEngine {
    EngineSettings engine;
    Status finished;
};

ReadEngine read_engine(const std::string& more) {
    auto root = config::Section::parse("scope: main\n" + more, "/etc/s/stack.yaml");
    EXPECT_TRUE(root);
    const EngineSettings engine = read_engine_settings({"postgres", {}, {}, *root});
    return {engine, root->finish()};
}

TEST(Settings, AnEngineIsDescribedByItsOwnSection) {
    EXPECT_TRUE(read_engine("").engine.is_native());
    const ReadEngine pgbackrest =
        read_engine("engine: pgbackrest\npgbackrest: {stanza: cold, config_file: pgbackrest.conf}\n");
    ASSERT_TRUE(pgbackrest.finished) << pgbackrest.finished.error().to_string();
    EXPECT_EQ(pgbackrest.engine.series, "cold");
    EXPECT_EQ(pgbackrest.engine.program, "pgbackrest");
    EXPECT_EQ(pgbackrest.engine.config_file, "/etc/s/pgbackrest.conf");
    const ReadEngine wal_g =
        read_engine("engine: wal-g\nengine_user: pg\nwal_g: {data_directory: /data, program: /opt/wal-g}\n");
    ASSERT_TRUE(wal_g.finished) << wal_g.finished.error().to_string();
    EXPECT_EQ(wal_g.engine.kind, EngineSettings::Kind::kWalG);
    EXPECT_EQ(std::tie(wal_g.engine.series, wal_g.engine.user, wal_g.engine.program),
              std::make_tuple(std::string("main"), std::string("pg"), std::string("/opt/wal-g")));
}

TEST(Settings, WhatAnEngineDoesNotUnderstandIsRefused) {
    const std::pair<const char*, const char*> cases[] = {
        {"engine: barman\n", "'engine'"},
        {"engine: pgbackrest\n", "stanza"},
        {"engine: wal-g\n", "data directory"},
        {"pgbackrest: {stanza: main}\n", "'engine' is 'native'"},
        {"engine_user: postgres\n", "'engine' is 'native'"},
        {"engine: wal-g\nwal_g: {data_directory: /data}\npgbackrest: {stanza: main}\n", "'engine' is 'wal-g'"},
        {"engine: pgbackrest\npgbackrest: {stanza: main, data_directory: /data}\n", "data_directory"},
        {"capture: on\nengine: pgbackrest\npgbackrest: {stanza: main}\n", "'capture: on' beside"},
    };
    for (const auto& [text, expected] : cases) {
        const ReadEngine bad = read_engine(text);
        ASSERT_FALSE(bad.finished) << text;
        EXPECT_THAT(bad.finished.error().message, HasSubstr(expected)) << text;
    }
}

}  // namespace
}  // namespace aeterna::postgres::testing
