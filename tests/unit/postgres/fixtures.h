// A cluster of three nodes to look at: healthy until a test changes what the probes see. Time is a
// number; each tick is half a second in which every probe that is not frozen posts once.
#pragma once

#include <set>

#include "postgres/detect/board.h"
#include "postgres/detect/detector.h"
#include "postgres/detect/world.h"

namespace aeterna::postgres::testing {

inline Settings three_nodes() {
    Settings settings;
    settings.stack_name = "test";
    settings.heartbeat_approved = true;
    settings.scope = "aeterna";
    settings.key_prefix = "/service/aeterna/";
    settings.client = env::Endpoint{"10.0.0.10", 5000};
    settings.exporter_job = "postgres";
    settings.captures = true;
    settings.slot = "aeterna";
    settings.slot_limit = 16ULL << 30;
    settings.prometheus_url = "http://10.0.0.9:9090";
    settings.etcd = config::EtcdSettings{
        {"http://10.0.0.1:2379", "http://10.0.0.2:2379", "http://10.0.0.3:2379"}, "", {}, {}};
    for (int n = 1; n <= 3; ++n) {
        const std::string number = std::to_string(n);
        settings.nodes.push_back({"postgres-" + number,
                                  "patroni-" + number,
                                  "postgres-" + number,
                                  {"10.0.0." + number, 5432},
                                  "http://10.0.0." + number + ":8008",
                                  "host-" + number,
                                  "a"});
    }
    return settings;
}

inline Error refused() { return make_error(ErrorCode::kConnectionRefused, "connection refused"); }
inline Error silence() { return make_error(ErrorCode::kTimeout, "no answer in 1 s"); }

inline SqlView sql_view(bool primary, std::int64_t lsn = 1000, std::int64_t timeline = 1) {
    SqlView view;
    view.in_recovery = !primary;
    view.lsn = lsn;
    if (!primary) view.received = lsn;
    view.timeline = timeline;
    view.system_identifier = "7";
    view.receiver_status = primary ? "" : "streaming";
    return view;
}

inline PatroniNode rest_view(bool primary, const std::string& state = "running") {
    PatroniNode node;
    node.state = state;
    node.role = primary ? "primary" : "replica";
    node.timeline = 1;
    return node;
}

inline DcsView dcs_view(const std::string& leader, std::optional<std::int64_t> remaining = 25) {
    DcsView view;
    if (!leader.empty()) view.leader = LeaderKey{leader, 7, 1, remaining, 30};
    for (int n = 1; n <= 3; ++n) {
        PatroniMember member;
        member.name = "postgres-" + std::to_string(n);
        member.state = "running";
        member.location = 1000;
        view.members[member.name] = member;
    }
    view.has_config = true;
    view.config.document["ignore_slots"] = Json::array({Json{{"name", "aeterna"}, {"type", "physical"}}});
    return view;
}

inline std::vector<services::EtcdMemberHealth> etcd_health(int good) {
    std::vector<services::EtcdMemberHealth> members;
    for (int n = 1; n <= 3; ++n) {
        members.push_back({"http://10.0.0." + std::to_string(n) + ":2379", n <= good, n <= good,
                           n <= good ? "" : "connection refused"});
    }
    return members;
}

class Cluster {
  public:
    // What the probes see next; postgres-1 is the primary.
    struct Node {
        Result<PatroniNode> rest = rest_view(false);
        Result<SqlView> sql = sql_view(false);
        Result<ConnectView> connect = ConnectView{true};
        bool accepts = true;
        Result<bool> heartbeat = false;
        Result<WalUpkeep> wal = WalUpkeep{"", "aeterna", 1 << 20, true, false, "", 100 << 20, 2LL << 30};
        Result<std::vector<DiskView>> disks = std::vector<DiskView>{{"/data", {50ULL << 30, 1, 100ULL << 30}}};
    };
    std::map<std::string, Node> nodes;
    Result<DcsView> dcs = dcs_view("postgres-1");
    Result<std::vector<services::EtcdMemberHealth>> health = etcd_health(3);
    Result<ExporterView> exporter =
        ExporterView{{{"10.0.0.1:9187", 1, 1}, {"10.0.0.2:9187", 1, 1}, {"10.0.0.3:9187", 1, 1}}};
    Result<ClientView> client = ClientView{"postgres-1", false, true};
    bool client_accepts = false;  // beside a failed `client`
    bool frozen = false;          // our own probes do not run
    bool isolated = false;
    Settings settings = three_nodes();

