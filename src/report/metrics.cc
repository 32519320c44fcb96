#include "report/metrics.h"

#include <fmt/format.h>

#include <array>
#include <map>
#include <utility>

#include "report/node_tone.h"

namespace aeterna::report {
namespace {

using Labels = std::vector<std::pair<std::string_view, std::string>>;

std::string escape_label(const std::string& value) {
    std::string escaped;
    for (const char c : value) {
        if (c == '\\') escaped += "\\\\";
        else if (c == '"') escaped += "\\\"";
        else if (c == '\n') escaped += "\\n";
        else escaped += c;
    }
    return escaped;
}

// One metric family: its header appears with its first sample, so that an unknown family is absent altogether.
class Family {
  public:
    Family(std::string& out, std::string name, std::string_view help)
        : out_(out), name_(std::move(name)), help_(help) {}
    void sample(const Labels& labels, const std::string& value) {
        if (!std::exchange(begun_, true)) {
            out_ += fmt::format("# HELP {} {}\n# TYPE {} gauge\n", name_, help_, name_);
        }
        out_ += name_;
        for (std::size_t i = 0; i < labels.size(); ++i) {
            out_ += fmt::format("{}{}=\"{}\"", i == 0 ? '{' : ',', labels[i].first,
                                escape_label(labels[i].second));
        }
        out_ += fmt::format("{} {}\n", labels.empty() ? "" : "}", value);
    }
    void sample(const Labels& labels, bool value) { sample(labels, std::string(value ? "1" : "0")); }

