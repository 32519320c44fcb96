// The common part of the stack file: names, objectives, hosts, coordination. What a store needs beyond its
// objectives and approvals stays unread here; the store reads it when it is opened.
#include "config/stack.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/strings.h"

namespace aeterna::config {
namespace {

constexpr const char* kStackFolder = "/etc/aeterna-dr";
constexpr std::size_t kStackFileLimitBytes = 1 << 20;
constexpr Duration kLongestCooldown = std::chrono::hours(24);
constexpr Duration kShortestMerge = std::chrono::seconds(1);
// Below that, an incident could be gone before anybody writes its post-mortem.
constexpr Duration kShortestKeep = std::chrono::hours(24 * 7);

bool is_name(const std::string& text) {
    const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
    return !text.empty() && text.size() <= 63 && is_letter(text.front()) &&
           std::all_of(text.begin(), text.end(), [&](char c) { return is_letter(c) || c == '-'; });
}

constexpr const char* kNameHint = "Use only a-z, 0-9 and '-', up to 63, and begin with a letter or digit.";

// What may stand under `approvals`: a word that is not known would silently approve nothing.
const std::vector<std::string> kApprovals = {"drill", "failover", "fence", "heartbeat", "reconcile", "switchover", "unfence"};

std::vector<std::string> read_approvals(Section& section) {
    std::vector<std::string> approvals = section.texts("approvals");
    for (const std::string& word : approvals) {
        if (std::find(kApprovals.begin(), kApprovals.end(), word) != kApprovals.end()) continue;
        section.fail("approvals", fmt::format("'{}' is nothing that can be approved", shown(word)),
                     fmt::format("Write words of: {}.", join(kApprovals, ", ")));
    }
    return approvals;
}

// A file that gives objectives says both, so that a typing error cannot leave one at the default.
Objectives read_objectives(Section& parent, Objectives fallback, bool both) {
    if (!parent.has("objectives")) return fallback;
    Section section = parent.section("objectives");
    Objectives result;
    result.rto = section.duration("rto", fallback.rto);
    result.rpo = section.duration("rpo", fallback.rpo);
    for (const char* key : {"rto", "rpo"}) {
        if (both && !section.has(key)) {
            section.fail(key, fmt::format("missing key '{}' in objectives", key), "Write {rto: 5m, rpo: 5m}, both of them.");
        }
    }
    if (result.rto <= Duration::zero()) section.fail("rto", "'rto' must be more than zero", "Write the longest outage that is allowed.");
    return result;
}

EtcdSettings read_etcd(Section section, env::Files& files) {
    EtcdSettings etcd;
    etcd.session = std::make_shared<EtcdSession>();
    etcd.endpoints = section.urls("endpoints");
    for (const std::string& endpoint : etcd.endpoints) section.claim("endpoints", "etcd endpoint", endpoint);
    if (etcd.endpoints.empty()) {
        section.fail("endpoints", "'endpoints' must name at least one etcd server",
                     "Write 'endpoints: [http://HOST:2379]' with all of Patroni's.");
    }
    etcd.user = section.text("user", "");
    etcd.password = section.secret("password", files);
    etcd.tls.ca_file = section.path("ca_file", "");
    etcd.tls.certificate_file = section.path("certificate_file", "");
    etcd.tls.key_file = section.path("key_file", "");
    return etcd;
}

Host read_host(Section& section, const std::string& state_directory, bool is_lab, std::set<std::string>& hosts,
               std::set<std::string>& nodes) {
    Host host;
    host.name = section.required_text("name");
    host.site = section.text("site", "");
    host.executor = section.word("executor", "none", {"local", "none"});
    host.fence_directory = section.path("fence_directory", state_directory + "/fences");
    if (!host.name.empty() && !hosts.insert(host.name).second) {
        section.fail("name", fmt::format("duplicate host '{}'", shown(host.name)), "Give each host its own name.");
    }
    for (Section& entry : section.list("processes")) {
        HostProcess process;
        process.node = entry.required_node("node");
        // A lab lists what no store knows as well: etcd, the proxy, the exporters.
        if (!is_lab) entry.refer_to_node("node");
        if (!entry.has("pid_file")) {
            entry.fail("pid_file", "missing key 'pid_file'", "Name the file whose first line is the process id.");
        }
        process.pid_file = entry.path("pid_file", "");
        process.start = entry.texts("start");
        process.honours_fence = entry.word("fence", "none", {"none", "marker"}) == "marker";
        if (!process.node.empty() && !nodes.insert(process.node).second) {
            entry.fail("node", fmt::format("node '{}' is listed twice; a node lives on one host", process.node),
                       "Remove one of the two.");
        }
        host.processes.push_back(std::move(process));
    }
    return host;
}

// YAML reads a bare `off` as false elsewhere; here every value is the text that stands there.
void read_assist(Section& section, StoreSection& store) {
    const std::string word = section.word("assist", "off", {"off", "propose", "act"});
    store.assist = assist_from_name(word).value_or(Assist::kOff);
    store.assist_cooldown = section.duration("assist_cooldown", store.assist_cooldown);
    if (store.assist_cooldown < Duration::zero() || store.assist_cooldown > kLongestCooldown) {
        section.fail("assist_cooldown", "'assist_cooldown' must be between 0s and 24h", "10m is the default.");
    }
}

std::vector<StoreSection> read_stores(Section& root, const Objectives& overall) {
    std::vector<StoreSection> stores;
    for (auto& [name, section] : root.children("stores")) {
        if (!is_name(name)) root.fail("stores", fmt::format("'{}' is no store name", shown(name)), kNameHint);
        const Objectives objectives = read_objectives(section, overall, true);
        std::vector<std::string> approvals = read_approvals(section);
        stores.push_back(StoreSection{name, objectives, std::move(approvals), section});
        read_assist(section, stores.back());
    }
    if (stores.empty()) root.fail("stores", "'stores' must name at least one store", "Add 'stores:' with postgres, redis or qdrant.");
    return stores;
}

Stack read_stack(Section& root, env::Files& files) {
    Stack stack;
    stack.name = root.required_text("name");
    if (!stack.name.empty() && !is_name(stack.name)) {
        root.fail("name", fmt::format("'{}' is no stack name", shown(stack.name)), kNameHint);
    }
    stack.state_directory = root.path("state_directory", "");
    if (stack.state_directory.empty()) stack.state_directory = default_state_directory(files) + "/" + stack.name;
    stack.objectives = read_objectives(root, {std::chrono::minutes(15), std::chrono::minutes(5)}, false);
    if (root.has("etcd")) stack.etcd = read_etcd(root.section("etcd"), files);
    if (root.has("prometheus")) {
        Section prometheus = root.section("prometheus");
        stack.prometheus_url = prometheus.required_url("url");
    }
    if (root.has("serve")) stack.serve_listen = root.section("serve").required_endpoint("listen");
    if (root.has("journal")) {
        Section journal = root.section("journal");
        stack.journal_keep = journal.duration("keep", stack.journal_keep);
        if (stack.journal_keep < kShortestKeep) journal.fail("keep", "'keep' must be at least 7d", "400d is the default.");
    }
    if (root.has("repository")) {
        Section repository = root.section("repository");
        stack.repository = repository.required_text("place");
        stack.repository_key_file = repository.required_text("key_file");
        stack.repository_merge_every = repository.duration("merge_every", stack.repository_merge_every);
        if (stack.repository_merge_every < kShortestMerge) {
            repository.fail("merge_every", "'merge_every' must be at least 1s", "5m is the default.");
        }
    }
    if (root.has("lab")) {
        Section lab = root.section("lab");
        stack.lab_directory = lab.required_text("directory");
        // It is what `lab down --purge` would remove.
        if (!stack.lab_directory.starts_with('/') || stack.lab_directory.find_first_not_of("/.") == std::string::npos) {
            lab.fail("directory", fmt::format("'{}' is no lab's directory", shown(stack.lab_directory)),
                     "Only `aeterna-dr lab up` writes this section; remove it.");
        }
    }
    std::set<std::string> hosts, nodes;
    for (Section& section : root.list("hosts")) {
        stack.hosts.push_back(read_host(section, stack.state_directory, !stack.lab_directory.empty(), hosts, nodes));
    }
    stack.stores = read_stores(root, stack.objectives);
    return stack;
}

}  // namespace

std::string_view assist_name(Assist assist) {
    switch (assist) {
        case Assist::kOff: return "off";
        case Assist::kPropose: return "propose";
        case Assist::kAct: return "act";
    }
    return "off";
}

std::optional<Assist> assist_from_name(std::string_view name) {
    for (const Assist assist : {Assist::kOff, Assist::kPropose, Assist::kAct}) {
        if (assist_name(assist) == name) return assist;
    }
    return std::nullopt;
}

bool Host::can_hold(const std::string& node) const {
    return std::any_of(processes.begin(), processes.end(),
                       [&](const HostProcess& process) { return process.node == node && process.honours_fence; });
}

bool StoreSection::is_approved(const std::string& action) const {
    return std::find(approvals.begin(), approvals.end(), action) != approvals.end();
}

const StoreSection* Stack::find_store(const std::string& store) const {
    for (const StoreSection& section : stores) {
        if (section.name == store) return &section;
    }
    return nullptr;
}

Assist Stack::strongest_assist() const {
    Assist strongest = Assist::kOff;
    for (const StoreSection& section : stores) strongest = std::max(strongest, section.assist);
    return strongest;
}

const Host* Stack::host_of(const std::string& node) const {
    for (const Host& host : hosts) {
        for (const HostProcess& process : host.processes) {
            if (process.node == node) return &host;
        }
    }
    return nullptr;
}

Result<Stack> load_stack(const std::string& path, env::Files& files) {
    const std::string file = files.canonical(path);
    Result<std::string> text = files.read(file, kStackFileLimitBytes);
    if (!text) {
        const std::string hint = fmt::format(
            "Give --stack NAME|FILE or set AETERNA_DR_STACK; a NAME is looked for as {}/NAME.yaml.", kStackFolder);
        if (text.error().code == ErrorCode::kNotFound) {
            return make_error(ErrorCode::kConfiguration, fmt::format("no stack file '{}'", path), hint);
        }
        Error error = wrap_error(text.error(), fmt::format("cannot read the stack file '{}'", path));
        error.code = ErrorCode::kConfiguration;
        error.hint = "Name a file that this user may read; a stack file is a few KiB, at most 1 MiB.";
        return error;
    }
    AETERNA_ASSIGN(Section root, Section::parse(*text, file));
    Stack stack = read_stack(root, files);
    stack.file = file;
    AETERNA_TRY(root.finish_except("stores"));
    return stack;
}

std::string resolve_stack_path(const std::string& option, env::Files& files) {
    std::string chosen = option;
    if (chosen.empty()) chosen = files.environment_variable("AETERNA_DR_STACK").value_or("");
    if (chosen.empty()) return fmt::format("{}/stack.yaml", kStackFolder);
    const bool is_file = chosen.find('/') != std::string::npos || chosen.ends_with(".yaml");
    return is_file ? chosen : fmt::format("{}/{}.yaml", kStackFolder, chosen);
}

std::string default_state_directory(env::Files& files) {
    // systemd gives a colon-separated list when StateDirectory= names several (systemd.exec(5)).
    const std::string given = files.environment_variable("STATE_DIRECTORY").value_or("");
    if (!given.empty()) return given.substr(0, given.find(':'));
    // The XDG base directory specification: a relative path is invalid and ignored.
    const std::string state = files.environment_variable("XDG_STATE_HOME").value_or("");
    if (state.starts_with('/')) return state + "/aeterna-dr";
    const std::string home = files.environment_variable("HOME").value_or("");
    if (home.starts_with('/')) return home + "/.local/state/aeterna-dr";
    return "/var/lib/aeterna-dr";
}

}  // namespace aeterna::config
