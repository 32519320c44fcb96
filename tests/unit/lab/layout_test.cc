// The choice of subnet and ports, and what follows from it.
#include "lab/layout.h"

#include <gtest/gtest.h>

#include <set>

#include "base/strings.h"

namespace aeterna::lab {
namespace {

constexpr const char* kDirectory = "/var/tmp/somewhere/lab";

bool all_free(const env::Endpoint&) { return true; }

Layout chosen(const std::set<int>& taken = {}) {
    return *Layout::choose(kDirectory, taken, all_free);
}

TEST(Layout, TakesTheSubnetOfItsNameAndStockPorts) {
    const Layout layout = chosen();
    EXPECT_EQ(layout.subnet, 16 + static_cast<int>(stable_hash(kDirectory) % 235));
    EXPECT_EQ(layout.ports.at("etcd"), 2379);
    EXPECT_EQ(layout.ports.at("sentinel"), 26379);
    EXPECT_EQ(layout.ports.at("qdrant_peer"), 6335);
    EXPECT_EQ(layout.endpoint("haproxy", kFrontHost).to_string(),
              "127.0." + std::to_string(layout.subnet) + ".10:5000");
}

TEST(Layout, SkipsSubnetsOfOtherLabs) {
    const int first = chosen().subnet;
    EXPECT_EQ(chosen({first}).subnet, first == 250 ? 16 : first + 1);
}

TEST(Layout, WrapsAroundAtTheLastSubnet) {
    std::set<int> taken;
    for (int subnet = chosen().subnet; subnet <= kLastSubnet; ++subnet) taken.insert(subnet);
    EXPECT_EQ(chosen(taken).subnet, kFirstSubnet);
}

TEST(Layout, RefusesWhenEverySubnetIsTaken) {
    std::set<int> taken;
    for (int subnet = kFirstSubnet; subnet <= kLastSubnet; ++subnet) taken.insert(subnet);
    const auto layout = Layout::choose(kDirectory, taken, all_free);
    ASSERT_FALSE(layout);
    EXPECT_EQ(layout.error().code, ErrorCode::kUnavailable);
}

TEST(Layout, SkipsASubnetWhereOneEndpointIsTaken) {
    const int first = chosen().subnet;
    const env::Endpoint busy = chosen().endpoint("redis", 2);
    const auto layout = Layout::choose(
        kDirectory, {}, [&](const env::Endpoint& endpoint) { return endpoint != busy; });
    ASSERT_TRUE(layout);
    EXPECT_NE(layout->subnet, first);
    EXPECT_EQ(layout->ports.at("redis"), 6379)
        << "a listener on one address is no reason for another port";
}

struct WildcardCase {
    const char* service;
    int listener;
    int expected;
};

class Wildcard : public testing::TestWithParam<WildcardCase> {};

TEST_P(Wildcard, ShiftsThePortButStaysOnItsSubnet) {
    const auto layout = Layout::choose(kDirectory, {}, [](const env::Endpoint& endpoint) {
        return endpoint.port != GetParam().listener;
    });
    ASSERT_TRUE(layout);
    EXPECT_EQ(layout->ports.at(GetParam().service), GetParam().expected);
    EXPECT_EQ(layout->subnet, chosen().subnet);
}

// 26379 + 10000 would lie where the kernel picks local ports of outgoing connections.
INSTANTIATE_TEST_SUITE_P(Ports, Wildcard,
                         testing::Values(WildcardCase{"redis", 6379, 16379},
                                         WildcardCase{"etcd", 2379, 12379},
                                         WildcardCase{"postgres", 5432, 15432},
                                         WildcardCase{"sentinel", 26379, 61379}));

TEST(Layout, NeverUsesTheKernelsLocalPortsNorOnePortTwice) {
    // Only every 7th port is free: many shifts.
    const auto layout = Layout::choose(
        kDirectory, {}, [](const env::Endpoint& endpoint) { return endpoint.port % 7 == 0; });
    ASSERT_TRUE(layout);
    std::set<int> used;
    for (const auto& [service, port] : layout->ports) {
        EXPECT_TRUE(port < 32768 || port > 60999) << service << " " << port;
        EXPECT_TRUE(used.insert(port).second) << service << " " << port;
    }
}

TEST(Layout, SurvivesLabJson) {
    Layout layout = chosen();
    layout.synchronous = true;
    layout.initialized = true;
    layout.qdrant_program = "/usr/local/bin/qdrant";
    layout.patroni_program = "/opt/patroni/bin/patroni";
    const auto again = Layout::from_json(layout.to_json());
    ASSERT_TRUE(again);
    EXPECT_EQ(again->to_json(), layout.to_json());
    EXPECT_TRUE(again->has_real_qdrant());
    EXPECT_EQ(again->patroni_program, "/opt/patroni/bin/patroni");
}

TEST(Layout, RefusesABrokenLabJson) {
    for (const char* member : {"directory", "subnet", "ports"}) {
        Json document = chosen().to_json();
        document.erase(member);
        EXPECT_FALSE(Layout::from_json(document)) << member;
    }
    Json document = chosen().to_json();
    document["ports"].erase("serve");
    EXPECT_FALSE(Layout::from_json(document));
    document = chosen().to_json();
    document["subnet"] = 251;
    EXPECT_FALSE(Layout::from_json(document));
    EXPECT_FALSE(Layout::from_json(Json::array()));
}

TEST(Layout, HasEveryNodeOnceAndEqualNumbersOnOneAddress) {
    const Layout layout = chosen();
    std::set<std::string> names;
    for (const Node& node : layout.nodes()) {
        EXPECT_TRUE(names.insert(node.name).second) << node.name;
        if (node.host <= kHosts) {
            EXPECT_EQ(node.name.back() - '0', node.host) << node.name;
        }
        EXPECT_TRUE(node.address.host.ends_with("." + std::to_string(node.host))) << node.name;
    }
    EXPECT_EQ(names.size(), 24U);
    for (const char* name : {"etcd-3", "patroni-1", "postgres-2", "redis-3", "sentinel-2",
                             "qdrant-1", "exporter-3", "haproxy-1", "prometheus-1", "serve"})
        EXPECT_TRUE(names.contains(name)) << name;
    EXPECT_EQ(layout.find("qdrant-2")->server, "stand-in");
    EXPECT_FALSE(layout.find("qdrant-4"));
}

TEST(Layout, DropsSocketsWhosePathIsTooLong) {
    Layout layout = chosen();
    EXPECT_EQ(layout.socket_directory(2), std::string(kDirectory) + "/run/postgres-2");
    layout.directory = "/var/tmp/" + std::string(90, 'x');
    EXPECT_EQ(layout.socket_directory(2), "");
}

TEST(Layout, RefusesDirectoriesThatConfigurationFilesCannotHold) {
    for (const char* bad : {"", "lab", "/", "/lab", "/var/tmp/my lab", "/var/tmp/a'b",
                            "/var/tmp/a,b", "/var/tmp/a\nb"})
        EXPECT_TRUE(unusable_directory(bad)) << bad;
    EXPECT_FALSE(unusable_directory("/var/tmp/aeterna-dr-0/lab"));
}

}  // namespace
}  // namespace aeterna::lab
