// The stack file: what lives and dies together. The common part is read here; each store reads its own section
// (StoreSection::settings) when it is opened, so that adding a store changes nothing here.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/section.h"

namespace aeterna::config {

struct Objectives {
    Duration rto{};
    Duration rpo{};
};

// What one node's processes are on a host and how they are started again.
struct HostProcess {
    std::string node;                    // "patroni-1"
    std::string pid_file;                // first line = pid
    std::vector<std::string> start;      // argv that starts it and returns; run without a shell
    // True when whatever may start it honours the fence markers (docs/stack-file.md): only then can it be fenced.
    bool honours_fence = false;
};

struct Host {
    std::string name;      // "host-1"
    std::string site;      // availability zone
    std::string executor;  // "local" | "none" (ssh, kubernetes: later)
    std::string fence_directory;  // on the host: FENCE_DIRECTORY/NODE/HOLDER keeps NODE from being started
    std::vector<HostProcess> processes;

    // Whether a marker keeps this node of it from being started.
    [[nodiscard]] bool can_hold(const std::string& node) const;
};

// How far a failover of ours may go when the primary is proven dead: wait for Patroni or Sentinel alone, say what it
// would do, or fence the dead primary and end the wait.
enum class Assist { kOff, kPropose, kAct };
[[nodiscard]] std::string_view assist_name(Assist assist);  // off propose act
[[nodiscard]] std::optional<Assist> assist_from_name(std::string_view name);

struct StoreSection {
    std::string name;  // "postgres"
    Objectives objectives;
    // Words of actions that need no question: "heartbeat", "failover", "switchover", "drill" …
    std::vector<std::string> approvals;
    Section settings;  // the same section, for the store's own keys
    Assist assist = Assist::kOff;  // kAct is the standing approval of the assisted steps, too
    // How long after an assisted failover the same failure of the same node is only proposed for.
    Duration assist_cooldown = std::chrono::minutes(10);
    [[nodiscard]] bool is_approved(const std::string& action) const;
};

// What all clients of one etcd share, so that not each has to find a member that answers and to log in anew: a login
// costs the server a bcrypt.
struct EtcdSession {
    std::mutex mutex;
    std::size_t preferred = 0;  // index of the endpoint that answered last
    std::string token;          // empty: not logged in
};

struct EtcdSettings {
    std::vector<std::string> endpoints;  // "http://127.0.0.1:2379"
    std::string user;
    Secret password;
    env::TlsOptions tls;
    std::shared_ptr<EtcdSession> session = {};  // nothing: each client has its own
};

struct Stack {
    std::string name;
    std::string file;             // absolute path of the stack file; empty for one made in memory
    std::string state_directory;  // journal, ledgers, post-mortems
    Objectives objectives;        // overall
    std::vector<Host> hosts;
    std::vector<StoreSection> stores;
    std::optional<EtcdSettings> etcd;
    std::string prometheus_url;                // empty = none
    std::optional<env::Endpoint> serve_listen; // where `serve` answers: /metrics, /status, /healthz
    Duration journal_keep = std::chrono::hours(24 * 400);  // what ended longer ago is forgotten
    std::string repository;                    // where backups are: a path or s3://…; empty = none
    std::string repository_key_file;
    Duration repository_merge_every = std::chrono::minutes(5);  // while a log is captured, its pieces are merged
    std::string lab_directory;                 // set by `lab`: this stack is a lab

    [[nodiscard]] const StoreSection* find_store(const std::string& name) const;
    [[nodiscard]] const Host* host_of(const std::string& node) const;
    // The word that goes furthest among the stores: does anything act by itself?
    [[nodiscard]] Assist strongest_assist() const;
};

// Loads and checks the common part. A wrong file gives kConfiguration with "file:line: what"; a missing one says
// where stacks are looked for. Call `Stack::stores[i].settings.finish()` after the stores have read theirs.
[[nodiscard]] Result<Stack> load_stack(const std::string& path, env::Files& files);

// --stack NAME|FILE, else $AETERNA_DR_STACK, else /etc/aeterna-dr/stack.yaml. A NAME (no '/', no ".yaml") is
// /etc/aeterna-dr/NAME.yaml. Never the current folder: the file decides what gets fenced.
[[nodiscard]] std::string resolve_stack_path(const std::string& option, env::Files& files);

// $STATE_DIRECTORY, else $XDG_STATE_HOME/aeterna-dr, else $HOME/.local/state/aeterna-dr.
[[nodiscard]] std::string default_state_directory(env::Files& files);

}  // namespace aeterna::config
