// Reading the postgres section: every key of docs/stack-file.md, nothing else.
#include "postgres/settings.h"

#include <fmt/format.h>

#include "base/strings.h"
#include "base/url.h"
#include "postgres/engines/engine_settings.h"

namespace aeterna::postgres {

namespace {

constexpr std::uint64_t kSlotLimit = 16ULL << 30;
constexpr std::uint64_t kSmallestSlotLimit = 16ULL << 20;

NodeSettings read_node(config::Section& section, const config::Stack& stack) {
    NodeSettings node;
    node.name = section.required_node("name");
    if (section.has("agent")) node.agent = section.required_node("agent");
    node.member = section.text("member", node.name);
    node.address = section.required_endpoint("address");
    node.patroni_url = section.required_url("patroni");
    if (node.agent.empty()) node.agent = "patroni@" + node.name;
    section.claim("name", "node name", node.name);
    section.claim("agent", "node name", node.agent);
    section.claim("member", "member name", node.member);
    section.claim("address", "address", node.address.port == 0 ? "" : node.address.to_string());
    section.claim("patroni", "URL", node.patroni_url);
    if (const config::Host* host = stack.host_of(node.name)) {
        node.host = host->name;
        node.site = host->site;
    }
    return node;
}

std::vector<NodeSettings> read_nodes(config::Section& section, const config::Stack& stack) {
    std::vector<NodeSettings> nodes;
    for (config::Section& item : section.list("nodes")) nodes.push_back(read_node(item, stack));
    if (nodes.empty()) {
        section.fail("nodes", "postgres has no 'nodes'",
                     "List every PostgreSQL server with its name, address and patroni.");
    }
    return nodes;
}

std::vector<engine::TestQuery> read_test_queries(config::Section& section, const std::string& database) {
    std::vector<engine::TestQuery> queries;
    config::Section test = section.section("restore_test");
    for (config::Section& item : test.list("queries")) {
        engine::TestQuery query;
        query.name = item.required_text("name");
        query.database = item.text("database", database);
        query.text = item.required_text("sql");
        query.expect = item.text("expect", query.expect);
        queries.push_back(std::move(query));
    }
    return queries;
}

// The server compares it without regard to case (src/backend/replication/syncrep.c), and '*' would mean anybody.
std::string read_synchronous_name(config::Section& section) {
    std::string name = lower(section.text("synchronous_name", ""));
    if (name.size() > 63 || name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-") != std::string::npos) {
        section.fail("synchronous_name", "'synchronous_name' is no name for a standby", "Use at most 63 of a-z, 0-9, _ and -.");
    }
    return name;
}

// What is said of an engine that is not the chosen one would silently mean nothing.
void refuse_other_engines(config::Section& section, const std::string& engine) {
    for (const auto& [key, owner] : {std::pair("pgbackrest", "pgbackrest"), std::pair("wal_g", "wal-g")}) {
        if (!section.has(key) || engine == owner) continue;
        section.fail(key, fmt::format("'{}' is given, but 'engine' is '{}'", key, engine), "Correct 'engine', or leave the section out.");
    }
    if (engine == "native" && section.has("engine_user")) {
        section.fail("engine_user", "'engine_user' is given, but 'engine' is 'native'", "Correct 'engine', or leave it out.");
    }
}

std::string key_prefix(std::string name_space, const std::string& scope) {
    name_space = without_final_slashes(std::move(name_space));
    if (name_space.empty() || name_space.front() != '/') name_space.insert(name_space.begin(), '/');
    return (name_space == "/" ? "" : name_space) + "/" + scope + "/";
}

}  // namespace

const config::Host* Settings::host_of(const std::string& node) const {
    for (const config::Host& host : hosts) {
        for (const config::HostProcess& process : host.processes) {
            if (process.node == node) return &host;
        }
    }
    return nullptr;
}

const NodeSettings* Settings::find(const std::string& node) const {
    for (const NodeSettings& candidate : nodes) {
        if (candidate.name == node) return &candidate;
    }
    return nullptr;
}

const NodeSettings* Settings::find_member(const std::string& member) const {
    for (const NodeSettings& candidate : nodes) {
        if (candidate.member == member) return &candidate;
    }
    return nullptr;
}

std::string Settings::node_of_member(const std::string& member) const {
    const NodeSettings* node = find_member(member);
    return node ? node->name : member;
}

env::SqlTarget Settings::sql_target(const env::Endpoint& endpoint) const {
    env::SqlTarget target;
    target.endpoint = endpoint;
    target.user = user;
    target.password = password;
    target.database = database;
    target.ssl_mode = ssl_mode;
    target.ssl_root_certificate = ssl_root_certificate;
    return target;
}

Settings read_settings(const config::Stack& stack, const config::StoreSection& store,
                       const env::Env& env) {
    config::Section section = store.settings;
    Settings settings;
    settings.stack_name = stack.name;
    settings.objectives = store.objectives;
    settings.heartbeat_approved = store.is_approved("heartbeat");
    settings.assist = store.assist;
    settings.scope = section.required_text("scope");
    if (settings.scope.find('/') != std::string::npos) {
        section.fail("scope", "'scope' contains a '/'", "Write Patroni's scope alone; what is before it is 'namespace'.");
    }
    settings.key_prefix = key_prefix(section.text("namespace", "/service"), settings.scope);
    settings.user = section.text("user", "aeterna_dr");
    settings.password = section.secret("password", env.files);
    settings.database = section.text("database", "postgres");
    settings.test_queries = read_test_queries(section, settings.database);
    settings.ssl_mode =
        section.word("ssl_mode", "prefer",
                     {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"});
    settings.ssl_root_certificate = section.path("ssl_root_certificate", "");
    settings.client = section.endpoint("client");
    settings.exporter_job = section.text("exporter_job", "");
    settings.has_repository = !stack.repository.empty();
    settings.captures = section.word("capture", "off", {"on", "off"}) == "on";
    if (settings.captures && !settings.has_repository) {
        section.fail("capture", "'capture: on' needs a repository", "Add 'repository: {place: …, key_file: …}' to the stack file.");
    }
    settings.slot = section.text("slot", "aeterna");
    // As the server has it (src/backend/replication/slot.c, ReplicationSlotValidateName).
    const bool fits = !settings.slot.empty() && settings.slot.size() <= 63 &&
                      settings.slot.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
    if (!fits) section.fail("slot", "'slot' is no name of a replication slot", "Use at most 63 of a-z, 0-9 and _.");
    settings.synchronous_name = read_synchronous_name(section);
    settings.slot_limit = section.bytes("slot_limit", kSlotLimit);
    if (settings.slot_limit < kSmallestSlotLimit) {
        section.fail("slot_limit", "'slot_limit' must be at least 16MiB", "16GiB is the default.");
    }
    settings.patroni_user = section.text("patroni_user", "");
    settings.patroni_password = section.secret("patroni_password", env.files);
    settings.etcd = stack.etcd;
    settings.prometheus_url = without_final_slashes(stack.prometheus_url);
    settings.nodes = read_nodes(section, stack);
    for (const NodeSettings& node : settings.nodes) {
        if (settings.synchronous_name != lower(node.name) && settings.synchronous_name != lower(node.member)) continue;
        section.fail("synchronous_name", "'synchronous_name' is the name of a node",
                     "Choose another: Patroni would take capture for that node's standby.");
    }
    settings.hosts = stack.hosts;
    settings.state_directory = stack.state_directory;
    return settings;
}

EngineSettings read_engine_settings(const config::StoreSection& store) {
    config::Section section = store.settings;
    EngineSettings engine;
    engine.name = section.word("engine", "native", {"native", "pgbackrest", "wal-g"});
    engine.user = section.text("engine_user", "");
    engine.series = section.text("scope", "");
    config::Section pgbackrest = section.section("pgbackrest"), wal_g = section.section("wal_g");
    refuse_other_engines(section, engine.name);
    if (engine.name == "pgbackrest") {
        engine.kind = EngineSettings::Kind::kPgBackRest;
        engine.section = "pgbackrest";
        engine.stanza = engine.series = pgbackrest.required_text("stanza");
        engine.config_file = pgbackrest.path("config_file", "");
        engine.program = pgbackrest.text("program", engine.name);
    } else if (engine.name == "wal-g") {
        engine.kind = EngineSettings::Kind::kWalG;
        engine.section = "wal_g";
        engine.data_directory = wal_g.path("data_directory", "");
        engine.config_file = wal_g.path("config_file", "");
        engine.program = wal_g.text("program", engine.name);
        if (engine.data_directory.empty()) {
            section.fail("engine", "'engine: wal-g' needs the server's data directory on this host", "Add 'wal_g: {data_directory: DIR}': wal-g reads it.");
        }
    }
    if (engine.name != "native" && section.word("capture", "off", {"on", "off"}) == "on") {
        section.fail("capture", fmt::format("'capture: on' beside 'engine: {}' would keep WAL that no backup of ours needs", engine.name),
                     "Leave capture off: the engine archives the WAL.");
    }
    return engine;
}

std::vector<std::string> NodeSettings::fence_group() const {
    if (agent.empty()) return {name};
    return {agent, name};
}

}  // namespace aeterna::postgres
