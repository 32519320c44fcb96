// The JSON of `status --json` and of serve's /status, both ways. Every member of the contract (docs/cli.md) is always
// present, null where unknown. What comes back from /status is untrusted input: a wrong type is kProtocol.
#include "engine/status.h"

#include <fmt/format.h>

#include <array>

namespace aeterna::engine {
namespace {

constexpr std::array kStoreMembers = {"health",  "primary",         "nodes",
                                      "capture", "rpo_now_seconds", "rto_forecast_seconds",
                                      "reasons", "assist",          "paused"};

Json to_json(const StoreStatus& store) {
    Json document = Json::object();
    for (const auto& [key, value] : store.extra) document[key] = value;
    document["health"] = std::string(health_name(store.health));
    document["primary"] = json_or_null(store.primary);
    document["nodes"] = Json::array();
    for (const NodeStatus& node : store.nodes) document["nodes"].push_back(to_json(node));
    document["capture"] = store.capture;
    document["rpo_now_seconds"] = json_or_null(store.rpo_now_seconds);
    document["rto_forecast_seconds"] = json_or_null(store.rto_forecast_seconds);
    document["reasons"] = store.reasons;
    document["assist"] = store.assist;
    document["paused"] = store.paused;
    return document;
}

Error wrong(const std::string& what) {
    return make_error(ErrorCode::kProtocol, fmt::format("the status document is wrong: {}", what),
                      "Check that the address answers for aeterna-dr serve, and that both have the same version.");
}

// Reads members of one object; the first wrong or missing one sticks.
class Reader {
  public:
    Reader(const Json& object, std::string where) : object_(object), where_(std::move(where)) {
        if (!object_.is_object()) fail("no object");
    }
    std::string text(const char* key) {
        std::optional<std::string> value = find_string(object_, key);
        if (!value) fail(fmt::format("'{}' is no text", key));
        return value.value_or("");
    }
    std::string text_or_empty(const char* key) { return find_member(object_, key) ? text(key) : ""; }
    bool boolean(const char* key) {
        const std::optional<bool> value = find_boolean(object_, key);
        if (!value) fail(fmt::format("'{}' is neither true nor false", key));
        return value.value_or(false);
    }
    std::optional<double> number(const char* key) {
        if (find_member(object_, key) == nullptr) return std::nullopt;
        std::optional<double> value = find_number(object_, key);
        if (!value) fail(fmt::format("'{}' is no number", key));
        return value;
    }
    std::optional<WallTime> time(const char* key) {
        if (find_member(object_, key) == nullptr) return std::nullopt;
        Result<WallTime> value = parse_time(text(key));
        if (value) return *value;
        fail(fmt::format("'{}' is no time", key));
        return std::nullopt;
    }
    std::vector<std::string> texts(const char* key) {
        std::vector<std::string> values;
        for (const Json& item : array(key)) {
            if (!item.is_string()) {
                fail(fmt::format("'{}' is no list of texts", key));
                return {};
            }
            values.push_back(item.get<std::string>());
        }
        return values;
    }
    const Json& array(const char* key) {
        static const Json kEmpty = Json::array();
        const Json* value = find_member(object_, key);
        if (value != nullptr && value->is_array()) return *value;
        fail(fmt::format("'{}' is no list", key));
        return kEmpty;
    }
    void fail(const std::string& what) {
        if (!error_) error_ = wrong(fmt::format("{}: {}", where_, what));
    }
    [[nodiscard]] const std::optional<Error>& error() const { return error_; }

