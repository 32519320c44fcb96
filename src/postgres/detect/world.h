// World: one moment's picture for the judges: what was seen, with stale looks taken out, and who
// takes writes by direct evidence. Pure; built anew for each judgement.
#pragma once

#include "engine/detect/monitor.h"
#include "postgres/detect/observations.h"

namespace aeterna::postgres {

struct World {
    const Settings* settings = nullptr;
    MonoTime now{};
    WallTime wall_now{};
    MonoTime valid_from{};  // looks begun before count for nothing (this process had stalled)
    bool isolated = false;
    bool stalled = false;
    Snapshot seen;  // stale looks are kNever

    // The holder of a leader key whose lease has not expired, as a node name; empty: nobody or not
    // known.
    std::string key_holder;
    // Nodes whose SQL says now that they are not in recovery.
    std::vector<std::string> writers;
    // The one that takes writes: the only writer, or of several the holder of the leader key.
    std::optional<std::string> primary;
    // Who should take writes: the primary, else the last one known, else who holds the leader key,
    // else who claims it by REST. Empty: nobody is known.
    std::string reference;

    [[nodiscard]] const NodeObservations& of(const std::string& node) const;
    [[nodiscard]] const DcsView* dcs() const { return seen.dcs.value.get(); }
    // Patroni's dynamic settings; its defaults when etcd is not readable.
    [[nodiscard]] const PatroniConfig& config() const;
    // How long the present row of equal answers has lasted; counted from valid_from at most.
    [[nodiscard]] Duration lasted(const Look& look) const;
    // The replica's distance to the primary's write position; nothing when one of them is not
    // known.
    [[nodiscard]] std::optional<std::int64_t> lag_bytes(const std::string& node) const;
    // By SQL, else by REST.
    [[nodiscard]] std::optional<std::int64_t> timeline(const std::string& node) const;
    // Replicates from the primary now, by SQL or REST.
    [[nodiscard]] bool is_streaming(const std::string& node) const;
    // In synchronous mode the standbys that may take over without loss, as node names.
    [[nodiscard]] std::vector<std::string> sync_standbys() const;
    // Every server and every agent is silent from here, but etcd is not and sees the leader's lease
    // run on: it is rather our way to them that is cut. Proves nothing about any of them.
    [[nodiscard]] bool cut_off() const;
    // Who gave applications' path a session that may write, begun after the reference had fallen
    // silent for ourselves; empty: nobody.
    [[nodiscard]] std::string client_writer() const;
    // No write can reach the cluster through what applications use (failed, or it ends at a
    // replica).
    [[nodiscard]] bool client_path_fails() const;
};

[[nodiscard]] World make_world(const Settings& settings, Snapshot seen,
                               const engine::JudgeContext& context, MonoTime valid_from,
                               const std::string& last_primary);

// "postgres-1 SQL: refused for 1.2 s (connection refused)": a vantage's look as a reason for
// people.
[[nodiscard]] std::string describe_look(const World& world, const std::string& vantage,
                                        const Look& look);

}  // namespace aeterna::postgres
