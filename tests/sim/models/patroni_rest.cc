#include "models/patroni_rest.h"

#include <fmt/format.h>

#include "models/patroni.h"

namespace aeterna::sim::models {
namespace {

constexpr Duration kPollEvery = std::chrono::seconds(1);

}  // namespace

void PatroniRest::serve(HttpCall call, Promise<env::HttpResponse> answer) {
    if (call.method == "POST") return act(call, answer);
    const Postgres& postgres = patroni_.postgres();
    const bool hangs = postgres.is_running() && postgres.process()->is_stopped();
    if (call.target == "/patroni") {
        if (!hangs) answer.send({200, {}, status_text()});
        return;
    }
    if (call.target == "/cluster") return answer.send({200, {}, cluster_text()});
    if (call.target == "/config") return answer.send({200, {}, patroni_.settings().config_json()});
    if (call.target == "/history") return answer.send({200, {}, "[]"});
    if (call.target == "/primary")
        return answer.send({patroni_.holds_lock() ? 200 : 503, {}, "{}"});
    answer.send({503, {}, "{}"});
}

std::string PatroniRest::status_text() const {
    const Postgres& postgres = patroni_.postgres();
    std::string text =
        fmt::format(R"({{"state":"{}","role":"{}")", patroni_.state(), patroni_.role());
    if (postgres.is_running() && !postgres.is_starting()) {
        text += fmt::format(
            R"(,"server_version":150020,"timeline":{},"database_system_identifier":"{}")",
            postgres.timeline(), postgres.system_identifier());
        if (postgres.is_primary()) {
            text += fmt::format(R"(,"xlog":{{"location":{}}})", postgres.lsn());
            std::string rows;
            for (const auto& standby : postgres.standbys()) {
                rows += fmt::format(
                    R"({}{{"application_name":"{}","state":"streaming","sync_state":"{}"}})",
                    rows.empty() ? "" : ",", standby.name, standby.is_sync ? "sync" : "async");
            }
            if (!rows.empty()) text += fmt::format(R"(,"replication":[{}])", rows);
        } else {
            text += fmt::format(
                R"(,"xlog":{{"received_location":{0},"replayed_location":{0},"paused":false}})",
                postgres.lsn());
        }
    }
    if (patroni_.view().is_unlocked()) text += R"(,"cluster_unlocked":true)";
    if (patroni_.is_failsafe_active()) text += R"(,"failsafe_mode_is_active":true)";
    if (patroni_.settings().is_paused) text += R"(,"pause":true)";
    text +=
        fmt::format(R"(,"dcs_last_seen":{},"patroni":{{"version":"{}","scope":"lab"}}}})",
                    patroni_.dcs_last_seen(), patroni_.settings().version >= 4 ? "4.1.5" : "3.0.2");
    return text;
}

std::string PatroniRest::cluster_text() const {
    std::string members;
    const PatroniView& view = patroni_.view();
    for (const auto& member : view.members) {
        const Patroni* peer = nullptr;
        for (const Patroni* candidate : patroni_.peers()) {
            if (candidate->name() == member.name) peer = candidate;
        }
        if (peer == nullptr) continue;
        const Postgres& postgres = peer->postgres();
        const bool leads = member.name == view.leader;
        members += fmt::format(
            R"({}{{"name":"{}","role":"{}","state":"{}","api_url":"http://{}/patroni","host":"{}","port":{},"timeline":{})",
            members.empty() ? "" : ",", member.name,
            leads                            ? "leader"
            : view.sync_matches(member.name) ? "sync_standby"
                                             : "replica",
            peer->state(), peer->rest().to_string(), postgres.endpoint().host,
            postgres.endpoint().port, postgres.timeline());
        if (!leads) members += R"(,"lag":0)";
        members += "}";
    }
    return fmt::format(R"({{"members":[{}]{}}})", members,
                       patroni_.settings().is_paused ? R"(,"pause":true)" : "");
}

// do_POST_failover: writes the failover key, then polls until the leader has changed or twice
// max(10, loop_wait) is over.
void PatroniRest::act(const HttpCall& call, const Promise<env::HttpResponse>& answer) {
    const Json body = Json::parse(call.body, nullptr, false);
    const std::string leader = find_string(body, "leader").value_or("");
    const std::string candidate = find_string(body, "candidate").value_or("");
    const bool is_switchover = call.target == "/switchover";
    if (is_switchover ? leader.empty() : candidate.empty()) {
        return answer.send({400,
                            {},
                            is_switchover
                                ? "Switchover could be performed only from a specific leader"
                                : "Failover could be performed only to a specific candidate"});
    }
    const PatroniView view = patroni_.view();
    if (is_switchover && view.leader != leader) {
        return answer.send({412, {}, "leader name does not match"});
    }
    Process* const process = patroni_.process();
    world_.scheduler.spawn(
        process, "rest action", [this, leader, candidate, answer, before = view.leader, process] {
            const std::string prefix = patroni_.settings().prefix;
            const std::string value = dump_json(Json{{"leader", leader}, {"member", candidate}});
            const auto written = patroni_.etcd().commit<bool>(
                *process, {world_.now() + std::chrono::seconds(3), {}, ""},
                [prefix, value](EtcdStore& store) {
                    return store.put(prefix + "failover", value, 0);
                });
            if (!written) return answer.send({503, {}, "failed to write failover key into DCS"});
            if (!process->is_alive()) return;
            patroni_.wake();
            const Duration longest =
                2 * std::max<Duration>(std::chrono::seconds(10), patroni_.settings().loop_wait);
            const MonoTime until = world_.now() + longest;
            while (process->is_alive() && world_.now() < until) {
                static_cast<void>(
                    world_.scheduler.park(world_.now() + kPollEvery, {}, "the new leader"));
                const EtcdKey* key = patroni_.etcd().store().find(prefix + "leader");
                if (key != nullptr && key->value != before) {
                    const bool as_wished = candidate.empty() || candidate == key->value;
                    return answer.send(
                        {200,
                         {},
                         (as_wished ? "Successfully failed over to \"" : "Failed over to \"") +
                             key->value + "\""});
                }
                const EtcdKey* failover = patroni_.etcd().store().find(prefix + "failover");
                if (failover == nullptr || failover->value == "{}") {
                    return answer.send({503, {}, "Failover failed"});
                }
            }
            answer.send({503, {}, "Failover status unknown"});
        });
}

}  // namespace aeterna::sim::models
