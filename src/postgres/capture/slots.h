// Our physical slot on every node, over SQL: it holds WAL from the durable position on, wherever a failover leads. It is
// never used to stream: a slot that a walsender holds can only be moved by a flush position, and one that reports that
// counts as a synchronous standby (README.md).
#pragma once

#include <map>
#include <memory>
#include <string>

#include "env/env.h"
#include "postgres/capture/timeline_history.h"
#include "postgres/settings.h"

namespace aeterna::postgres {

// What a server is, as a source of WAL.
struct SourceView {
    std::string node;
    bool is_primary = false;
    std::string system_identifier;
    Timeline timeline = 0;
    Lsn end = 0;  // of the WAL: written (primary) or replayed
    std::uint64_t segment_bytes = 0;
    bool awaits_us = false;  // its commits may wait for our confirmation (synchronous_name), and for nobody by "*"
};

struct Slot {
    Lsn restart = 0;
    bool was_made = false;  // by this call: what was before it, nobody holds
};

// SQL sessions to the nodes, kept while they work. One thread at a time.
class NodeSessions {
  public:
    NodeSessions(const Settings& settings, const env::Env& env) : settings_(settings), env_(env) {}

    [[nodiscard]] Result<SourceView> look(const NodeSettings& node, const env::Context& context);
    // Makes the slot when it is not there, and anew when the server says that its WAL is lost. kPermission without
    // REPLICATION, kGuardRefused for a slot of this name that is no physical one.
    [[nodiscard]] Result<Slot> ensure_slot(const NodeSettings& node, const env::Context& context);
    // Nothing when it is not there, or holds nothing.
    [[nodiscard]] Result<std::optional<Lsn>> slot_position(const NodeSettings& node, const env::Context& context);
    // False when it is not there, or somebody streams from it.
    [[nodiscard]] Result<bool> drop_slot(const NodeSettings& node, const env::Context& context);
    // To `durable`, or as far as the node is; never back. Only while the node is still on the timeline that was seen.
    Status advance_slot(const SourceView& seen, Lsn durable, const env::Context& context);

  private:
    [[nodiscard]] Result<env::SqlRows> query(const NodeSettings& node, const std::string& sql,
                                             const std::vector<std::optional<std::string>>& parameters,
                                             const env::Context& context);

    const Settings& settings_;
    const env::Env& env_;
    std::map<std::string, std::unique_ptr<env::SqlConnection>> sessions_;
};

}  // namespace aeterna::postgres