    Cluster() : board_(settings) {
        for (const NodeSettings& node : settings.nodes) nodes[node.name];
        lead("postgres-1");
    }

    // `name` leads: SQL, REST, key and client path say so.
    void lead(const std::string& name, std::int64_t timeline = 1) {
        for (auto& [other, node] : nodes) {
            if (!node.sql) continue;
            node.sql = sql_view(other == name, 1000, timeline);
            node.rest = rest_view(other == name);
            node.heartbeat = other == name;
        }
        dcs = dcs_view(name);
        client = ClientView{name, false, true};
    }

    void fail(const std::string& name, const Error& sql, const Error& rest) {
        nodes[name] = Node{rest, sql, sql, false, sql, sql};
        if (nodes[name].sql) return;
        client = Result<ClientView>(
            make_error(ErrorCode::kConnectionLost, "the proxy closed the session"));
    }

    World look(bool stalled = false) {
        if (stalled) valid_from_ = now_;
        engine::JudgeContext context{now_, wall(), isolated, stalled};
        return make_world(settings, board_.snapshot(), context, valid_from_, last_primary_);
    }

    // One probe round, then a judgement half a second later than the last one.
    World tick(bool stalled = false) {
        now_ += 500ms;
        if (!frozen) post();
        World world = look(stalled);
        if (world.primary) last_primary_ = *world.primary;
        return world;
    }

    void sleep(Duration duration) { now_ += duration; }
    WallTime wall() const {
        return WallTime{} + std::chrono::duration_cast<WallTime::duration>(now_.time_since_epoch());
    }

  private:
    void post() {
        // A look that timed out began a second before.
        const auto begun = [&](bool ok) { return ok ? now_ - 10ms : now_ - 20ms; };
        for (auto& [name, node] : nodes) {
            post_sql(board_, name, node.sql, begun(node.sql.has_value()), now_);
            board_.post([&, &name = name, &node = node](Snapshot& seen) {
                NodeObservations& of = seen.nodes[name];
                fold(of.rest, node.rest, begun(true), now_);
                fold(of.connect, node.connect, begun(true), now_);
                of.connect.value = std::make_shared<const ConnectView>(ConnectView{node.accepts});
                fold(of.heartbeat, node.heartbeat, begun(true), now_);
                fold(of.wal, node.wal, begun(true), now_);
                fold(of.disks, node.disks, begun(true), now_);
            });
        }
        board_.post([&](Snapshot& seen) {
            fold(seen.dcs, dcs, begun(true), now_);
            fold(seen.etcd_health, health, begun(true), now_);
            fold(seen.exporter, exporter, begun(true), now_);
            fold(seen.client, client, begun(true), now_);
            seen.client_accepts = client_accepts;
        });
    }

    Board board_;
    MonoTime now_ = MonoTime{} + 1h;
    MonoTime valid_from_{};
    std::string last_primary_;
};

// Runs the detectors and remembers when each finding began to fire.
class Watch {
  public:
    explicit Watch(Cluster& cluster) : cluster_(cluster), detectors_(cluster.settings) {}

    void run(Duration span) {
        for (Duration passed{}; passed < span; passed += 500ms) step();
    }
    void step(bool stalled = false) {
        for (engine::Finding& finding : detectors_.judge(cluster_.tick(stalled))) {
            findings_[finding.detector + " " + finding.subject] = std::move(finding);
        }
    }
    // Judges until it fires; nothing when it does not within `limit`.
    std::optional<Duration> until_fires(const std::string& detector, const std::string& subject,
                                        Duration limit) {
        for (Duration passed = 500ms; passed <= limit; passed += 500ms) {
            step();
            if (state(detector, subject) == engine::FindingState::kFiring) return passed;
        }
        return std::nullopt;
    }
    engine::FindingState state(const std::string& detector, const std::string& subject) {
        return findings_["postgres." + detector + " " + subject].state;
    }
    const engine::Finding& finding(const std::string& detector, const std::string& subject) {
        return findings_["postgres." + detector + " " + subject];
    }
    std::set<std::string> firing() const {
        std::set<std::string> names;
        for (const auto& [name, finding] : findings_) {
            if (finding.state == engine::FindingState::kFiring) names.insert(name.substr(9));
        }
        return names;
    }

  private:
    Cluster& cluster_;
    Detectors detectors_;
    std::map<std::string, engine::Finding> findings_;
};

}  // namespace aeterna::postgres::testing
