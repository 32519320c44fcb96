#include "harness/cluster.h"

#include <fmt/format.h>

#include <algorithm>

namespace aeterna::sim {
namespace {

constexpr int kPostgresPort = 5432;
constexpr int kRestPort = 8008;

}  // namespace

Cluster::Cluster(World& world, models::PatroniSettings settings)
    : Site(world), settings_(std::make_shared<models::PatroniSettings>(std::move(settings))) {
    etcd_ = std::make_unique<models::Etcd>(world_, hosts_, kEtcdPort);
    write_config();
    for (Host* host : hosts_) {
        const std::string name = fmt::format("postgres-{}", host->name.substr(5));
        postgres_.push_back(std::make_unique<models::Postgres>(
            world_, name, *host, env::Endpoint{host->address, kPostgresPort}, 7000001));
        patroni_.push_back(
            std::make_unique<models::Patroni>(world_, *etcd_, *postgres_.back(), settings_, peers_,
                                              env::Endpoint{host->address, kRestPort}));
        peers_.push_back(patroni_.back().get());
        patroni_.back()->on_watchdog = [this, node = static_cast<int>(peers_.size()) - 1] { reset_host(node); };
    }
    for (int i = 0; i < kNodes; ++i) {
        if (i != 0) postgres(i).follow(&postgres(0));
        postgres(i).start(i != 0 || settings_->is_standby_cluster);
        // The leader's agent first, so that nobody else finds the cluster unlocked.
        world_.scheduler.after(i == 0 ? Duration(600ms) : Duration(800ms),
                               [this, i] { patroni(i).start(); });
    }
    world_.programs["start-node"] = [this](const std::vector<std::string>& argv, Process& caller) {
        env::RunResult result;
        if (on_start_program && argv.size() == 2) on_start_program(argv[1].back() - '1', caller);
        result.exit_status = argv.size() == 2 && start_node(argv[1]) ? 0 : 1;
        if (result.exit_status != 0) result.errors = "refused: a fence marker is there";
        return result;
    };
}

void Cluster::write_config() {
    etcd_->store().put(settings_->prefix + "config", settings_->config_json(), 0);
    etcd_->store().put(settings_->prefix + "initialize", "7000001", 0);
    etcd_->publish();
}

void Cluster::spoil_config(bool spoilt) {
    is_config_spoilt_ = spoilt;
    if (!spoilt) return write_config();
    put_key("config", world_.rng().chance(0.5) ? "{" : "");
}

void Cluster::put_key(const std::string& key, const std::string& value) {
    const std::string path = settings_->prefix + key;
    if (value.empty()) etcd_->store().remove(path);
    else etcd_->store().put(path, value, 0);
    etcd_->publish();
}

// Power goes and comes back: all of the host dies at once, and starts as the boot does it.
void Cluster::reset_host(int node) {
    for (Process* process : {patroni(node).process(), postgres(node).process(),
                             &etcd_->process(static_cast<std::size_t>(node))}) {
        if (process == nullptr) continue;
        world_.processes.thaw(*process);
        world_.processes.kill(*process);
    }
    world_.scheduler.after(world_.rng().between(8s, 15s), [this, node] {
        etcd_->restart(static_cast<std::size_t>(node));
        static_cast<void>(start_node(fmt::format("patroni-{}", node + 1)));
    });
}

void Cluster::start_past_markers(int node) {
    if (patroni(node).is_running()) return;
    if (on_forced_start) on_forced_start(node);
    patroni(node).start();
}

void Cluster::supervise(Duration restart_after) {
    restart_after_ = restart_after;
    for (int i = 0; i < kNodes; ++i) {
        patroni(i).on_start = [this, i] { watch_agent(i); };
    }
}

void Cluster::watch_agent(int node) {
    patroni(node).process()->on_death.emplace_back([this, node] {
        if (is_over) return;
        world_.scheduler.after(restart_after_, [this, node] {
            if (is_over || patroni(node).is_running()) return;
            const std::string agent = fmt::format("patroni-{}", node + 1);
            if (start_node(agent)) world_.trace("the supervisor has started " + agent + " again");
        });
    });
}

int Cluster::thefts() const {
    int count = 0;
    for (const auto& patroni : patroni_) count += patroni->thefts;
    return count;
}

int Cluster::leader() {
    const models::EtcdKey* key = etcd_->store().find(settings_->prefix + "leader");
    int found = -1;
    for (int i = 0; i < kNodes; ++i) {
        const bool is_standby_leader =
            settings_->is_standby_cluster && key != nullptr && key->value == postgres(i).name();
        if (!(postgres(i).is_primary() || is_standby_leader) || !postgres(i).is_running() || postgres(i).is_starting())
            continue;
        if (found >= 0 || key == nullptr || key->value != postgres(i).name()) return -1;
        found = i;
    }
    return found;
}

bool Cluster::is_healthy() {
    const int primary = leader();
    if (primary < 0 || !etcd_->has_leader()) return false;
    for (int i = 0; i < kNodes; ++i) {
        if (!patroni(i).is_running() || patroni(i).process()->is_stopped() ||
            !postgres(i).is_responsive())
            return false;
        if (i == primary) continue;
        const bool follows = postgres(i).is_streaming() &&
                             postgres(i).upstream() == &postgres(primary) &&
                             postgres(i).timeline() == postgres(primary).timeline() &&
                             !postgres(i).has_diverged_from(postgres(primary));
        if (!follows) return false;
    }
    if (!settings_->synchronous_mode) return true;
    const auto view = models::read_view(etcd_->store().keys, settings_->prefix);
    return view.sync_leader == postgres(primary).name() && !view.sync_standbys.empty();
}

std::string Cluster::describe() {
    const models::EtcdKey* key = etcd_->store().find(settings_->prefix + "leader");
    std::string text = fmt::format("leader key: {}; etcd leader: {}", key ? key->value : "none",
                                   etcd_->has_leader());
    for (int i = 0; i < kNodes; ++i) {
        const models::Postgres& server = postgres(i);
        text += fmt::format(
            "\n  {}: postgres {}{}{} timeline {} lsn {} upstream {}; patroni {} ({}{}, sees {})",
            server.name(),
            !server.is_running()  ? "down"
            : server.is_primary() ? "primary"
                                  : "standby",
            server.is_starting() ? " starting" : "", server.is_streaming() ? " streaming" : "",
            server.timeline(), server.lsn(), server.upstream() ? server.upstream()->name() : "none",
            patroni(i).is_running() ? "up" : "down", patroni(i).state(),
            patroni(i).is_busy() ? ", busy" : "", patroni(i).view().leader);
    }
    return text;
}

bool Cluster::start_node(const std::string& node) {
    // An agent is also held down by a marker of the server that it would start.
    const std::string server = fmt::format("postgres-{}", node.back());
    if (is_marked(node) || (node.starts_with("patroni-") && is_marked(server))) return false;
    const int number = node.back() - '1';
    if (number < 0 || number >= kNodes || (broken_.contains(number) && !node.starts_with("etcd-"))) return false;
    if (node.starts_with("patroni-") || node.starts_with("postgres-")) patroni(number).start();
    if (node.starts_with("etcd-")) etcd_->restart(static_cast<std::size_t>(number));
    return true;
}

void Cluster::start_missing() {
    for (int i = 0; i < kNodes; ++i) {
        wake_all_on(host(i));
        etcd_->restart(static_cast<std::size_t>(i));
        broken_.erase(i);
        if (!patroni(i).is_running())
            static_cast<void>(start_node(fmt::format("patroni-{}", i + 1)));
    }
}

std::string Cluster::stack_file(const std::string& state_directory,
                                const std::string& assist) const {
    std::string text = stack_head(state_directory) + "hosts:\n";
    for (int i = 1; i <= kNodes; ++i) {
        text += fmt::format(
            "  - name: host-{0}\n    site: a\n    executor: local\n    processes:\n", i);
        for (const char* kind : {"patroni", "postgres"}) {
            const bool is_agent = std::string_view(kind) == "patroni";
            text += fmt::format(
                "      - node: {0}-{1}\n        pid_file: {2}\n        start: [start-node, "
                "patroni-{1}]\n",
                kind, i,
                is_agent ? fmt::format("/data/host-{}/patroni.pid", i)
                         : fmt::format("/data/host-{}/postgres/postmaster.pid", i));
            if (!assist.empty() && i != unfenceable + 1) text += "        fence: marker\n";
        }
    }
    text +=
        "stores:\n  postgres:\n    approvals: [heartbeat, failover, switchover]\n    scope: lab\n  "
        "  user: watcher\n";
    if (!assist.empty()) text += fmt::format("    assist: {}\n", assist);
    text += "    nodes:\n";
    for (int i = 1; i <= kNodes; ++i) {
        text += fmt::format(
            "      - {{name: postgres-{0}, agent: patroni-{0}, member: postgres-{0}, address: "
            "'10.0.0.{0}:{1}', "
            "patroni: 'http://10.0.0.{0}:{2}'}}\n",
            i, kPostgresPort, kRestPort);
    }
    return text;
}

}  // namespace aeterna::sim
