// The qdrant section of the stack file.
#include "qdrant/settings.h"

#include <gtest/gtest.h>

#include "../support/fake_env.h"
#include "qdrant/module.h"

namespace aeterna::qdrant {
namespace {

Result<SettingsPointer> load(const std::string& text, aeterna::testing::FakeFiles& files,
                             Status* finished = nullptr) {
    auto root = config::Section::parse(text, "stack.yaml");
    if (!root) return root.error();
    config::Stack stack;
    stack.name = "test";
    config::StoreSection section{"qdrant", {}, {}, *root};
    auto settings = load_settings(stack, section, files);
    if (finished != nullptr) *finished = root->finish();
    return settings;
}

TEST(Settings, ReadsNodesAndKey) {
    aeterna::testing::FakeFiles files;
    files.content["/key"] = "secret\n";
    Status finished;
    const auto settings = load(
        "api_key_file: /key\nnodes:\n  - {name: qdrant-1, url: 'http://10.0.0.1:6333/'}\n"
        "  - {name: qdrant-2, url: 'https://q2.example:6333'}\n",
        files, &finished);
    ASSERT_TRUE(settings) << settings.error().to_string();
    EXPECT_TRUE(finished);
    EXPECT_EQ((*settings)->api_key.reveal(), "secret");
    EXPECT_EQ((*settings)->nodes[0].url, "http://10.0.0.1:6333");
    EXPECT_EQ(host_of_url((*settings)->nodes[1].url), "q2.example");
}

TEST(Settings, RefusesWhatIsWrong) {
    const char* cases[] = {
        "nodes: []\n",
        "api_key_file: /missing\nnodes: [{name: a, url: 'http://x'}]\n",
        "nodes: [{name: a, url: 'http://x'}, {name: a, url: 'http://y'}]\n",
        "nodes: [{name: a, url: 'http://x'}, {name: b, url: 'http://x/'}]\n",
        "nodes: [{name: a, url: 'x:6333'}]\n",
        "nodes: [{name: a}]\n",
        "nodes: [{name: a, url: 'http://x', port: 1}]\n",
        "api_key: literal\nnodes: [{name: a, url: 'http://x'}]\n",
    };
    for (const char* text : cases) {
        aeterna::testing::FakeFiles files;
        Status finished;
        const auto settings = load(text, files, &finished);
        EXPECT_FALSE(settings && finished) << text;
    }
}

TEST(Module, HasNoRunbookButADrillStore) {
    aeterna::testing::FakeEnv fake;
    const auto root =
        config::Section::parse("nodes: [{name: a, url: 'http://127.0.0.1:1'}]\n", "stack.yaml");
    ASSERT_TRUE(root);
    config::Stack stack;
    const auto store = make_module()->open(stack, {"qdrant", {}, {}, *root}, fake.env);
    ASSERT_TRUE(store) << store.error().to_string();
    EXPECT_TRUE((*store)->runbooks().empty());
    EXPECT_EQ((*store)->make_runbook("failover", Json::object()).error().code,
              ErrorCode::kNotFound);
    const auto drill = (*store)->make_drill_store();
    EXPECT_FALSE(drill->has_primary());
    EXPECT_EQ(drill->server(), "unknown") << "nobody answers";
    EXPECT_EQ(drill->fault_target(engine::FaultKind::kKill, fake.clock.context()).error().code,
              ErrorCode::kNotFound);
    const auto findings = (*store)->check_config(fake.clock.context());
    EXPECT_TRUE(std::any_of(findings.begin(), findings.end(), [](const auto& finding) {
        return finding.level == engine::ConfigFinding::Level::kError && finding.subject == "a";
    }));
}

// Prometheus that does not scrape serve is told, not left silent.
TEST(Module, ChecksThatItsOwnMetricComesBack) {
    aeterna::testing::FakeEnv fake;
    const auto root = config::Section::parse("nodes: [{name: a, url: 'http://127.0.0.1:1'}]\n", "stack.yaml");
    ASSERT_TRUE(root);
    config::Stack stack;
    stack.name = "test";
    stack.prometheus_url = "http://prom";
    const auto store = make_module()->open(stack, {"qdrant", {}, {}, *root}, fake.env);
    ASSERT_TRUE(store);
    const auto level = [&](const std::string& answer) {
        fake.http.handler = [&](const env::HttpRequest& request) -> Result<env::HttpResponse> {
            if (request.url.starts_with("http://prom") && !answer.empty()) return env::HttpResponse{200, {}, answer};
            return make_error(ErrorCode::kConnectionRefused, "nobody");
        };
        for (const auto& finding : (*store)->check_config(fake.clock.context())) {
            if (finding.subject == "qdrant metric") return finding.level;
        }
        return engine::ConfigFinding::Level::kError;
    };
    const std::string head = R"({"status":"success","data":{"resultType":"vector","result":[)";
    EXPECT_EQ(level(""), engine::ConfigFinding::Level::kWarning);
    EXPECT_EQ(level(head + "]}}"), engine::ConfigFinding::Level::kWarning);
    EXPECT_EQ(level(head + R"({"metric":{"status":"Red","stack":"test"},"value":[1,"1"]}]}})"),
              engine::ConfigFinding::Level::kOk);
}

// A relative path means the stack file's folder, as everywhere.
TEST(Settings, CertificatesLieBesideTheStackFile) {
    aeterna::testing::FakeFiles files;
    const auto root = config::Section::parse(
        "ca_file: ca.pem\ncertificate_file: c.pem\nkey_file: /k.pem\nnodes: [{name: a, url: 'http://x'}]\n", "/etc/s/stack.yaml");
    ASSERT_TRUE(root);
    const auto settings = load_settings({}, {"qdrant", {}, {}, *root}, files);
    ASSERT_TRUE(settings);
    EXPECT_EQ((*settings)->tls.ca_file, "/etc/s/ca.pem");
    EXPECT_EQ((*settings)->tls.certificate_file, "/etc/s/c.pem");
    EXPECT_EQ((*settings)->tls.key_file, "/k.pem");
}

TEST(HostOfUrl, Table) {
    EXPECT_EQ(host_of_url("http://127.0.0.1:6333/"), "127.0.0.1");
    EXPECT_EQ(host_of_url("https://[::1]:6333"), "[::1]");
    EXPECT_EQ(host_of_url("http://host"), "host");
    EXPECT_EQ(host_of_url("ftp://host"), "");
    EXPECT_EQ(host_of_url(""), "");
}

}  // namespace
}  // namespace aeterna::qdrant
