// What one stand-in node holds: collections, points, replica states, aliases, and the log that
// brings them back. Every change is a record (JSON) with a version; applying is idempotent and
// commutative (the higher version wins), so that a record may arrive by a forwarded write, by
// gossip, by recovery and from the log, in any order. Appended to the kernel before it is
// acknowledged: survives kill -9, not a power loss.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "env/files.h"

namespace aeterna::lab {

// Numbers sort before texts (UUIDs), as in Qdrant's scroll.
struct PointId {
    bool is_text = false;
    std::uint64_t number = 0;
    std::string text;
    friend auto operator<=>(const PointId&, const PointId&) = default;
};
[[nodiscard]] std::optional<PointId> point_id_from_json(const Json& value);
[[nodiscard]] Json to_json(const PointId& id);

struct Point {
    std::uint64_t version = 0;
    bool deleted = false;       // a tombstone
    std::vector<float> vector;  // normalised when the distance is Cosine
    Json payload;
};

struct Replica {
    std::string state;  // Active | Dead | Partial
    std::uint64_t version = 0;
};

struct Collection {
    std::uint64_t version = 0;  // of its creation or, when dropped, of its end
    bool dropped = false;
    Json config;  // {"size","distance","replication_factor","write_consistency_factor"}
    std::map<std::uint64_t, Replica> replicas;  // by peer id
    std::map<PointId, Point> points;

    [[nodiscard]] std::size_t count() const;
    [[nodiscard]] std::size_t dimension() const;
    [[nodiscard]] std::string state_of(std::uint64_t peer) const;
};

struct DatabaseState {
    std::map<std::string, Collection>
        collections;  // dropped ones stay: gossip must not bring them back
    std::map<std::string, std::string> aliases;
    std::uint64_t aliases_version = 0;

    // Follows an alias; nullptr when there is none or it is dropped.
    [[nodiscard]] const Collection* find(const std::string& name) const;
    [[nodiscard]] std::string resolve(const std::string& name) const;
};

class Database {
  public:
    static constexpr std::size_t kMaxPoints = 2'000'000;
    static constexpr std::size_t kMaxCollections = 2'000;  // dropped ones included

    // Replays and compacts the log. kIo when it is damaged anywhere but at its torn end.
    [[nodiscard]] static Result<std::unique_ptr<Database>> open(const std::string& directory,
                                                                std::uint64_t own_id,
                                                                env::Files& files);
    // Higher than every version seen; unique to this peer.
    [[nodiscard]] std::uint64_t next_version();
    // kUsage for a malformed record, kNotFound for points of an unknown collection, kIo.
    Status apply(const Json& record);
    // Runs `function(const DatabaseState&)` under the lock; it must not block.
    template <class Function>
    [[nodiscard]] auto read(Function&& function) const {
        const std::lock_guard lock(mutex_);
        return function(state_);
    }

  private:
    explicit Database(std::uint64_t own_id) : own_id_(own_id) {}
    [[nodiscard]] Result<bool> change(const Json& record);
    [[nodiscard]] Result<bool> change_collection(const std::string& name, const Json& record);
    [[nodiscard]] Result<bool> change_points(const std::string& name, const Json& record);
    [[nodiscard]] Result<bool> change_replicas(const std::string& name, const Json& record);
    [[nodiscard]] Result<bool> change_aliases(const Json& record);
    Status replay(const std::string& text);
    [[nodiscard]] std::string compacted() const;
    void saw(std::uint64_t version);

    const std::uint64_t own_id_;
    mutable std::mutex mutex_;
    DatabaseState state_;
    std::uint64_t clock_ = 0;
    std::size_t points_ = 0;
    std::unique_ptr<env::AppendFile> log_;
};

// Records. A collection's says nothing of its points.
[[nodiscard]] Json collection_record(const std::string& name, const Collection& collection);
[[nodiscard]] Json replicas_record(const std::string& name, const Collection& collection);
[[nodiscard]] Json aliases_record(const std::map<std::string, std::string>& aliases,
                                  std::uint64_t version);
// [id, version, deleted, vector, payload]
[[nodiscard]] Json point_entry(const PointId& id, const Point& point);

}  // namespace aeterna::lab
