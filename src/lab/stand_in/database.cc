#include "lab/stand_in/database.h"

#include <fmt/format.h>

#include <cmath>

#include "base/strings.h"

namespace aeterna::lab {
namespace {

constexpr std::size_t kLogLimitBytes = std::size_t{1} << 30;
constexpr std::size_t kPointsPerLine = 1000;
constexpr unsigned kPeerBits = 8;  // the low bits of a version tell who made it

Error malformed(std::string_view what) {
    return make_error(ErrorCode::kUsage, fmt::format("malformed record: {}", what));
}

std::optional<std::uint64_t> find_version(const Json& record) {
    const Json* value = find_member(record, "version");
    if (value == nullptr || !value->is_number_unsigned()) return std::nullopt;
    return value->get<std::uint64_t>();
}

void normalise(std::vector<float>& vector) {
    double sum = 0;
    for (const float value : vector) sum += static_cast<double>(value) * value;
    if (sum <= 0) return;
    const double length = std::sqrt(sum);
    for (float& value : vector) value = static_cast<float>(value / length);
}

// Points of one record; nothing when any of them is malformed.
std::optional<std::vector<std::pair<PointId, Point>>> parse_entries(const Json& list,
                                                                    const Collection& home) {
    if (!list.is_array()) return std::nullopt;
    const bool cosine = find_string(home.config, "distance").value_or("") == "Cosine";
    std::vector<std::pair<PointId, Point>> entries;
    for (const Json& item : list) {
        if (!item.is_array() || item.size() != 5 || !item[1].is_number_unsigned() ||
            !item[2].is_boolean() || !item[3].is_array()) {
            return std::nullopt;
        }
        const auto id = point_id_from_json(item[0]);
        if (!id) return std::nullopt;
        Point point{item[1].get<std::uint64_t>(), item[2].get<bool>(), {}, item[4]};
        for (const Json& number : item[3]) {
            if (!number.is_number()) return std::nullopt;
            point.vector.push_back(number.get<float>());
        }
        if (!point.deleted && point.vector.size() != home.dimension()) return std::nullopt;
        if (cosine) normalise(point.vector);
        entries.emplace_back(*id, std::move(point));
    }
    return entries;
}

}  // namespace

std::optional<PointId> point_id_from_json(const Json& value) {
    if (value.is_number_unsigned()) return PointId{false, value.get<std::uint64_t>(), ""};
    if (!value.is_string()) return std::nullopt;
    const auto text = value.get<std::string>();
    if (text.size() != 36 && text.size() != 32) return std::nullopt;
    for (const char c : text) {
        if (c != '-' && std::isxdigit(static_cast<unsigned char>(c)) == 0) return std::nullopt;
    }
    return PointId{true, 0, lower(text)};
}

Json to_json(const PointId& id) { return id.is_text ? Json(id.text) : Json(id.number); }

std::size_t Collection::count() const {
    std::size_t count = 0;
    for (const auto& [id, point] : points) count += point.deleted ? 0 : 1;
    return count;
}

std::size_t Collection::dimension() const {
    return static_cast<std::size_t>(find_integer(config, "size").value_or(0));
}

std::string Collection::state_of(std::uint64_t peer) const {
    const auto found = replicas.find(peer);
    return found == replicas.end() ? "" : found->second.state;
}

std::string DatabaseState::resolve(const std::string& name) const {
    const auto alias = aliases.find(name);
    return alias == aliases.end() ? name : alias->second;
}

const Collection* DatabaseState::find(const std::string& name) const {
    const auto found = collections.find(resolve(name));
    return found == collections.end() || found->second.dropped ? nullptr : &found->second;
}

Result<std::unique_ptr<Database>> Database::open(const std::string& directory, std::uint64_t own_id,
                                                 env::Files& files) {
    AETERNA_TRY(files.make_directories(directory));
    const std::string path = directory + "/stand-in.log";
    std::unique_ptr<Database> database(new Database(own_id));
    if (files.exists(path)) {
        AETERNA_ASSIGN(const std::string text, files.read(path, kLogLimitBytes));
        if (Status replayed = database->replay(text); !replayed) {
            return wrap_error(replayed.error(), fmt::format("cannot replay '{}'", path));
        }
    }
    AETERNA_TRY(files.write_durable(path, database->compacted()));
    AETERNA_ASSIGN(database->log_, files.open_append(path));
    return database;
}

Status Database::replay(const std::string& text) {
    std::size_t start = 0;
    for (int number = 1; start < text.size(); ++number) {
        const std::size_t end = text.find('\n', start);
        if (end == std::string::npos) break;  // torn by a crash: it was never acknowledged
        Result<Json> record = parse_json(std::string_view(text).substr(start, end - start), "log");
        Result<bool> changed = record ? change(*record) : Result<bool>(record.error());
        if (!changed && changed.error().code != ErrorCode::kNotFound) {
            return make_error(ErrorCode::kIo,
                              fmt::format("line {}: {}", number, changed.error().message));
        }
        start = end + 1;
    }
    return {};
}

std::string Database::compacted() const {
    std::string text;
    const auto add = [&text](const Json& record) { text += dump_json(record) + "\n"; };
    for (const auto& [name, collection] : state_.collections) {
        add(collection_record(name, collection));
        if (collection.dropped) continue;
        add(replicas_record(name, collection));
        Json batch = {{"op", "points"}, {"name", name}, {"points", Json::array()}};
        for (const auto& [id, point] : collection.points) {
            batch["points"].push_back(point_entry(id, point));
            if (batch["points"].size() < kPointsPerLine) continue;
            add(batch);
            batch["points"] = Json::array();
        }
        if (!batch["points"].empty()) add(batch);
    }
    add(aliases_record(state_.aliases, state_.aliases_version));
    return text;
}

void Database::saw(std::uint64_t version) { clock_ = std::max(clock_, version >> kPeerBits); }

std::uint64_t Database::next_version() {
    const std::lock_guard lock(mutex_);
    return ++clock_ << kPeerBits | (own_id_ & ((1U << kPeerBits) - 1));
}

Status Database::apply(const Json& record) {
    const std::lock_guard lock(mutex_);
    AETERNA_ASSIGN(const bool changed, change(record));
    // A page-cache write: short enough to be made under the lock, and the log then has the order of
    // the changes.
    return changed ? log_->append(dump_json(record) + "\n") : Status{};
}

Result<bool> Database::change(const Json& record) {
    const std::string operation = find_string(record, "op").value_or("");
    if (operation == "aliases") return change_aliases(record);
    const auto name = find_string(record, "name");
    if (!name) return malformed("no name");
    if (operation == "collection") return change_collection(*name, record);
    if (operation == "points") return change_points(*name, record);
    if (operation == "replicas") return change_replicas(*name, record);
    return malformed("unknown op");
}

Result<bool> Database::change_collection(const std::string& name, const Json& record) {
    const auto version = find_version(record);
    const Json* config = find_member(record, "config");
    const Json* peers = find_member(record, "peers");
    if (!version || config == nullptr || peers == nullptr || !peers->is_array()) {
        return malformed("collection");
    }
    const auto present = state_.collections.find(name);
    if (present != state_.collections.end() && present->second.version >= *version) return false;
    if (present == state_.collections.end() && state_.collections.size() >= kMaxCollections) {
        return make_error(ErrorCode::kUsage, "too many collections for a stand-in");
    }
    Collection collection{
        *version, find_boolean(record, "dropped").value_or(false), *config, {}, {}};
    for (const Json& peer : *peers) {
        if (!peer.is_number_unsigned()) return malformed("peers");
        collection.replicas[peer.get<std::uint64_t>()] = {"Active", *version};
    }
    if (present != state_.collections.end()) points_ -= present->second.points.size();
    state_.collections[name] = std::move(collection);
    saw(*version);
    return true;
}

Result<bool> Database::change_points(const std::string& name, const Json& record) {
    const auto found = state_.collections.find(name);
    if (found == state_.collections.end() || found->second.dropped) {
        return make_error(ErrorCode::kNotFound,
                          fmt::format("collection '{}' does not exist", name));
    }
    const Json* list = find_member(record, "points");
    auto entries = list == nullptr ? std::nullopt : parse_entries(*list, found->second);
    if (!entries) return malformed("points");
    if (points_ + entries->size() > kMaxPoints) {
        return make_error(ErrorCode::kUsage, "too many points for a stand-in");
    }
    bool changed = false;
    for (auto& [id, point] : *entries) {
        if (point.version < found->second.version)
            continue;  // of an earlier collection of this name
        const auto [place, is_new] = found->second.points.try_emplace(id);
        points_ += is_new ? 1 : 0;
        if (place->second.version >= point.version) continue;
        saw(point.version);
        place->second = std::move(point);
        changed = true;
    }
    return changed;
}

Result<bool> Database::change_replicas(const std::string& name, const Json& record) {
    const auto found = state_.collections.find(name);
    if (found == state_.collections.end()) {
        return make_error(ErrorCode::kNotFound,
                          fmt::format("collection '{}' does not exist", name));
    }
    const Json* states = find_member(record, "states");
    if (states == nullptr || !states->is_object()) return malformed("replicas");
    bool changed = false;
    for (const auto& [peer, entry] : states->items()) {
        const auto id = to_integer(peer);
        if (!id || !entry.is_array() || entry.size() != 2 || !entry[0].is_string() ||
            !entry[1].is_number_unsigned()) {
            return malformed("replica state");
        }
        const auto version = entry[1].get<std::uint64_t>();
        Replica& replica = found->second.replicas[static_cast<std::uint64_t>(*id)];
        if (version < found->second.version || version <= replica.version) continue;
        replica = {entry[0].get<std::string>(), version};
        saw(version);
        changed = true;
    }
    return changed;
}

Result<bool> Database::change_aliases(const Json& record) {
    const auto version = find_version(record);
    const Json* aliases = find_member(record, "aliases");
    if (!version || aliases == nullptr || !aliases->is_object()) return malformed("aliases");
    if (*version <= state_.aliases_version) return false;
    std::map<std::string, std::string> fresh;
    for (const auto& [alias, target] : aliases->items()) {
        if (!target.is_string()) return malformed("alias");
        fresh[alias] = target.get<std::string>();
    }
    state_.aliases = std::move(fresh);
    state_.aliases_version = *version;
    saw(*version);
    return true;
}

Json collection_record(const std::string& name, const Collection& collection) {
    Json peers = Json::array();
    for (const auto& [peer, replica] : collection.replicas) peers.push_back(peer);
    return {{"op", "collection"},
            {"name", name},
            {"version", collection.version},
            {"dropped", collection.dropped},
            {"config", collection.config},
            {"peers", peers}};
}

Json replicas_record(const std::string& name, const Collection& collection) {
    Json states = Json::object();
    for (const auto& [peer, replica] : collection.replicas) {
        states[std::to_string(peer)] = Json::array({replica.state, replica.version});
    }
    return {{"op", "replicas"}, {"name", name}, {"states", states}};
}

Json aliases_record(const std::map<std::string, std::string>& aliases, std::uint64_t version) {
    return {{"op", "aliases"}, {"version", version}, {"aliases", aliases}};
}

Json point_entry(const PointId& id, const Point& point) {
    return Json::array({to_json(id), point.version, point.deleted, point.vector, point.payload});
}

}  // namespace aeterna::lab
