#include "app/cli/render_status.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "app/cli/styled_text.h"
#include "base/strings.h"
#include "report/node_tone.h"

namespace aeterna::app {
namespace {

using engine::NodeStatus;
using engine::StoreStatus;
using report::NodeTone;

// What goes first when the screen is too small. Higher stays longer.
enum class Weight { kColumnHeads, kDecoration, kCalmNode, kReason, kNode, kIncident, kStore, kTitle };

struct Row {
    StyledLine line;
    Weight weight = Weight::kNode;
};

// How much is drawn together.
enum class Detail { kEveryNode, kGroupHelpers, kGroupCalm };

struct Columns {
    std::size_t name = 4;
    std::size_t role = 4;
    std::size_t state = 5;
};

Style style_of(engine::Health health) {
    switch (health) {
        case engine::Health::kOk: return Style::kGood;
        case engine::Health::kDegraded: return Style::kWarning;
        case engine::Health::kDown: return Style::kBad;
        case engine::Health::kUnknown: return Style::kWarning;
    }
    return Style::kPlain;
}

Style style_of(NodeTone tone) {
    switch (tone) {
        case NodeTone::kUp: return Style::kGood;
        case NodeTone::kImpaired: return Style::kWarning;
        case NodeTone::kDown: return Style::kBad;
        case NodeTone::kUnknown: return Style::kDim;
    }
    return Style::kPlain;
}

bool is_principal(const StoreStatus& store, const NodeStatus& node) { return node.kind == store.store; }

// Nothing about it asks for attention.
bool is_calm(const StoreStatus& store, const NodeStatus& node) {
    return report::node_tone(node) == NodeTone::kUp && !node.fenced && node.name != store.primary;
}

std::string note_of(const NodeStatus& node) {
    std::vector<std::string> parts;
    if (node.fenced) parts.emplace_back("FENCED");
    if (node.server != "real") parts.push_back(node.server);
    if (!node.note.empty()) parts.push_back(node.note);
    return join(parts, ", ");
}

Columns measure(const engine::StackStatus& status) {
    Columns columns;
    for (const StoreStatus& store : status.stores) {
        for (const NodeStatus& node : store.nodes) {
            columns.name = std::max(columns.name, columns_of(node.name));
            columns.role = std::max(columns.role, columns_of(node.role));
            columns.state = std::max(columns.state, columns_of(node.state));
        }
    }
    columns.name = std::min<std::size_t>(columns.name, 22);
    columns.role = std::min<std::size_t>(columns.role, 14);
    columns.state = std::min<std::size_t>(columns.state, 16);
    return columns;
}

StyledLine node_line(const StoreStatus& store, const NodeStatus& node, const Columns& columns) {
    StyledLine line;
    line.add("  ").add(pad(node.name, columns.name), node.name == store.primary ? Style::kBold : Style::kPlain);
    line.add("  ").add(pad(node.role, columns.role));
    line.add("  ").add(pad(node.state, columns.state), style_of(report::node_tone(node)));
    line.add("  ").add(pad_left(node.lag_bytes ? human_bytes(*node.lag_bytes) : "-", 9),
                       node.lag_bytes ? Style::kPlain : Style::kDim);
    const std::string note = note_of(node);
    if (!note.empty()) line.add("  ").add(note, node.fenced ? Style::kBad : Style::kDim);
    return line;
}

// "sentinel-1, sentinel-2, sentinel-3  running".
StyledLine group_line(const std::vector<const NodeStatus*>& nodes) {
    std::vector<std::string> names;
    std::optional<std::int64_t> lag;
    for (const NodeStatus* node : nodes) {
        names.push_back(node->name);
        if (node->lag_bytes) lag = std::max(lag.value_or(0), *node->lag_bytes);
    }
    StyledLine line;
    line.add("  ").add(join(names, ", ")).add("  ").add(nodes.front()->state, Style::kGood);
    if (lag) line.add(fmt::format("  lag {}", human_bytes(*lag)), Style::kDim);
    if (nodes.front()->server != "real") line.add("  " + nodes.front()->server, Style::kDim);
    return line;
}

void add_nodes(std::vector<Row>& rows, const StoreStatus& store, const Columns& columns, Detail detail) {
    std::vector<std::pair<std::string, std::vector<const NodeStatus*>>> groups;
    for (const NodeStatus& node : store.nodes) {
        const bool grouped = detail != Detail::kEveryNode && is_calm(store, node) &&
                             (detail == Detail::kGroupCalm || !is_principal(store, node));
        if (!grouped) {
            rows.push_back({node_line(store, node, columns), Weight::kNode});
            continue;
        }
        const std::string key = node.kind + "/" + node.state + "/" + node.server;
        auto group = std::find_if(groups.begin(), groups.end(),
                                  [&](const auto& candidate) { return candidate.first == key; });
        if (group == groups.end()) group = groups.insert(groups.end(), {key, {}});
        group->second.push_back(&node);
    }
    for (const auto& [key, nodes] : groups) {
        if (nodes.size() == 1) rows.push_back({node_line(store, *nodes.front(), columns), Weight::kCalmNode});
        else rows.push_back({group_line(nodes), Weight::kCalmNode});
    }
}

std::string objective_text(const StatusView& view, const StoreStatus& store) {
    std::vector<std::string> parts;
    if (store.capture != "none") parts.push_back("capture " + store.capture);
    if (store.rpo_now_seconds) {
        parts.push_back("RPO now " + format_duration(from_seconds(*store.rpo_now_seconds)));
    }
    if (store.rto_forecast_seconds) {
        parts.push_back("RTO forecast " + format_duration(from_seconds(*store.rto_forecast_seconds)));
    }
    const auto found = view.objectives.find(store.store);
    if (found != view.objectives.end()) {
        parts.push_back("RTO target " + human_objective(found->second.rto));
        parts.push_back("RPO target " + human_objective(found->second.rpo));
    }
    return join(parts, ", ");
}

void add_store(std::vector<Row>& rows, const StatusView& view, const StoreStatus& store, const Columns& columns,
               Detail detail) {
    rows.push_back({StyledLine{}, Weight::kDecoration});
    StyledLine head;
    head.add(pad(store.store, 9), Style::kBold).add(" ");
    head.add(pad(engine::health_name(store.health), 9), style_of(store.health));
    if (store.primary) head.add(" primary ").add(*store.primary, Style::kBold);
    if (const auto color = store.extra.find("cluster_status");
        color != store.extra.end() && color->second.is_string()) {
        const auto word = color->second.get<std::string>();
        head.add(" cluster ").add(word, word == "Green"    ? Style::kGood
                                        : word == "Yellow" ? Style::kWarning
                                                           : Style::kBad);
    }
    const std::string objectives = objective_text(view, store);
    head.add("  ").to_column(42).add(objectives, Style::kDim);
    rows.push_back({head, Weight::kStore});
    // An open incident of the store says why already, further up.
    const bool is_explained =
        detail != Detail::kEveryNode &&
        std::any_of(view.status.incidents.begin(), view.status.incidents.end(), [&](const auto& incident) {
            return incident.state == "open" && incident.store == store.store;
        });
    for (const std::string& reason : is_explained ? std::vector<std::string>{} : store.reasons) {
        StyledLine line;
        line.add("  ! ", style_of(store.health)).add(reason);
        rows.push_back({line, Weight::kReason});
    }
    add_nodes(rows, store, columns, detail);
}

void add_incidents(std::vector<Row>& rows, const engine::StackStatus& status) {
    rows.push_back({StyledLine{}, Weight::kDecoration});
    const auto open = std::count_if(status.incidents.begin(), status.incidents.end(),
                                    [](const auto& incident) { return incident.state == "open"; });
    StyledLine head;
    if (open == 0) {
        head.add("no open incidents", Style::kDim);
        rows.push_back({head, Weight::kDecoration});
        return;
    }
    head.add(fmt::format("{} open incident{}", open, open == 1 ? "" : "s"), Style::kBad);
    rows.push_back({head, Weight::kStore});
    for (const engine::IncidentSummary& incident : status.incidents) {
        if (incident.state != "open") continue;
        const auto age = std::chrono::duration_cast<Duration>(status.at - incident.opened_at);
        StyledLine line;
        line.add("  ").add(incident.severity, incident.severity == "critical" ? Style::kBad : Style::kWarning);
        line.add(fmt::format("  {} {}: {}  ({})", incident.detector, incident.subject, incident.summary,
                             format_duration(std::max(age, Duration::zero()))));
        rows.push_back({line, Weight::kIncident});
        for (const std::string& reason : incident.reasons) {
            StyledLine why;
            why.add("    - ").add(reason, Style::kDim);
            rows.push_back({why, Weight::kReason});
        }
        StyledLine id;
        id.add("    id " + incident.id, Style::kDim);
        rows.push_back({id, Weight::kDecoration});
    }
}

// "assist act", or with its stores where not all that it concerns say the same; nothing while it is off everywhere.
std::string assist_text(const engine::StackStatus& status) {
    if (status.assist.empty() || status.assist == "off") return "";
    std::vector<std::string> names;
    bool is_same = true;
    for (const StoreStatus& store : status.stores) {
        if (store.assist == status.assist) names.push_back(store.store);
        else if (store.primary) is_same = false;
    }
    return is_same ? "assist " + status.assist : fmt::format("assist {}: {}", status.assist, join(names, ", "));
}

// "maintenance of redis until 2026-11-23 15:30:00Z: new disks".
void add_maintenance(std::vector<Row>& rows, const engine::StackStatus& status) {
    for (const engine::MaintenanceStatus& window : status.maintenance) {
        StyledLine line;
        const std::string time = format_time(window.until);
        line.add(fmt::format("maintenance of {} until {} {}Z{}", window.store.empty() ? "every store" : window.store,
                             time.substr(0, 10), time.substr(11, 8), window.reason.empty() ? "" : ": " + window.reason),
                 Style::kWarning);
        rows.push_back({line, Weight::kStore});
    }
}

StyledLine title_line(const StatusView& view, std::size_t width) {
    const engine::StackStatus& status = view.status;
    const bool down = std::any_of(status.stores.begin(), status.stores.end(), [](const StoreStatus& store) {
        return store.health == engine::Health::kDown;
    });
    StyledLine line;
    line.add(status.stack, Style::kBold).add("  ");
    if (status.isolated) line.add("ISOLATED", Style::kBad);
    else if (status.healthy) line.add("healthy", Style::kGood);
    else line.add(down ? "DOWN" : "NOT HEALTHY", down ? Style::kBad : Style::kWarning);
    if (status.paused) line.add("  maintenance", Style::kWarning);
    const std::string assist = assist_text(status);
    if (!assist.empty()) line.add("  " + assist, Style::kDim);
    const std::string time = format_time(status.at);
    const std::string right = fmt::format("{} {}Z  watcher: {}", time.substr(0, 10), time.substr(11, 8),
                                          status.watcher.empty() ? "-" : status.watcher);
    line.add("  ").to_column(width > right.size() ? width - right.size() : 0).add(right, Style::kDim);
    return line;
}

std::vector<Row> build(const StatusView& view, const RenderOptions& options, Detail detail) {
    std::vector<Row> rows;
    rows.push_back({title_line(view, options.width == 0 ? 80 : options.width), Weight::kTitle});
    for (const std::string& notice : view.notices) {
        StyledLine line;
        line.add(notice, Style::kWarning);
        rows.push_back({line, Weight::kStore});
    }
    if (view.status.isolated) {
        StyledLine line;
        line.add("nothing answers at all: this machine is cut off, so nothing is judged", Style::kBad);
        rows.push_back({line, Weight::kTitle});
    }
    add_maintenance(rows, view.status);
    const Columns columns = measure(view.status);
    StyledLine head;
    head.add("  " + pad("NODE", columns.name) + "  " + pad("ROLE", columns.role) + "  " +
                 pad("STATE", columns.state) + "  " + pad_left("LAG", 9) + "  NOTE",
             Style::kDim);
    rows.push_back({head, Weight::kColumnHeads});
    // Trouble is read first where not everything fits.
    if (options.height != 0) add_incidents(rows, view.status);
    for (const StoreStatus& store : view.status.stores) add_store(rows, view, store, columns, detail);
    if (options.height == 0) add_incidents(rows, view.status);
    return rows;
}

// Leaves out the least important rows, the last of them first, until `height` rows remain; the last row says so.
void squeeze(std::vector<Row>& rows, std::size_t height) {
    constexpr std::array kOrder = {Weight::kColumnHeads, Weight::kDecoration, Weight::kReason, Weight::kCalmNode,
                                   Weight::kNode,        Weight::kIncident,   Weight::kStore,  Weight::kTitle};
    std::size_t hidden = 0;
    for (const Weight weight : kOrder) {
        for (std::size_t i = rows.size(); i-- > 0 && rows.size() + (hidden > 0 ? 1 : 0) > height;) {
            if (rows[i].weight != weight) continue;
            if (weight != Weight::kDecoration && weight != Weight::kColumnHeads) ++hidden;
            rows.erase(rows.begin() + static_cast<std::ptrdiff_t>(i));
        }
    }
    if (hidden == 0 || height == 0) return;
    StyledLine line;
    line.add(fmt::format("({} more lines: enlarge the window)", hidden), Style::kDim);
    rows.push_back({line, Weight::kTitle});
}

}  // namespace

std::string human_bytes(std::int64_t bytes) {
    if (bytes < 0) return "-";
    if (bytes < 1024) return fmt::format("{} B", bytes);
    constexpr std::array kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB"};
    double value = static_cast<double>(bytes) / 1024.0;
    std::size_t unit = 0;
    while (value >= 999.95 && unit + 1 < kUnits.size()) {
        value /= 1024.0;
        ++unit;
    }
    return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string human_objective(Duration duration) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration).count();
    if (duration != std::chrono::seconds(seconds)) return format_duration(duration);
    if (seconds < 60 || (seconds < 3600 && seconds % 60 != 0)) return fmt::format("{} s", seconds);
    if (seconds < 3600) return fmt::format("{} min", seconds / 60);
    if (seconds % 3600 == 0) return fmt::format("{} h", seconds / 3600);
    return fmt::format("{} h {} min", seconds / 3600, seconds % 3600 / 60);
}

std::vector<std::string> render_status(const StatusView& view, const RenderOptions& options) {
    std::vector<Row> rows = build(view, options, Detail::kEveryNode);
    for (const Detail detail : {Detail::kGroupHelpers, Detail::kGroupCalm}) {
        if (options.height == 0 || rows.size() <= options.height) break;
        rows = build(view, options, detail);
    }
    if (options.height != 0 && rows.size() > options.height) squeeze(rows, options.height);
    std::vector<std::string> lines;
    lines.reserve(rows.size());
    for (const Row& row : rows) lines.push_back(row.line.render(options.width, options.color));
    return lines;
}

}  // namespace aeterna::app
