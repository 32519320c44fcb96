// The postgres section of the stack file (docs/stack-file.md), read strictly and turned into
// values. Mistakes stick in the section and are reported by the document's finish(); what is
// returned then must not be acted on.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/stack.h"
#include "engine/restore_test/restore_test.h"
#include "env/env.h"
#include "env/sql.h"

namespace aeterna::postgres {

// One PostgreSQL server and the Patroni agent beside it.
struct NodeSettings {
    std::string name;         // "postgres-1"
    std::string agent;        // "patroni-1"
    std::string member;       // the name under which Patroni knows it
    env::Endpoint address;    // PostgreSQL
    std::string patroni_url;  // "http://10.0.0.1:8008", no slash at the end
    std::string host;         // "host-1"; empty when the stack file names no host for it
    std::string site;

    // Agent before server: what must die together.
    [[nodiscard]] std::vector<std::string> fence_group() const;
};

struct Settings {
    std::string stack_name;
    config::Objectives objectives;
    bool heartbeat_approved = false;  // may we write rows into our own schema?
    config::Assist assist = config::Assist::kOff;
    std::string scope;
    std::string key_prefix;  // "/service/aeterna/"
    std::string user;
    Secret password;
    std::string database;
    std::string ssl_mode;
    std::string ssl_root_certificate;
    std::optional<env::Endpoint> client;  // what applications connect to
    std::string exporter_job;             // empty: no exporter
    bool has_repository = false;          // the stack file names one: capture is meant to run
    bool captures = false;                // by serve
    std::string slot;                     // that capture holds WAL by, on every node
    std::string synchronous_name;         // under which capture confirms commits; empty: it never does
    std::uint64_t slot_limit = 0;         // of what it may hold on a node, bytes; then the guard drops it
    std::vector<engine::TestQuery> test_queries;  // what a restored server has to answer
    std::string patroni_user;
    Secret patroni_password;
    std::optional<config::EtcdSettings> etcd;
    std::string prometheus_url;
    std::vector<NodeSettings> nodes;
    std::vector<config::Host> hosts;  // of the stack file, for fencing and starting
    std::string state_directory;

    // What backups that we take are of.
    [[nodiscard]] const std::string& series() const { return scope.empty() ? stack_name : scope; }
    // The host of a node or an agent; nullptr when the stack file names none.
    [[nodiscard]] const config::Host* host_of(const std::string& node) const;
    [[nodiscard]] const NodeSettings* find(const std::string& node) const;
    [[nodiscard]] const NodeSettings* find_member(const std::string& member) const;
    // The node's name for a member's name; the member's own name when it is not in the stack file.
    [[nodiscard]] std::string node_of_member(const std::string& member) const;
    // How to log in at `endpoint` as our role.
    [[nodiscard]] env::SqlTarget sql_target(const env::Endpoint& endpoint) const;
};

[[nodiscard]] Settings read_settings(const config::Stack& stack,
                                     const config::StoreSection& section, const env::Env& env);

}  // namespace aeterna::postgres
