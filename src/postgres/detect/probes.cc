// The probes of PostgreSQL; see probes.h.
#include "postgres/detect/probes.h"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>

#include "hosts/executor.h"
#include "postgres/client/patroni.h"

namespace aeterna::postgres {

namespace {

using engine::ProbeTask;
using ConnectionPointer = std::shared_ptr<std::unique_ptr<env::SqlConnection>>;

// What every probe needs.
struct Wiring {
    const Settings& settings;
    const env::Env& env;
    Board& board;
    std::string owner;  // of heartbeats: tells this process from other watchers
};

// A refused connection is confirmed by a second one at once: what is decided after a death should
// not wait for a period. Only for a while: a server that stays away is asked as seldom as before.
class Hurry {
  public:
    void note(bool is_refused) { refusals_ = is_refused ? refusals_ + 1 : 0; }
    [[nodiscard]] Duration next(const Rhythm& rhythm) const {
        const bool is_news = refusals_ > 0 && refusals_ < kQuickLooks;
        return is_news ? kQuickPeriod : rhythm.period;
    }

  private:
    static constexpr int kQuickLooks = 20;
    static constexpr Duration kQuickPeriod = 100ms;
    std::atomic<int> refusals_{0};
};

template <class T>
bool is_refused(const Result<T>& outcome) {
    return !outcome && answer_of(outcome.error()) == Answer::kRefused;
}

ProbeTask rest_probe(Wiring wiring, const NodeSettings& node) {
    auto patroni = std::make_shared<Patroni>(wiring.settings, wiring.env);
    auto hurry = std::make_shared<Hurry>();
    return {node.agent + " REST", kRestRhythm.period, kRestRhythm.timeout,
            [wiring, node, patroni, hurry](const env::Context& context) {
                const MonoTime started = wiring.env.clock.now();
                auto outcome = patroni->node(node, context);
                const MonoTime at = wiring.env.clock.now();
                hurry->note(is_refused(outcome));
                wiring.board.post([&](Snapshot& seen) {
                    fold(seen.nodes[node.name].rest, std::move(outcome), started, at);
                });
            },
            [hurry] { return hurry->next(kRestRhythm); }};
}

ProbeTask cluster_probe(Wiring wiring, const NodeSettings& node) {
    auto patroni = std::make_shared<Patroni>(wiring.settings, wiring.env);
    return {node.agent + " cluster", kClusterRhythm.period, kClusterRhythm.timeout,
            [wiring, node, patroni](const env::Context& context) {
                const MonoTime started = wiring.env.clock.now();
                auto outcome = patroni->cluster(node, context);
                const MonoTime at = wiring.env.clock.now();
                wiring.board.post([&](Snapshot& seen) {
                    fold(seen.nodes[node.name].cluster, std::move(outcome), started, at);
                });
            }};
}

// Runs `ask` over the kept connection, making one when there is none. A kept connection that turns
// out to be dead is replaced in the same run: its loss alone does not tell whether the server is
// still there.
template <class Ask>
auto over_kept_connection(Wiring wiring, const env::Endpoint& address, ConnectionPointer kept,
                          const env::Context& context, Ask ask)
    -> decltype(ask(std::declval<env::SqlConnection&>())) {
    if (*kept && (*kept)->is_usable()) {
        auto answer = ask(**kept);
        if (answer || (*kept)->is_usable()) return answer;
        if (answer.error().code == ErrorCode::kTimeout ||
            answer.error().code == ErrorCode::kDeadline) {
            kept->reset();
            return answer;
        }
    }
    kept->reset();
    auto fresh = wiring.env.sql.connect(wiring.settings.sql_target(address), context);
    if (!fresh) return std::move(fresh).error();
    *kept = std::move(*fresh);
    auto answer = ask(**kept);
    if (!(*kept)->is_usable()) kept->reset();
    return answer;
}

ProbeTask sql_probe(Wiring wiring, const NodeSettings& node) {
    auto kept = std::make_shared<std::unique_ptr<env::SqlConnection>>();
    auto hurry = std::make_shared<Hurry>();
    return {node.name + " SQL", kSqlRhythm.period, kSqlRhythm.timeout,
            [wiring, node, kept, hurry](const env::Context& context) {
                const MonoTime started = wiring.env.clock.now();
                auto outcome = over_kept_connection(
                    wiring, node.address, kept, context,
                    [&](env::SqlConnection& sql) { return observe(sql, context); });
                hurry->note(is_refused(outcome));
                post_sql(wiring.board, node.name, std::move(outcome), started,
                         wiring.env.clock.now());
            },
            [hurry] { return hurry->next(kSqlRhythm); }};
}

// A write that waits for a synchronous standby must not make the node look dead: its own
// connection.
ProbeTask heartbeat_probe(Wiring wiring, const NodeSettings& node) {
    auto kept = std::make_shared<std::unique_ptr<env::SqlConnection>>();
    const auto write = [owner = wiring.owner](env::SqlConnection& sql,
                                              const env::Context& context) -> Result<bool> {
        AETERNA_ASSIGN(Answerer answerer, who_answers(sql, context));
        if (answerer.in_recovery) return false;
        AETERNA_TRY(beat(sql, "direct", owner, context));
        return true;
    };
    return {node.name + " heartbeat", kHeartbeatRhythm.period, kHeartbeatRhythm.timeout,
            [wiring, node, kept, write](const env::Context& context) {
                const MonoTime started = wiring.env.clock.now();
                auto outcome = over_kept_connection(
                    wiring, node.address, kept, context,
                    [&](env::SqlConnection& sql) { return write(sql, context); });
                const MonoTime at = wiring.env.clock.now();
                wiring.board.post([&](Snapshot& seen) {
                    fold(seen.nodes[node.name].heartbeat, std::move(outcome), started, at);
                });
            }};
}

ProbeTask wal_probe(Wiring wiring, const NodeSettings& node) {
    auto kept = std::make_shared<std::unique_ptr<env::SqlConnection>>();
    return {node.name + " WAL", kWalRhythm.period, kWalRhythm.timeout,
            [wiring, node, kept](const env::Context& context) {
                const MonoTime started = wiring.env.clock.now();
                auto outcome = over_kept_connection(
                    wiring, node.address, kept, context, [&](env::SqlConnection& sql) {
                        return look_at_wal(sql, wiring.settings.slot, context);
                    });
                const MonoTime at = wiring.env.clock.now();
                wiring.board.post([&](Snapshot& seen) {
                    fold(seen.nodes[node.name].wal, std::move(outcome), started, at);
                });
            }};
}

// The directories of a server that may be file systems of their own (PostgreSQL, "Database File Layout"); what we may not
// look into is left out.
Result<std::vector<DiskView>> measure_disks(hosts::Executor& host, const std::string& node, const env::Context& context) {
    AETERNA_ASSIGN(const std::string data, host.data_directory(node, context));
    AETERNA_ASSIGN(const env::Room room, host.room(data, context));
    std::vector<DiskView> disks{{data, room}};
    std::vector<std::string> others{data + "/pg_wal"};
    const std::string tablespaces = data + "/pg_tblspc";
    for (const std::string& link : host.list_files(tablespaces, context).value_or(std::vector<std::string>{}))
        others.push_back(tablespaces + "/" + link);
    for (const std::string& path : others) {
        const auto other = host.room(path, context);
        const bool is_known = !other || std::any_of(disks.begin(), disks.end(), [&](const DiskView& disk) {
            return disk.room.file_system == other->file_system;
        });
        if (!is_known) disks.push_back({path, *other});
    }
    return disks;
}

ProbeTask disk_probe(Wiring wiring, const NodeSettings& node, std::shared_ptr<hosts::Executor> host) {
    return {node.name + " disk", kDiskRhythm.period, kDiskRhythm.timeout,
            [wiring, node, host](const env::Context& context) {
                const MonoTime started = wiring.env.clock.now();
                auto outcome = measure_disks(*host, node.name, context);
                const MonoTime at = wiring.env.clock.now();
                wiring.board.post([&](Snapshot& seen) {
                    fold(seen.nodes[node.name].disks, std::move(outcome), started, at);
                });
            }};
}

ProbeTask connect_probe(Wiring wiring, const NodeSettings& node) {
    return {node.name + " connect", kConnectRhythm.period, kConnectRhythm.timeout,
            [wiring, node](const env::Context& context) {
                const MonoTime started = wiring.env.clock.now();
                const bool accepted = wiring.env.dialer.connect(node.address, context).has_value();
                auto session =
                    wiring.env.sql.connect(wiring.settings.sql_target(node.address), context);
                Result<ConnectView> outcome = ConnectView{accepted};
                if (!session) outcome = std::move(session).error();
                const MonoTime at = wiring.env.clock.now();
                wiring.board.post([&](Snapshot& seen) {
                    auto& observation = seen.nodes[node.name].connect;
                    fold(observation, std::move(outcome), started, at);
                    // Kept beside the error: "accepts, but never answers" is what a hung postmaster
                    // looks like.
                    observation.value = std::make_shared<const ConnectView>(ConnectView{accepted});
                });
            }};
}

std::string node_at(const Settings& settings, const std::string& address) {
    for (const NodeSettings& node : settings.nodes) {
        if (node.address.to_string() == address) return node.name;
    }
    return address;
}

// As a newly started application would: a new session each time.
Result<ClientView> use_client_path(Wiring wiring, bool heartbeat, const env::Context& context) {
    auto session =
        wiring.env.sql.connect(wiring.settings.sql_target(*wiring.settings.client), context);
    if (!session) return std::move(session).error();
    AETERNA_ASSIGN(Answerer answerer, who_answers(**session, context));
    ClientView view{node_at(wiring.settings, answerer.address), answerer.in_recovery, false};
    if (heartbeat && !view.in_recovery) {
        AETERNA_TRY(beat(**session, "client", wiring.owner, context));
        view.wrote = true;
    }
    return view;
}

// Tells a proxy without a server from no proxy. The failed session has used up its time.
bool accepts_clients(Wiring wiring, const env::Context& context) {
    const env::Context moment{wiring.env.clock.now() + 200ms, context.stop, context.run_id};
    return wiring.env.dialer.connect(*wiring.settings.client, moment).has_value();
}

ProbeTask client_probe(Wiring wiring, bool heartbeat) {
    return {"client path", kClientRhythm.period, kClientRhythm.timeout,
            [wiring, heartbeat](const env::Context& context) {
                const MonoTime started = wiring.env.clock.now();
                auto outcome = use_client_path(wiring, heartbeat, context);
                const MonoTime at = wiring.env.clock.now();
                const bool accepts = !outcome && accepts_clients(wiring, context);
                wiring.board.post([&](Snapshot& seen) {
                    fold(seen.client, std::move(outcome), started, at);
                    seen.client_accepts = accepts;
                });
            }};
}

ProbeTask dcs_probe(Wiring wiring) {
    auto dcs = std::make_shared<Dcs>(wiring.settings, wiring.env);
    return {"etcd keys", kDcsRhythm.period, kDcsRhythm.timeout,
            [wiring, dcs](const env::Context& context) {
                const MonoTime started = wiring.env.clock.now();
                auto outcome = dcs->read(context);
                const MonoTime at = wiring.env.clock.now();
                wiring.board.post(
                    [&](Snapshot& seen) { fold(seen.dcs, std::move(outcome), started, at); });
            }};
}

ProbeTask etcd_health_probe(Wiring wiring) {
    auto dcs = std::make_shared<Dcs>(wiring.settings, wiring.env);
    return {"etcd members", kEtcdHealthRhythm.period, kEtcdHealthRhythm.timeout,
            [wiring, dcs](const env::Context& context) {
                const MonoTime started = wiring.env.clock.now();
                Result<std::vector<services::EtcdMemberHealth>> outcome =
                    dcs->health(500ms, context);
                const MonoTime at = wiring.env.clock.now();
                wiring.board.post([&](Snapshot& seen) {
                    fold(seen.etcd_health, std::move(outcome), started, at);
                });
            }};
}

Result<ExporterView> ask_prometheus(services::Prometheus& prometheus, const std::string& job,
                                    const env::Context& context) {
    AETERNA_ASSIGN(auto up, prometheus.query(fmt::format("up{{job=\"{}\"}}", job), context));
    AETERNA_ASSIGN(auto pg_up, prometheus.query(fmt::format("pg_up{{job=\"{}\"}}", job), context));
    return merge_exporter_samples(up, pg_up);
}

ProbeTask exporter_probe(Wiring wiring) {
    auto prometheus =
        std::make_shared<services::Prometheus>(wiring.settings.prometheus_url, wiring.env);
    return {"prometheus", kExporterRhythm.period, kExporterRhythm.timeout,
            [wiring, prometheus](const env::Context& context) {
                const MonoTime started = wiring.env.clock.now();
                auto outcome = ask_prometheus(*prometheus, wiring.settings.exporter_job, context);
                const MonoTime at = wiring.env.clock.now();
                wiring.board.post(
                    [&](Snapshot& seen) { fold(seen.exporter, std::move(outcome), started, at); });
            }};
}

}  // namespace

ExporterView merge_exporter_samples(const std::vector<services::PrometheusSample>& up,
                                    const std::vector<services::PrometheusSample>& pg_up) {
    std::map<std::string, ExporterSample> by_instance;
    const auto instance_of = [](const services::PrometheusSample& sample) {
        const auto label = sample.labels.find("instance");
        return label == sample.labels.end() ? std::string() : label->second;
    };
    for (const auto& sample : up) by_instance[instance_of(sample)].up = sample.value;
    for (const auto& sample : pg_up) by_instance[instance_of(sample)].pg_up = sample.value;
    ExporterView view;
    for (auto& [instance, sample] : by_instance) {
        sample.instance = instance;
        view.samples.push_back(sample);
    }
    return view;
}

std::vector<ProbeTask> make_probes(const Settings& settings, const env::Env& env, Board& board,
                                   bool heartbeat) {
    const Wiring wiring{settings, env, board, fmt::format("{:016x}", env.random.next())};
    std::vector<ProbeTask> tasks;
    for (const NodeSettings& node : settings.nodes) {
        tasks.push_back(rest_probe(wiring, node));
        tasks.push_back(cluster_probe(wiring, node));
        tasks.push_back(sql_probe(wiring, node));
        tasks.push_back(connect_probe(wiring, node));
        tasks.push_back(wal_probe(wiring, node));
        if (heartbeat) tasks.push_back(heartbeat_probe(wiring, node));
        if (const config::Host* host = settings.host_of(node.name)) {
            auto executor = hosts::make_executor(*host, env);
            if (executor) tasks.push_back(disk_probe(wiring, node, std::move(*executor)));
        }
    }
    if (settings.client) tasks.push_back(client_probe(wiring, heartbeat));
    if (settings.etcd) {
        tasks.push_back(dcs_probe(wiring));
        tasks.push_back(etcd_health_probe(wiring));
    }
    if (!settings.prometheus_url.empty() && !settings.exporter_job.empty()) {
        tasks.push_back(exporter_probe(wiring));
    }
    return tasks;
}

}  // namespace aeterna::postgres
