// DrillStore: what a store brings to a drill: ways to write, a way to read everything back, and what to break.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/stack.h"
#include "env/env.h"
#include "repository/repository.h"

namespace aeterna::engine {

enum class WriteOutcome {
    kOk,       // acknowledged by the server
    kFail,     // certainly not done (refused, read-only, rejected before execution)
    kUnknown,  // may or may not have happened (time-out, connection lost after sending)
};
[[nodiscard]] std::string_view write_outcome_name(WriteOutcome outcome);

struct WriteReply {
    WriteOutcome outcome = WriteOutcome::kUnknown;
    std::string node;   // who answered, as far as known
    std::string error;  // one line, empty when ok
};

// Writes one uniquely numbered record per call. One thread. Reconnects by itself as a real client would; a call
// never outlasts its context.
class Writer {
  public:
    virtual ~Writer() = default;
    [[nodiscard]] virtual WriteReply write(std::uint64_t id, const env::Context& context) = 0;
};

enum class PathKind {
    kClient,  // what applications use: HAProxy, Sentinel discovery, any Qdrant node
    kDirect,  // one node, by its own address; a replica's refusal is expected
};

struct WritePath {
    std::string name;  // "client", "postgres-1"
    PathKind kind = PathKind::kClient;
    std::unique_ptr<Writer> writer;
};

enum class FaultKind { kKill, kPause };
[[nodiscard]] std::string_view fault_kind_name(FaultKind kind);  // kill pause

// What a fault hits: nodes whose processes are signalled, in this order, and which to start again, in that order.
struct FaultTarget {
    std::string primary;             // "postgres-1", by the store's own topology, asked now
    std::vector<std::string> hit;    // {"patroni-1", "postgres-1"}
    std::vector<std::string> start;  // {"patroni-1"}
};

class DrillStore {
  public:
    virtual ~DrillStore() = default;
    [[nodiscard]] virtual const std::string& name() const = 0;
    [[nodiscard]] virtual const config::Objectives& objectives() const = 0;
    // False when Q1 leaves it alone (Qdrant has no primary): it is only watched and measured.
    [[nodiscard]] virtual bool has_primary() const = 0;
    [[nodiscard]] virtual std::string server() const = 0;  // "real" | "stand-in"
    // Creates what the workload writes into, empty. Idempotent.
    virtual Status prepare(const std::string& drill_id, const env::Context& context) = 0;
    [[nodiscard]] virtual Result<std::vector<WritePath>> paths(const std::string& drill_id) = 0;
    // The ids of all records of this drill that the surviving primary has now, sorted.
    [[nodiscard]] virtual Result<std::vector<std::uint64_t>> read_back(const std::string& drill_id,
                                                                       const env::Context& context) = 0;
    [[nodiscard]] virtual Result<FaultTarget> fault_target(FaultKind kind, const env::Context& context) = 0;
    // Which of these writes, which the surviving primary lacks, the repository still has, sorted; nothing where that
    // cannot be told.
    using KeptWrites = std::optional<std::vector<std::uint64_t>>;
    [[nodiscard]] virtual Result<KeptWrites> find_kept(repository::Repository&, const std::string& /*drill_id*/,
                                                       const std::vector<std::uint64_t>& /*lost*/,
                                                       const env::Context&) {
        return KeptWrites();
    }
    // Drops what prepare made.
    virtual Status clean_up(const std::string& drill_id, const env::Context& context) = 0;
};

}  // namespace aeterna::engine