  private:
    std::string& out_;
    std::string name_;
    std::string_view help_;
    bool begun_ = false;
};

void add_store_health(std::string& out, const engine::StackStatus& status) {
    using engine::Health;
    Family family(out, "aeterna_store_health", "1 for the store's present health, 0 for the others");
    for (const engine::StoreStatus& store : status.stores) {
        for (const Health health : {Health::kOk, Health::kDegraded, Health::kDown, Health::kUnknown}) {
            family.sample({{"store", store.store}, {"state", std::string(engine::health_name(health))}},
                          store.health == health);
        }
    }
}

void add_orders(std::string& out, const engine::StackStatus& status) {
    Family maintenance(out, "aeterna_maintenance", "1 while a maintenance window holds for the store");
    for (const engine::StoreStatus& store : status.stores) {
        maintenance.sample({{"store", store.store}}, store.paused);
    }
    Family assist(out, "aeterna_assist", "1 for the word that the store's failovers go by, 0 for the others");
    for (const engine::StoreStatus& store : status.stores) {
        for (const char* word : {"off", "propose", "act"}) {
            assist.sample({{"store", store.store}, {"assist", word}}, store.assist == word);
        }
    }
    Family fenced(out, "aeterna_node_fenced", "1 while the node is held down by a fence");
    for (const engine::StoreStatus& store : status.stores) {
        for (const engine::NodeStatus& node : store.nodes) {
            fenced.sample({{"store", store.store}, {"node", node.name}}, node.fenced);
        }
    }
}

void add_nodes(std::string& out, const engine::StackStatus& status) {
    Family up(out, "aeterna_node_up", "1 when the node answers, 0 when it does not");
    for (const engine::StoreStatus& store : status.stores) {
        for (const engine::NodeStatus& node : store.nodes) {
            const NodeTone tone = node_tone(node);
            if (tone == NodeTone::kUnknown) continue;
            up.sample({{"store", store.store}, {"node", node.name}, {"kind", node.kind}},
                      tone != NodeTone::kDown);
        }
    }
    Family lag(out, "aeterna_replication_lag_bytes", "Bytes that the node is behind its primary");
    for (const engine::StoreStatus& store : status.stores) {
        for (const engine::NodeStatus& node : store.nodes) {
            if (!node.lag_bytes) continue;
            lag.sample({{"store", store.store}, {"node", node.name}}, std::to_string(*node.lag_bytes));
        }
    }
}

// Carries the stack's name: it is read back from a Prometheus that other stacks may share.
void add_cluster_status(std::string& out, const std::string& stack, const engine::StoreStatus& store) {
    const auto found = store.extra.find("cluster_status");
    if (found == store.extra.end() || !found->second.is_string()) return;
    const auto word = found->second.get<std::string>();
    constexpr std::array<std::string_view, 3> kColors = {"Green", "Yellow", "Red"};
    if (word != kColors[0] && word != kColors[1] && word != kColors[2]) return;
    Family family(out, fmt::format("aeterna_{}_cluster_status", store.store),
                  "1 for the cluster's present status, 0 for the others");
    for (const std::string_view color : kColors) {
        family.sample({{"stack", stack}, {"status", std::string(color)}}, word == color);
    }
}

void add_cache_misses(std::string& out, const engine::StoreStatus& store) {
    const auto found = store.extra.find("cache_miss_ratio");
    if (found == store.extra.end() || !found->second.is_number()) return;
    Family(out, fmt::format("aeterna_{}_cache_miss_ratio", store.store), "Look-ups that found no key, of those of the last 30 s")
        .sample({}, fmt::format("{:.4f}", found->second.get<double>()));
}

void add_capture(std::string& out, const engine::StackStatus& status) {
    Family family(out, "aeterna_capture", "1 for what the capture of the store's log does now, 0 for the others");
    for (const engine::StoreStatus& store : status.stores) {
        if (store.capture == "none") continue;
        for (const char* word : {"running", "behind", "stopped"}) {
            family.sample({{"store", store.store}, {"state", word}}, store.capture == word);
        }
    }
}

void add_numbers(std::string& out, const engine::StackStatus& status) {
    Family rpo(out, "aeterna_rpo_now_seconds", "Age of the oldest write that is not yet in the repository");
    for (const engine::StoreStatus& store : status.stores) {
        if (!store.rpo_now_seconds) continue;
        rpo.sample({{"store", store.store}}, fmt::format("{:.3f}", *store.rpo_now_seconds));
    }
    Family rto(out, "aeterna_rto_forecast_seconds", "Forecast time to restore the store");
    for (const engine::StoreStatus& store : status.stores) {
        if (!store.rto_forecast_seconds) continue;
        rto.sample({{"store", store.store}}, fmt::format("{:.3f}", *store.rto_forecast_seconds));
    }
}

void add_incidents(std::string& out, const MetricsInput& input) {
    std::map<std::pair<std::string, std::string>, int> open;
    for (const auto& detector : input.detectors) open[detector] = 0;
    for (const engine::IncidentSummary& incident : input.status.incidents) {
        if (incident.state == "open") ++open[{incident.store, incident.detector}];
    }
    Family family(out, "aeterna_incidents_open", "Open incidents by detector");
    for (const auto& [key, count] : open) {
        family.sample({{"store", key.first}, {"detector", key.second}}, std::to_string(count));
    }
}

}  // namespace

std::string render_metrics(const MetricsInput& input) {
    std::string out;
    Family(out, "aeterna_up", "1 while serve runs").sample({}, true);
    Family(out, "aeterna_build_info", "Always 1").sample({{"version", input.version}}, true);
    Family(out, "aeterna_isolated", "1 when nothing answers at all and judgement is suspended")
        .sample({}, input.status.isolated);
    Family(out, "aeterna_healthy", "1 when every store is ok").sample({}, input.status.healthy);
    add_store_health(out, input.status);
    add_nodes(out, input.status);
    add_orders(out, input.status);
    for (const engine::StoreStatus& store : input.status.stores) add_cluster_status(out, input.status.stack, store);
    for (const engine::StoreStatus& store : input.status.stores) add_cache_misses(out, store);
    add_capture(out, input.status);
    add_numbers(out, input.status);
    add_incidents(out, input);
    Family probes(out, "aeterna_probe_duration_seconds", "Duration of the probe's last run");
    for (const ProbeTiming& probe : input.probes) {
        probes.sample({{"store", probe.store}, {"probe", probe.probe}},
                      fmt::format("{:.6f}", to_seconds(probe.last)));
    }
    return out;
}

}  // namespace aeterna::report
