// What a node gives is proved before it counts: the node's cluster and timeline, the log's own bytes on both sides of
// the hole, and between them each record's link to the one before. Several receivers may do this at once: a piece that
// is there already is as good.
#include "postgres/capture/backfill.h"

#include <fmt/format.h>

#include <algorithm>

#include "postgres/capture/wal_logs.h"
#include "postgres/client/wal.h"

namespace aeterna::postgres {
namespace {

constexpr Duration kBackfillTurn = std::chrono::seconds(1);
constexpr Duration kAuditEvery = std::chrono::minutes(10);
// While something is missing: a node that was away may come back with it, or a base backup make good for it.
constexpr Duration kAskEvery = std::chrono::seconds(30);
constexpr Duration kRoundTimeout = std::chrono::hours(2);
constexpr std::size_t kPieceBytes = 4 << 20;

// What one node has of one hole, on its way into the log.
class HoleFiller {
  public:
    HoleFiller(repository::Repository& repository, WalDonor& donor, const WalPath& path, const env::Context& context)
        : repository_(repository), donor_(donor), path_(path), context_(context) {}

    // `end` is where the timeline ends on the node. What was put is told by filled(), whatever ended it.
    Status run(WalHole hole, Lsn end) {
        const auto part = std::find_if(path_.parts.begin(), path_.parts.end(),
                                       [&](const auto& one) { return one.timeline == hole.timeline; });
        log_ = wal_log_name({path_.system_identifier, hole.timeline});
        if (end > hole.to && hole.to < part->to)
            AETERNA_TRY(compare({hole.timeline, hole.to, std::min(end, hole.to + kWalPageBytes)}));
        hole.to = std::min(hole.to, end);
        const Status done = store(hole, lead_in(hole.from, part->from));
        if (done || done.error().code != ErrorCode::kNotFound) return done;
        AETERNA_ASSIGN(const auto kept, donor_.first_kept(hole, context_));
        if (!kept) return done;
        hole.from = *kept;
        return store(hole, hole.from);
    }
    [[nodiscard]] std::optional<WalHole> filled() const { return filled_; }

  private:
    // The node's bytes against the log's, as far as that has them.
    Status compare(const WalHole& stretch) {
        AETERNA_ASSIGN(const std::string known, read_stretch(repository_, log_, stretch.from, stretch.to, context_));
        if (known.empty()) return {};
        return donor_.read(
            {stretch.timeline, stretch.from, stretch.from + known.size()},
            [&](Lsn at, std::string_view bytes) {
                return check_same(std::string_view(known).substr(at - stretch.from, bytes.size()), bytes, at);
            },
            context_);
    }

    Status check_same(std::string_view known, std::string_view bytes, Lsn at) const {
        if (known == bytes.substr(0, known.size())) return {};
        return make_error(
            ErrorCode::kGuardRefused,
            fmt::format("'{}' has other WAL at {} than the log '{}'", donor_.node().node, format_lsn(at), log_),
            "Two servers have written the same timeline: find out which one is right.");
    }

    // Reads from `lead` on: what comes before the hole has to be what the log has.
    Status store(const WalHole& hole, Lsn lead) {
        AETERNA_ASSIGN(const std::string known, read_stretch(repository_, log_, lead, hole.from, context_));
        WalProof proof(lead, donor_.node().segment_bytes);
        Lsn put_to = hole.from;
        std::string piece;
        const auto flush = [&]() -> Status {
            AETERNA_TRY(repository_.check_place(context_));
            AETERNA_TRY(repository::fill_log(repository_, log_, put_to, repository::bytes_of(piece), context_));
            put_to += piece.size();
            piece.clear();
            filled_ = WalHole{hole.timeline, hole.from, put_to};
            return {};
        };
        const auto take = [&](Lsn at, std::string_view bytes) -> Status {
            AETERNA_TRY(proof.add(bytes));
            if (at < lead + known.size())
                AETERNA_TRY(check_same(std::string_view(known).substr(at - lead, bytes.size()), bytes, at));
            if (at < hole.from) bytes.remove_prefix(std::min<std::size_t>(bytes.size(), hole.from - at));
            piece += bytes;
            return piece.size() >= kPieceBytes ? flush() : Status();
        };
        const Status read = donor_.read({hole.timeline, lead, hole.to}, take, context_);
        // What was proved counts, whatever ended the reading; the error is about what comes behind.
        const bool is_sound =
            read || (read.error().code != ErrorCode::kCorrupt && read.error().code != ErrorCode::kGuardRefused);
        if (is_sound && !piece.empty()) AETERNA_TRY(flush());
        return read;
    }

