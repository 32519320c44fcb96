// A node that still has WAL which the repository lacks: stretches of it by START_REPLICATION without a slot (as
// pg_receivewal without --slot: a client that names no slot and reports no flush position holds nothing and counts as
// no standby), each proved before it is kept.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "env/env.h"
#include "env/replication.h"
#include "postgres/capture/slots.h"
#include "postgres/capture/wal_audit.h"
#include "postgres/client/wal_records.h"

namespace aeterna::postgres {

// Where a timeline ends on a node whose timeline has `history`: what it has written or replayed of its own, the fork of
// one that it comes from; nothing for every other one. Pure.
[[nodiscard]] std::optional<Lsn> end_on(const SourceView& node, const std::vector<TimelineSwitch>& history,
                                        Timeline timeline);

class WalDonor {
  public:
    using Each = std::function<Status(Lsn, std::string_view)>;

    WalDonor(std::unique_ptr<env::ReplicationConnection> connection, SourceView node, const env::Env& env)
        : connection_(std::move(connection)), node_(std::move(node)), env_(env) {}

    // Of the node's own timeline. kProtocol.
    [[nodiscard]] Result<std::vector<TimelineSwitch>> history(const env::Context& context);
    // Gives every byte of the stretch, in order. kNotFound where the server has removed its beginning; kPartial where
    // it ends early; kTimeout after 15 s of silence.
    Status read(const WalHole& stretch, const Each& each, const env::Context& context);
    // The first segment that begins inside the stretch and is still there with all behind it; nothing when none is.
    [[nodiscard]] Result<std::optional<Lsn>> first_kept(const WalHole& stretch, const env::Context& context);

    [[nodiscard]] const SourceView& node() const { return node_; }
    [[nodiscard]] bool is_usable() const { return connection_->is_usable(); }

  private:
    struct Reading;

    Status take(std::string_view message, Reading& reading, const env::Context& context);
    Status send_status(Reading& reading, const env::Context& context);

    std::unique_ptr<env::ReplicationConnection> connection_;
    SourceView node_;
    const env::Env& env_;
};

// The first byte to ask a node for, so that what it gives can be compared with what the log has before `from` and read
// record by record: the beginning of the page before, but never before `begin`, where the timeline begins. Pure.
[[nodiscard]] Lsn lead_in(Lsn from, Lsn begin);

// Holds a stretch of WAL against itself: pages that are where they say, records that follow each other. From a page's
// first byte or a record's end on.
class WalProof {
  public:
    WalProof(Lsn from, std::uint64_t segment_bytes)
        : records_(from, segment_bytes), segment_bytes_(segment_bytes), position_(from) {}
    // kCorrupt where the bytes are no WAL that goes on from those before.
    Status add(std::string_view bytes);

  private:
    WalRecordReader records_;
    std::uint64_t segment_bytes_;
    Lsn position_, skip_to_ = 0;
    bool has_record_ = false;
};

}  // namespace aeterna::postgres