  private:
    const Json& object_;
    std::string where_;
    std::optional<Error> error_;
};

std::optional<Health> health_from_name(const std::string& name) {
    for (const Health health : {Health::kOk, Health::kDegraded, Health::kDown, Health::kUnknown}) {
        if (health_name(health) == name) return health;
    }
    return std::nullopt;
}

Result<NodeStatus> node_from_json(const Json& document) {
    Reader reader(document, "a node");
    NodeStatus node;
    node.name = reader.text("name");
    node.kind = reader.text("kind");
    node.role = reader.text("role");
    node.state = reader.text("state");
    node.lag_bytes = find_integer(document, "lag_bytes");
    node.fenced = reader.boolean("fenced");
    node.server = reader.text("server");
    node.site = reader.text_or_empty("site");
    node.note = reader.text_or_empty("note");
    if (reader.error()) return *reader.error();
    return node;
}

Result<StoreStatus> store_from_json(const std::string& name, const Json& document) {
    Reader reader(document, fmt::format("store '{}'", name));
    StoreStatus store;
    store.store = name;
    const std::optional<Health> health = health_from_name(reader.text("health"));
    if (!health) reader.fail("'health' is no known word");
    store.health = health.value_or(Health::kUnknown);
    store.primary = find_string(document, "primary");
    for (const Json& item : reader.array("nodes")) {
        AETERNA_ASSIGN(NodeStatus node, node_from_json(item));
        store.nodes.push_back(std::move(node));
    }
    store.capture = reader.text("capture");
    store.rpo_now_seconds = reader.number("rpo_now_seconds");
    store.rto_forecast_seconds = reader.number("rto_forecast_seconds");
    store.reasons = reader.texts("reasons");
    store.assist = reader.text_or_empty("assist");
    store.paused = find_boolean(document, "paused").value_or(false);
    if (reader.error()) return *reader.error();
    for (const auto& [key, value] : document.items()) store.extra[key] = value;
    for (const char* key : kStoreMembers) store.extra.erase(key);
    return store;
}

Json to_json(const MaintenanceStatus& window) {
    return Json{{"id", window.id},
                {"store", window.store.empty() ? Json(nullptr) : Json(window.store)},
                {"reason", window.reason},
                {"until", format_time(window.until)}};
}

Result<MaintenanceStatus> maintenance_from_json(const Json& document) {
    Reader reader(document, "a maintenance window");
    MaintenanceStatus window;
    window.id = reader.text("id");
    window.store = reader.text_or_empty("store");
    window.reason = reader.text_or_empty("reason");
    const std::optional<WallTime> until = reader.time("until");
    if (!until) reader.fail("'until' is missing");
    window.until = until.value_or(WallTime{});
    if (reader.error()) return *reader.error();
    return window;
}

Result<IncidentSummary> incident_from_json(const Json& document) {
    Reader reader(document, "an incident");
    IncidentSummary incident;
    incident.id = reader.text("id");
    incident.detector = reader.text("detector");
    incident.store = reader.text("store");
    incident.subject = reader.text("subject");
    incident.severity = reader.text("severity");
    incident.state = reader.text("state");
    incident.summary = reader.text("summary");
    incident.reasons = reader.texts("reasons");
    const std::optional<WallTime> opened_at = reader.time("opened_at");
    if (!opened_at) reader.fail("'opened_at' is missing");
    incident.opened_at = opened_at.value_or(WallTime{});
    incident.closed_at = reader.time("closed_at");
    incident.acknowledged_at = reader.time("acknowledged_at");
    incident.acknowledged_by = find_string(document, "acknowledged_by").value_or("");
    if (reader.error()) return *reader.error();
    return incident;
}

}  // namespace

std::string_view health_name(Health health) {
    switch (health) {
        case Health::kOk: return "ok";
        case Health::kDegraded: return "degraded";
        case Health::kDown: return "down";
        case Health::kUnknown: return "unknown";
    }
    return "unknown";
}

std::string_view severity_name(Severity severity) {
    switch (severity) {
        case Severity::kInfo: return "info";
        case Severity::kDegraded: return "degraded";
        case Severity::kCritical: return "critical";
    }
    return "critical";
}

std::string_view finding_state_name(FindingState state) {
    switch (state) {
        case FindingState::kClear: return "clear";
        case FindingState::kSuspect: return "suspect";
        case FindingState::kFiring: return "firing";
        case FindingState::kUnknown: return "unknown";
    }
    return "unknown";
}

Json to_json(const NodeStatus& node) {
    return Json{{"name", node.name},     {"kind", node.kind},     {"role", node.role},
                {"state", node.state},   {"fenced", node.fenced}, {"lag_bytes", json_or_null(node.lag_bytes)},
                {"server", node.server}, {"site", node.site},     {"note", node.note}};
}

Json to_json(const IncidentSummary& incident) {
    Json document{{"id", incident.id},           {"detector", incident.detector}, {"store", incident.store},
                  {"subject", incident.subject}, {"severity", incident.severity}, {"state", incident.state},
                  {"summary", incident.summary}, {"reasons", incident.reasons}};
    document["opened_at"] = format_time(incident.opened_at);
    document["closed_at"] = incident.closed_at ? Json(format_time(*incident.closed_at)) : Json(nullptr);
    const bool is_known = incident.acknowledged_at.has_value();
    document["acknowledged_at"] = is_known ? Json(format_time(*incident.acknowledged_at)) : Json(nullptr);
    document["acknowledged_by"] = is_known ? Json(incident.acknowledged_by) : Json(nullptr);
    return document;
}

Json to_json(const StackStatus& status) {
    Json document = Json::object();
    document["healthy"] = status.healthy;
    document["assist"] = status.assist;
    document["paused"] = status.paused;
    document["maintenance"] = Json::array();
    for (const MaintenanceStatus& window : status.maintenance) document["maintenance"].push_back(to_json(window));
    document["isolated"] = status.isolated;
    document["watcher"] = status.watcher;
    document["at"] = format_time(status.at);
    document["stores"] = Json::object();
    for (const StoreStatus& store : status.stores) document["stores"][store.store] = to_json(store);
    document["incidents"] = Json::array();
    for (const IncidentSummary& incident : status.incidents) document["incidents"].push_back(to_json(incident));
    return document;
}

Result<StackStatus> stack_status_from_json(const Json& document) {
    Reader reader(document, "the top");
    StackStatus status;
    status.stack = find_string(document, "stack").value_or("");
    status.healthy = reader.boolean("healthy");
    status.assist = reader.text_or_empty("assist");
    status.paused = reader.boolean("paused");
    for (const Json& item : reader.array("maintenance")) {
        AETERNA_ASSIGN(MaintenanceStatus window, maintenance_from_json(item));
        status.maintenance.push_back(std::move(window));
    }
    status.isolated = reader.boolean("isolated");
    status.watcher = reader.text("watcher");
    const std::optional<WallTime> at = reader.time("at");
    if (!at) reader.fail("'at' is missing");
    status.at = at.value_or(WallTime{});
    const Json* stores = find_member(document, "stores");
    if (stores == nullptr || !stores->is_object()) return wrong("'stores' is no object");
    for (const auto& [name, value] : stores->items()) {
        AETERNA_ASSIGN(StoreStatus store, store_from_json(name, value));
        status.stores.push_back(std::move(store));
    }
    for (const Json& item : reader.array("incidents")) {
        AETERNA_ASSIGN(IncidentSummary incident, incident_from_json(item));
        status.incidents.push_back(std::move(incident));
    }
    if (reader.error()) return *reader.error();
    return status;
}

}  // namespace aeterna::engine