    repository::Repository& repository_;
    WalDonor& donor_;
    const WalPath& path_;
    const env::Context& context_;
    std::string log_;
    std::optional<WalHole> filled_;
};

std::string describe_all(const std::vector<WalHole>& holes) {
    std::string text;
    for (const WalHole& hole : holes) text += (text.empty() ? "" : "; ") + describe_hole(hole);
    return text;
}

// A replica that is behind the hole's end: what it does not have yet, it has not been asked for.
bool may_get_more(const SourceView& node, const WalHole& hole) {
    return node.timeline < hole.timeline || (node.timeline == hole.timeline && node.end < hole.to);
}

}  // namespace

void Backfill::run(const std::stop_token& stop) {
    std::optional<std::uint64_t> done;
    std::optional<Timeline> timeline;
    MonoTime next;
    while (env_.clock.sleep_for(kBackfillTurn, stop)) {
        const auto part = state_.captured();
        const auto holes = state_.holes_met();
        if (!part) continue;
        if (done == holes && timeline == part->source.timeline && env_.clock.now() < next) continue;
        const env::Context context{env_.clock.now() + kRoundTimeout, stop, "backfill"};
        const Status status = go_round(part->source, context);
        if (stop.stop_requested()) return;
        teller_.say("backfill",
                    status ? "" : "the WAL in the repository could not be audited: " + said(status.error()));
        done = holes;
        timeline = part->source.timeline;
        next = env_.clock.now() + (status && reported_.empty() ? kAuditEvery : kAskEvery);
    }
}

Status Backfill::go_round(const SourceView& source, const env::Context& context) {
    const auto met = state_.holes_met();
    auto round = fill(source, context);
    // Where the repository is no longer, everything is missing, or nothing is known to be.
    if (const Status there = resources_.repository.check_place(context); !there) round = there.error();
    if (!round) {
        state_.audited(met, std::nullopt, {});
        return round.error();
    }
    std::set<WalHole> open;
    for (const WalHole& hole : round->audit.holes) {
        if (round->audit.is_open(hole)) open.insert(hole);
    }
    // Before it is told: what is told while the audit of before still counts would be taken for mended at once.
    state_.audited(met, !open.empty(), std::move(round->asked));
    report(std::move(open), source);
    return {};
}

Result<Backfill::Round> Backfill::fill(const SourceView& source, const env::Context& context) {
    const auto look = [&] {
        return audit_wal(resources_.repository, source.system_identifier, source.segment_bytes, ends_, context);
    };
    const bool has_captured = state_.has_captured();
    AETERNA_TRY(resources_.repository.check_place(context));
    auto first = look();
    if (!first && first.error().code == ErrorCode::kNotFound && !has_captured) return Round();
    if (!first) return first.error();
    Round round{std::move(*first), {}};
    WalAudit& audit = round.audit;
    if (audit.holes.empty()) return round;
    std::vector<SourceView> nodes;
    for (const NodeSettings& node : settings_.nodes) {
        auto view = sessions_.look(node, context);
        if (view && view->system_identifier == source.system_identifier) nodes.push_back(std::move(*view));
    }
    // The primary has other work.
    std::stable_partition(nodes.begin(), nodes.end(), [](const SourceView& node) { return !node.is_primary; });
    for (const SourceView& node : nodes) {
        if (audit.holes.empty()) break;
        const auto asked = ask(node, audit, context);
        if (asked && *asked) round.asked.insert(node.node);
        teller_.say("backfill from " + node.node, asked ? "" : "backfill: " + said(asked.error()));
        AETERNA_ASSIGN(audit, look());
    }
    return round;
}

Result<bool> Backfill::ask(const SourceView& node, const WalAudit& audit, const env::Context& context) {
    env::SqlTarget target = settings_.sql_target(settings_.find(node.node)->address);
    target.application_name = "aeterna-dr backfill";
    AETERNA_ASSIGN(auto connection, resources_.replication.connect(target, env_.clock.within(10s, context)));
    WalDonor donor(std::move(connection), node, env_);
    AETERNA_ASSIGN(const auto history, donor.history(context));
    Status first_error;
    bool has_answered = true;
    for (const WalHole& hole : audit.holes) {
        const auto end = end_on(node, history, hole.timeline);
        const bool is_asked = end && *end > hole.from;
        if (may_get_more(node, hole) || (is_asked && !donor.is_usable())) has_answered = false;
        if (!is_asked || !donor.is_usable()) continue;
        // A timeline that nothing was captured of yet: its history comes before its first byte.
        if (const auto own = history_of_ancestor(audit.path.history, hole.timeline)) {
            AETERNA_TRY(resources_.repository.check_place(context));
            AETERNA_TRY(put_timeline_history(resources_.repository, {audit.path.system_identifier, hole.timeline}, *own,
                                             context));
        }
        HoleFiller filler(resources_.repository, donor, audit.path, context);
        const Status done = filler.run(hole, *end);
        if (filler.filled()) {
            const std::string line =
                fmt::format("{} was missing and came from '{}'", describe_hole(*filler.filled()), node.node);
            teller_.say("backfilled", "backfill: " + line);
            resources_.voice.report({"capture.backfilled", node.node, line});
        }
        if (!done && done.error().code != ErrorCode::kNotFound && first_error) first_error = done;
    }
    AETERNA_TRY(first_error);
    return has_answered;
}

void Backfill::report(std::set<WalHole> open, const SourceView& source) {
    std::vector<WalHole> unknown;
    std::set_difference(open.begin(), open.end(), reported_.begin(), reported_.end(), std::back_inserter(unknown));
    if (!unknown.empty()) {
        const std::string line =
            fmt::format("{} is missing and no node has it: not restorable between {} and the next base backup",
                        describe_all(unknown), format_lsn(unknown.front().from));
        teller_.say("missing", "hole: " + line);
        resources_.voice.report({std::string(engine::kCaptureHole), source.node, line});
    }
    if (open.empty() && !reported_.empty())
        teller_.say("missing", "the holes are filled, or a base backup lies behind them");
    reported_ = std::move(open);
}

}  // namespace aeterna::postgres
