// What the world looks like, store-free: the model behind `status`, /metrics and the incidents.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/time.h"

namespace aeterna::engine {

enum class Health { kOk, kDegraded, kDown, kUnknown };
[[nodiscard]] std::string_view health_name(Health health);  // ok degraded down unknown

struct NodeStatus {
    std::string name;   // "postgres-1"
    std::string kind;   // "postgres"
    std::string role;   // primary replica standby_leader sentinel peer member proxy … "unknown"
    std::string state;  // the server's own word: running, streaming, stopped, unreachable …
    std::optional<std::int64_t> lag_bytes;
    bool fenced = false;
    std::string server = "real";  // or "stand-in"
    std::string site;
    std::string note;  // one short remark for people, may be empty
};

enum class Severity { kInfo, kDegraded, kCritical };
[[nodiscard]] std::string_view severity_name(Severity severity);  // info degraded critical

enum class FindingState { kClear, kSuspect, kFiring, kUnknown };
[[nodiscard]] std::string_view finding_state_name(FindingState state);

// A detector's present judgement about one subject.
struct Finding {
    std::string detector;  // "postgres.primary_down"
    std::string store;     // "postgres"
    std::string subject;   // node or cluster: "postgres-1", "aeterna"
    Severity severity = Severity::kDegraded;
    FindingState state = FindingState::kClear;
    std::string summary;               // one line for people
    std::vector<std::string> reasons;  // each names its vantage: "patroni-2 REST: leader is …"
    WallTime since{};                  // when the present state began
};

struct StoreStatus {
    std::string store;
    Health health = Health::kUnknown;
    std::optional<std::string> primary;
    std::vector<NodeStatus> nodes;
    std::string capture = "none";  // running stopped behind none; unknown where no serve tells
    std::optional<double> rpo_now_seconds;
    std::optional<double> rto_forecast_seconds;
    std::vector<std::string> reasons;
    std::string assist = "off";  // off propose act
    bool paused = false;         // a maintenance window holds: policy begins nothing
    std::map<std::string, Json> extra;  // store-specific members of the JSON: "cluster_status", "timeline"
};

struct IncidentSummary {
    std::string id;
    std::string detector;
    std::string store;
    std::string subject;
    std::string severity;
    std::string state;  // open | closed
    std::string summary;
    std::vector<std::string> reasons;
    WallTime opened_at{};
    std::optional<WallTime> closed_at;
    std::optional<WallTime> acknowledged_at = std::nullopt;  // a person has taken note of it
    std::string acknowledged_by = {};
};

// A maintenance window that holds now.
struct MaintenanceStatus {
    std::string id;
    std::string store;  // empty = every store
    std::string reason;
    WallTime until{};
};

struct StackStatus {
    std::string stack;
    bool healthy = false;
    std::string assist = "off";  // the word that goes furthest among the stores
    bool paused = false;   // a maintenance window holds, for one store at least
    std::vector<MaintenanceStatus> maintenance;
    bool isolated = false; // we see nothing at all: judgements are suspended
    std::string watcher;   // "serve" when it answered, "direct" when this command probed by itself
    WallTime at{};
    std::vector<StoreStatus> stores;
    std::vector<IncidentSummary> incidents;
};

// The contract's `status --json` document without the global members (schema_version, stack, generated_at).
[[nodiscard]] Json to_json(const StackStatus& status);
// Reads what to_json wrote (from serve's /status). kProtocol when it is something else.
[[nodiscard]] Result<StackStatus> stack_status_from_json(const Json& document);
[[nodiscard]] Json to_json(const IncidentSummary& incident);
[[nodiscard]] Json to_json(const NodeStatus& node);

}  // namespace aeterna::engine
