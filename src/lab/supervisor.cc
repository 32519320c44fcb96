// See supervisor.h. The order of `stop_all`: first what would report or act on the rest's death,
// then the stores, etcd last, because Patroni gives its leader key back.
#include "lab/supervisor.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <map>

#include "base/strings.h"
#include "hosts/fence_marker.h"
#include "lab/server_commands.h"

namespace aeterna::lab {
namespace {

constexpr Duration kStopTime = 10s;
constexpr Duration kExitPoll = 50ms;
constexpr std::size_t kLastWordsBytes = 1500;

// Names in /proc/PID/comm (15 bytes at most).
bool is_server_program(const std::string& command) {
    static constexpr std::array kPrograms = {
        "etcd",          "patroni",         "python3",    "postgres",
        "redis-server",  "redis-sentinel",  "qdrant",     "haproxy",
        "prometheus",    "prometheus-post", "aeterna-dr", "initdb",
        "pg_basebackup", "pg_rewind",       "pg_ctl",     "pg_controldata"};
    return std::any_of(kPrograms.begin(), kPrograms.end(),
                       [&](const char* program) { return command == program; });
}

}  // namespace

Result<std::optional<env::User>> find_server_user(const env::Env& env) {
    if (env.processes.effective_uid() != 0) return std::optional<env::User>();
    auto user = env.processes.find_user("postgres");
    if (user) return std::optional<env::User>(std::move(*user));
    return make_error(ErrorCode::kNotFound,
                      "no user 'postgres': as root the servers run as that user",
                      "Run 'scripts/install-packages servers' in the source folder.");
}

std::optional<env::ProcessId> parse_pid_file(const std::string& text) {
    const auto lines = split(text, '\n');
    const auto pid = to_integer(trim(lines.front()));
    if (!pid || *pid <= 1) return std::nullopt;
    env::ProcessId id;
    id.pid = static_cast<int>(*pid);
    const auto ticks = lines.size() > 1 ? to_integer(trim(lines[1])) : std::nullopt;
    if (ticks) id.start_ticks = static_cast<std::uint64_t>(*ticks);
    return id;
}

bool belongs_to_lab(const env::ProcessInfo& process, const std::vector<std::string>& environment,
                    const std::string& directory) {
    const std::string marker = std::string(kMarkerVariable) + "=" + directory;
    if (std::find(environment.begin(), environment.end(), marker) != environment.end()) return true;
    return is_server_program(process.command) &&
           process.working_directory.starts_with(directory + "/data/");
}

std::vector<env::ProcessInfo> find_unrecorded(std::vector<env::ProcessInfo> of_lab,
                                              const std::vector<env::ProcessInfo>& all,
                                              const std::set<int>& recorded) {
    std::map<int, int> parents;
    for (const env::ProcessInfo& process : all) parents[process.id.pid] = process.parent_pid;
    const auto has_recorded_ancestor = [&](int pid) {
        // Bounded, because pids that were used again could make a circle.
        for (std::size_t step = 0; step <= parents.size() && pid > 1; ++step) {
            if (recorded.contains(pid)) return true;
            const auto parent = parents.find(pid);
            pid = parent == parents.end() ? 0 : parent->second;
        }
        return false;
    };
    std::erase_if(of_lab, [&](const env::ProcessInfo& process) {
        return process.command == "postgres" || recorded.contains(process.id.pid) ||
               has_recorded_ancestor(process.parent_pid);
    });
    return of_lab;
}

Supervisor::Supervisor(const Layout& layout, const env::Env& env) : layout_(layout), env_(env) {}

std::optional<env::ProcessId> Supervisor::running(const Node& node) const {
    const auto text = env_.files.read(layout_.pid_file_of(node), 4096);
    if (!text) return std::nullopt;
    auto id = parse_pid_file(*text);
    if (!id) return std::nullopt;
    const auto process = env_.processes.inspect(id->pid);
    if (!process) return std::nullopt;
    if (node.kind == "postgres") {
        // The file outlives a kill -9, and its pid may be another's by now.
        if (process->command != "postgres" || process->working_directory != node.data_directory)
            return std::nullopt;
        return process->id;
    }
    if (process->id != *id) return std::nullopt;
    return id;
}

Result<std::unique_ptr<env::FileLock>> Supervisor::lock_start(const Node& node,
                                                              const env::Context& context) const {
    auto lock = env_.files.lock(layout_.path("run/" + node.name + ".lock"));
    while (!lock && lock.error().code == ErrorCode::kLocked &&
           env_.clock.remaining(context) > kExitPoll && env_.clock.sleep_for(kExitPoll, context.stop))
        lock = env_.files.lock(layout_.path("run/" + node.name + ".lock"));
    return lock;
}

Result<bool> Supervisor::start(const Node& node, const Secrets& secrets, const Programs& programs,
                               const env::Context& context) {
    AETERNA_ASSIGN(const auto lock, lock_start(node, context));
    AETERNA_TRY(require_unfenced(node));
    if (running(node)) return false;
    std::vector<env::Endpoint> endpoints = layout_.listens(node);
    // Patroni's PostgreSQL may be there already, left by a Patroni that was killed.
    const auto child = layout_.find(fmt::format("postgres-{}", node.host));
    if (node.kind == "patroni" && child && !running(*child)) endpoints.push_back(child->address);
    for (const env::Endpoint& endpoint : endpoints)
        if (!env_.dialer.can_listen(endpoint))
            return make_error(ErrorCode::kAlreadyExists,
                              fmt::format("{} cannot start: '{}' is taken by another process",
                                          node.name, endpoint.to_string()),
                              "Stop what listens there, or use another --dir.");
    AETERNA_ASSIGN(const std::optional<env::User> user, find_server_user(env_));
    AETERNA_ASSIGN(const env::ProcessId id,
                   env_.processes.spawn(server_command(layout_, secrets, programs, node, user)));
    AETERNA_TRY(env_.files.write_durable(layout_.pid_file(node.name),
                                         fmt::format("{}\n{}\n", id.pid, id.start_ticks), 0644));
    // A fence that began between the first look and the pid file has not seen this process.
    if (Status still_free = require_unfenced(node); !still_free) {
        AETERNA_TRY(env_.processes.signal(id, SIGKILL));
        return std::move(still_free).error();
    }
    return true;
}

// PostgreSQL is started by its Patroni: a fence of either keeps Patroni down.
Status Supervisor::require_unfenced(const Node& node) const {
    const std::string directory = layout_.path("state/fences");
    AETERNA_TRY(hosts::require_unfenced(env_.files, directory, node.name));
    if (node.kind != "patroni") return {};
    return hosts::require_unfenced(env_.files, directory, fmt::format("postgres-{}", node.host));
}

std::string Supervisor::last_words(const Node& node) const {
    const auto tail = env_.files.read_tail(layout_.log_file(node.name), kLastWordsBytes);
    if (!tail) return "";
    std::vector<std::string> lines;
    for (const auto line : split(*tail, '\n'))
        if (!trim(line).empty()) lines.emplace_back(one_line(line, 300));
    if (lines.size() > 6) lines.erase(lines.begin(), lines.end() - 6);
    return join(lines, "\n");
}

std::vector<env::ProcessInfo> Supervisor::processes() const {
    std::vector<env::ProcessInfo> all = env_.processes.list();
    std::set<int> own;  // this process and its ancestors: `down` may run in a shell of `serve`
    for (int pid = env_.processes.own_pid(); pid > 1;) {
        own.insert(pid);
        const auto process = env_.processes.inspect(pid);
        pid = process ? process->parent_pid : 0;
    }
    std::erase_if(all, [&](const env::ProcessInfo& process) {
        return own.contains(process.id.pid) || process.state == 'Z' ||
               !belongs_to_lab(process, env_.processes.environment_of(process.id.pid),
                               layout_.directory);
    });
    return all;
}

std::vector<Node> Supervisor::nodes_of(const std::vector<std::string>& kinds) const {
    std::vector<Node> nodes = layout_.nodes();
    std::erase_if(nodes, [&](const Node& node) {
        return std::find(kinds.begin(), kinds.end(), node.kind) == kinds.end();
    });
    return nodes;
}

void Supervisor::stop_group(const std::vector<Node>& nodes, const env::Context& context) {
    const env::Context bounded = env_.clock.within(kStopTime, context);
    std::vector<env::ProcessId> stopping;
    for (const Node& node : nodes) {
        const auto id = running(node);
        if (!id) continue;
        // A process that is already gone is what is wanted.
        // SIGINT is PostgreSQL's fast shutdown; its SIGTERM would wait for every client to leave.
        (void)env_.processes.signal(*id, node.kind == "postgres" ? SIGINT : SIGTERM);
        stopping.push_back(*id);
    }
    for (const env::ProcessId& id : stopping)
        if (!env_.processes.wait_gone(id, bounded)) (void)env_.processes.signal(id, SIGKILL);
    for (const Node& node : nodes)
        if (node.is_spawned && !running(node)) (void)env_.files.remove(layout_.pid_file(node.name));
}

std::string Supervisor::leader(const env::Context& context) const {
    for (const Node& node : nodes_of({"patroni"})) {
        if (!running(node)) continue;
        env::HttpRequest request;
        request.url = fmt::format("http://{}/patroni", node.address.to_string());
        const auto response = env_.http.send(request, env_.clock.within(500ms, context));
        if (!response) continue;
        const auto document = parse_json(response->body, "patroni");
        const std::string role = document ? find_string(*document, "role").value_or("") : "";
        if (role == "master" || role == "primary") return node.name;
    }
    return "";
}

Status Supervisor::stop_all(const Progress& progress, const env::Context& context) {
    const auto stop = [&](const std::string& what, const std::vector<Node>& nodes) {
        const MonoTime begin = env_.clock.now();
        const bool is_any =
            std::any_of(nodes.begin(), nodes.end(), [&](const Node& n) { return running(n); });
        if (!is_any) return;
        stop_group(nodes, context);
        progress(fmt::format("stopped {} ({:.1f} s)", what, to_seconds(env_.clock.now() - begin)));
    };
    // A paused process would not end before it is killed, and its children would be left alone.
    for (const env::ProcessInfo& process : processes())
        if (process.state == 'T') (void)env_.processes.signal(process.id, SIGCONT);
    stop("serve, haproxy, prometheus, exporters",
         nodes_of({"serve", "haproxy", "prometheus", "exporter"}));
    // Replicas first: a replica that outlives its leader would take over, and the next `up` would
    // have to rewind.
    const std::string last = leader(context);
    auto replicas = nodes_of({"patroni"});
    std::erase_if(replicas, [&](const Node& node) { return node.name == last; });
    stop("patroni and postgres: replicas", replicas);
    stop("patroni and postgres: leader", nodes_of({"patroni"}));
    if (!last.empty())
        (void)env_.files.write_durable(layout_.path("run/last-leader"), last + "\n", 0644);
    stop("postgres without patroni", nodes_of({"postgres"}));
    stop("sentinel", nodes_of({"sentinel"}));
    stop("redis, qdrant", nodes_of({"redis", "qdrant"}));
    // One after the other: a leader that goes hands over first, and waits 7 s when nobody is left
    // to take over.
    for (const Node& node : nodes_of({"etcd"})) stop(node.name, {node});
    return sweep(context);
}

Status Supervisor::end_unrecorded(const Progress& progress, const env::Context& context) {
    // A process whose start is under way has no pid file yet.
    std::vector<std::unique_ptr<env::FileLock>> locks;
    std::set<int> recorded;
    for (const Node& node : layout_.nodes()) {
        if (node.is_spawned) {
            auto lock = lock_start(node, context);
            if (lock)
                locks.push_back(std::move(*lock));
            else if (lock.error().code != ErrorCode::kNotFound)  // not found: no folder yet
                return lock.error();
        }
        if (const auto id = running(node)) recorded.insert(id->pid);
    }
    const auto left = find_unrecorded(processes(), env_.processes.list(), recorded);
    if (left.empty()) return {};
    std::vector<std::string> names;
    for (const env::ProcessInfo& process : left)
        names.push_back(fmt::format("{} ({})", process.command, process.id.pid));
    progress("ending what an interrupted start left: " + join(names, ", "));
    const env::Context bounded = env_.clock.within(kStopTime, context);
    for (const int signal : {SIGCONT, SIGTERM})
        for (const env::ProcessInfo& process : left)
            (void)env_.processes.signal(process.id, signal);
    for (const env::ProcessInfo& process : left) {
        if (env_.processes.wait_gone(process.id, bounded)) continue;
        (void)env_.processes.signal(process.id, SIGKILL);
        (void)env_.processes.wait_gone(process.id, env_.clock.within(kStopTime, context));
    }
    return {};
}

Status Supervisor::sweep(const env::Context& context) {
    std::vector<env::ProcessInfo> left = processes();
    while (!left.empty() && env_.clock.remaining(context) > kExitPoll) {
        for (const env::ProcessInfo& process : left)
            (void)env_.processes.signal(process.id, SIGKILL);
        if (!env_.clock.sleep_for(kExitPoll, context.stop)) break;
        left = processes();
    }
    for (const Node& node : layout_.nodes())
        if (node.is_spawned && !running(node)) (void)env_.files.remove(layout_.pid_file(node.name));
    if (left.empty()) return {};
    std::vector<std::string> names;
    for (const env::ProcessInfo& process : left)
        names.push_back(fmt::format("{} ({})", process.command, process.id.pid));
    return make_error(ErrorCode::kPartial, "still running: " + join(names, ", "),
                      "Run 'aeterna-dr lab down' as the user that started the lab.",
                      Effect::kPartial);
}

}  // namespace aeterna::lab
