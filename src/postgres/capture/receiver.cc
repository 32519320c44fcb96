// Three threads: the one that runs it streams and appends, the keeper (keeper.h) looks at the nodes each second and
// moves the slots, the backfill (backfill.h) audits and fills what is missing. A session is one connection to one
// primary; whatever goes wrong ends it, and the next one begins at the durable end, from which the slots hold
// everything.
#include "postgres/capture/receiver.h"

#include <fmt/format.h>

#include <algorithm>

#include "postgres/capture/backfill.h"
#include "postgres/capture/keeper.h"
#include "postgres/capture/start_plan.h"
#include "postgres/capture/stream_message.h"
#include "postgres/capture/wal_donor.h"
#include "postgres/capture/wal_logs.h"
#include "postgres/client/sql.h"
#include "postgres/client/wal.h"
#include "repository/log_segments.h"

namespace aeterna::postgres {
namespace {

constexpr std::size_t kFlushBytes = 4 << 20;
constexpr Duration kFlushEvery = std::chrono::seconds(1);
constexpr Duration kStatusEvery = std::chrono::seconds(5);
// Three unanswered questions.
constexpr Duration kSilence = std::chrono::seconds(15);
constexpr Duration kTurn = std::chrono::milliseconds(200);
constexpr Duration kCommandTimeout = std::chrono::seconds(10);
// A repository that does not take a piece for so long ends the session; the slot keeps what it missed.
constexpr Duration kAppendTimeout = std::chrono::seconds(120);
// Another receiver writes this log: it has what we have, and the one that loses a piece leaves it alone for a while.
constexpr Duration kStandBy = std::chrono::seconds(10);
constexpr Duration kFirstWait = std::chrono::milliseconds(200), kLongestWait = std::chrono::seconds(5);

bool is_fatal(const Error& error) {
    return error.code == ErrorCode::kWrongKey || error.code == ErrorCode::kNoRepository;
}

// One timeline's log while it is written: bytes wait here until they are many or old enough.
class PieceBuffer {
  public:
    PieceBuffer(std::unique_ptr<repository::LogWriter> log, Lsn position, const env::Env& env, CaptureState& state)
        : log_(std::move(log)), start_(position), env_(env), state_(state) {}

    [[nodiscard]] Lsn received() const { return start_ + bytes_.size(); }
    [[nodiscard]] Lsn durable() const { return start_; }
    [[nodiscard]] bool is_empty() const { return bytes_.empty(); }
    void add(std::string_view bytes) {
        if (bytes_.empty()) since_ = env_.clock.now();
        bytes_ += bytes;
    }
    [[nodiscard]] bool is_due() const {
        return bytes_.size() >= kFlushBytes || (!bytes_.empty() && env_.clock.now() - since_ >= kFlushEvery);
    }
    Status flush(const env::Context& context) {
        if (bytes_.empty()) return {};
        AETERNA_TRY(log_->append(start_, repository::bytes_of(bytes_), env_.clock.within(kAppendTimeout, context)));
        start_ += bytes_.size();
        bytes_.clear();
        state_.became_durable(start_);
        return {};
    }

  private:
    std::unique_ptr<repository::LogWriter> log_;
    Lsn start_ = 0;
    std::string bytes_;
    MonoTime since_;
    const env::Env& env_;
    CaptureState& state_;
};

class Receiver final : public engine::Capture {
  public:
    Receiver(const Settings& settings, const env::Env& env, const engine::CaptureResources& resources)
        : settings_(settings),
          env_(env),
          resources_(resources),
          teller_(resources_.voice.tell),
          sessions_(settings, env),
          finder_(settings, env, sessions_) {}

    Status run(const env::Context& context) override {
        const auto keeper = env_.threads.start("capture keeper", [this](const std::stop_token& stop) {
            Keeper(settings_, env_, state_, resources_.repository, teller_).run(stop);
        });
        const auto backfill = env_.threads.start("capture backfill", [this](const std::stop_token& stop) {
            Backfill(settings_, env_, resources_, state_, teller_).run(stop);
        });
        Duration wait = kFirstWait;
        while (!context.stop.stop_requested() && env_.clock.remaining(context) > Duration()) {
            has_stored_ = false;
            const Status done = session(context);
            state_.end();
            connection_.reset();
            if (context.stop.stop_requested()) break;
            if (!done) {
                if (is_fatal(done.error()) || is_refused_) return done;
                state_.failed(said(done.error()), done.error().code == ErrorCode::kGuardRefused);
                teller_.say("failure", said(done.error()));
            }
            wait = has_stored_ ? kFirstWait : std::min(wait * 2, kLongestWait);
            const bool is_beaten = !done && done.error().code == ErrorCode::kLocked;
            env_.clock.sleep_for(is_beaten ? kStandBy : wait, context.stop);
        }
        return unsaved_ ? Status(*unsaved_) : Status();
    }

    engine::CaptureView view() override { return state_.view(env_.clock.now()); }

  private:
    using Part = env::ReplicationPart;
    // What ended a stream.
    struct StreamEnd {
        bool is_timeline_over = false;
        Timeline next = 0;
        Lsn next_at = 0;
    };

    [[nodiscard]] env::Context command(const env::Context& context) const {
        return env_.clock.within(kCommandTimeout, context);
    }
    [[nodiscard]] env::Context storing(const env::Context& context) const {
        return env_.clock.within(kAppendTimeout, context);
    }
    [[nodiscard]] std::string log_name(Timeline timeline) const {
        return wal_log_name({source_.system_identifier, timeline});
    }

    Status session(const env::Context& context) {
        AETERNA_TRY(resources_.repository.check_place(storing(context)));
        AETERNA_ASSIGN(source_, finder_.find(context));
        AETERNA_TRY(check_cluster(context));
        const NodeSettings& node = *settings_.find(source_.node);
        AETERNA_ASSIGN(const Slot slot, keep_slot(sessions_, node, settings_, teller_, context));
        env::SqlTarget target = settings_.sql_target(node.address);
        target.application_name = confirms() ? settings_.synchronous_name : "aeterna-dr capture";
        AETERNA_ASSIGN(connection_, resources_.replication.connect(target, command(context)));
        AETERNA_ASSIGN(const std::string history, read_history(source_.timeline, context));
        history_ = history;
        ServerTimeline server{source_.timeline, {}, slot.restart, source_.segment_bytes};
        AETERNA_ASSIGN(server.history, parse_timeline_history(history, source_.timeline));
        AETERNA_ASSIGN(const auto logs, captured_logs(server, context));
        AETERNA_ASSIGN(StartPlan plan, plan_start(logs, server));
        if (plan.dead_to > plan.dead_from) {
            teller_.say("branch",
                        fmt::format("timeline {} from {} to {} is a dead branch: it is kept", plan.dead_timeline,
                                    format_lsn(plan.dead_from), format_lsn(plan.dead_to)));
        }
        const Status done = follow(plan, context);
        if (done || sqlstate_of(done.error()) != kWalRemoved) return done;
        const StartPlan after = plan_after_hole(server);
        if (after.timeline < plan.timeline || (after.timeline == plan.timeline && after.position <= plan.position))
            return done;
        teller_.say("hole", fmt::format("the WAL from {} to {} is gone from '{}': the other nodes are asked for it",
                                        format_lsn(plan.position), format_lsn(after.position), node.name));
        state_.met_hole();
        return follow(after, context);
    }

    // Another cluster's WAL is nothing to go on with, and a repository that holds one is perhaps the wrong one.
    Status check_cluster(const env::Context& context) {
        if (is_cluster_known_) {
            if (source_.system_identifier == system_identifier_) return {};
            return make_error(ErrorCode::kGuardRefused,
                              fmt::format("'{}' belongs to the cluster '{}', not to '{}'", source_.node,
                                          source_.system_identifier, system_identifier_));
        }
        if (!resources_.accepts_new_cluster) {
            const Status known = require_known_cluster(resources_.repository, source_.system_identifier, source_.node,
                                                       storing(context));
            is_refused_ = !known && known.error().code == ErrorCode::kGuardRefused;
            AETERNA_TRY(known);
        }
        system_identifier_ = source_.system_identifier;
        is_cluster_known_ = true;
        return {};
    }

    // With the end of the newest one that is in the server's history and has any: what happened to an older one, or to a
    // dead branch, is no matter of where to go on.
    Result<std::vector<CapturedLog>> captured_logs(const ServerTimeline& server, const env::Context& context) {
        std::vector<CapturedLog> logs;
        AETERNA_ASSIGN(const auto all, list_wal_logs(resources_.repository, storing(context)));
        for (const WalLog& log : all) {
            if (log.system_identifier == source_.system_identifier) logs.push_back({log.timeline, std::nullopt});
        }
        std::sort(logs.begin(), logs.end(), [](const CapturedLog& a, const CapturedLog& b) { return a.timeline > b.timeline; });
        for (CapturedLog& log : logs) {
            const bool is_past = std::any_of(server.history.begin(), server.history.end(),
                                             [&](const TimelineSwitch& past) { return past.timeline == log.timeline; });
            if (log.timeline != server.timeline && !is_past) continue;
            AETERNA_ASSIGN(const auto writer,
                           repository::LogWriter::open(resources_.repository, log_name(log.timeline), storing(context)));
            log.end = writer->end();
            if (log.end) break;
        }
        return logs;
    }

    // Empty for the first timeline, which has none.
    Result<std::string> read_history(Timeline timeline, const env::Context& context) {
        if (timeline == 1) return std::string();
        AETERNA_ASSIGN(const env::SqlRows rows,
                       env::ask(*connection_, fmt::format("TIMELINE_HISTORY {}", timeline), command(context)));
        const auto content = rows.first(1);
        if (!content)
            return make_error(ErrorCode::kProtocol,
                              fmt::format("'{}' has no history of timeline {}", source_.node, timeline));
        return *content;
    }

    // Streams from there, and over the ends of timelines, until the server is up with its own.
    Status follow(StartPlan plan, const env::Context& context) {
        while (true) {
            AETERNA_TRY(begin_log(plan.timeline, context));
            AETERNA_ASSIGN(const StreamEnd end, stream(plan, context));
            if (!end.is_timeline_over) return {};
            teller_.say("stream", fmt::format("timeline {} ended at {}, goes on as {}", plan.timeline,
                                              format_lsn(end.next_at), end.next));
            plan = StartPlan{.timeline = end.next, .position = end.next_at};
        }
    }

    Status begin_log(Timeline timeline, const env::Context& context) {
        auto asked = read_history(timeline, context);
        if (!asked && asked.error().code == ErrorCode::kServer) {
            // A node that was copied later need not have the files of its ancestors; its own one contains them.
            const auto contained = history_of_ancestor(history_, timeline);
            if (contained) asked = *contained;
        }
        if (!asked) return asked.error();
        return put_timeline_history(resources_.repository, {source_.system_identifier, timeline}, *asked,
                                    storing(context));
    }

    // What the log has of the page before the position, which the server must have, too: two servers may have written the
    // same timeline, or one was set back. Within the segment only: an older one may be removed already.
    Result<std::string> read_lead(const StartPlan& plan, const env::Context& context) {
        const std::string log = log_name(plan.timeline);
        AETERNA_ASSIGN(const auto origin, repository::read_origin(resources_.repository, log, storing(context)));
        const Lsn segment = plan.position - plan.position % source_.segment_bytes;
        const Lsn from = lead_in(plan.position, std::max(segment, origin ? origin->at : 0));
        if (from == plan.position) return std::string();
        AETERNA_ASSIGN(std::string lead, read_stretch(resources_.repository, log, from, plan.position, storing(context)));
        if (lead.size() < plan.position - from) lead.clear();
        return lead;
    }

    Result<StreamEnd> stream(const StartPlan& plan, const env::Context& context) {
        AETERNA_ASSIGN(auto log,
                       repository::LogWriter::open(resources_.repository, log_name(plan.timeline), storing(context)));
        PieceBuffer buffer(std::move(log), plan.position, env_, state_);
        AETERNA_ASSIGN(lead_, read_lead(plan, context));
        AETERNA_TRY(connection_->start(
            fmt::format("START_REPLICATION {} TIMELINE {}", format_lsn(plan.position - lead_.size()), plan.timeline),
            command(context)));
        heard_at_ = status_at_ = env_.clock.now();
        StreamEnd end;
        while (true) {
            if (const auto reason = state_.end_reason()) {
                (void)flush(buffer, at_the_end(context));  // what has arrived is worth keeping
                return *reason;
            }
            const env::Context turn = env_.clock.within(kTurn, context);
            auto part = connection_->next(turn);
            if (!part) {
                const bool is_pause = part.error().code == ErrorCode::kTimeout && connection_->is_usable();
                if (is_pause && env_.clock.now() - heard_at_ < kSilence) {
                    AETERNA_TRY(keep_up(buffer, context));
                    continue;
                }
                const Status kept = flush(buffer, at_the_end(context));
                if (is_pause) return make_error(ErrorCode::kTimeout, fmt::format("'{}' is silent", source_.node));
                return kept ? part.error() : kept.error();
            }
            heard_at_ = env_.clock.now();
            switch (part->kind) {
                case Part::Kind::kCopyBegin:
                    if (lead_.empty()) AETERNA_TRY(begin(plan, buffer, context));
                    break;
                case Part::Kind::kCopyData: AETERNA_TRY(take(part->data, plan, buffer, context)); break;
                case Part::Kind::kCopyEnd: AETERNA_TRY(flush(buffer, context)); break;
                case Part::Kind::kRows: AETERNA_TRY(read_next_timeline(part->rows, end)); break;
                case Part::Kind::kEnd:
                    if (buffer.received() != end.next_at && end.is_timeline_over) {
                        return make_error(ErrorCode::kProtocol,
                                          fmt::format("timeline {} ends at {}, and came up to {}", plan.timeline,
                                                      format_lsn(end.next_at), format_lsn(buffer.received())));
                    }
                    return end;
            }
            AETERNA_TRY(keep_up(buffer, context));
        }
    }

    // What could not be put is lost to us, not to the slot; until it is there, nobody is told that all went well.
    Status flush(PieceBuffer& buffer, const env::Context& context) {
        const Status done = buffer.flush(context);
        if (done) unsaved_.reset();
        else if (done.error().code != ErrorCode::kLocked) unsaved_ = done.error();
        return done;
    }

    // Stop was requested: a short time is left for what has arrived.
    [[nodiscard]] env::Context at_the_end(const env::Context& context) const {
        return {env_.clock.now() + kCommandTimeout, std::stop_token(), context.run_id};
    }

    // The server goes on with what the log has: from here on slots may move, and commits be released.
    Status begin(const StartPlan& plan, const PieceBuffer& buffer, const env::Context& context) {
        SourceView source = source_;
        source.timeline = plan.timeline;
        state_.begin(source, log_name(plan.timeline), plan.position);
        teller_.say("stream", fmt::format("streaming from '{}': timeline {} from {}", source_.node, plan.timeline,
                                          format_lsn(plan.position)));
        // A commit may be waiting for what is durable already.
        return confirms() ? send_status(buffer, false, context) : Status();
    }

    Status take(std::string_view data, const StartPlan& plan, PieceBuffer& buffer, const env::Context& context) {
        AETERNA_ASSIGN(const StreamMessage message, parse_stream_message(data));
        if (const auto* wal = std::get_if<XLogData>(&message)) {
            const Lsn awaited = buffer.received() - lead_.size();
            if (wal->start != awaited) {
                return make_error(ErrorCode::kProtocol, fmt::format("WAL came at {} where {} belongs", format_lsn(wal->start),
                                                                    format_lsn(awaited)));
            }
            std::string_view bytes = wal->bytes;
            if (!lead_.empty()) {
                const std::size_t known = std::min(bytes.size(), lead_.size());
                if (!lead_.starts_with(bytes.substr(0, known))) return other_wal(plan, awaited);
                bytes.remove_prefix(known);
                lead_.erase(0, known);
                if (!lead_.empty()) return {};
                AETERNA_TRY(begin(plan, buffer, context));
            }
            if (!bytes.empty()) buffer.add(bytes);
            has_all_ = buffer.received() >= wal->server_end;
            return {};
        }
        return std::get<Keepalive>(message).wants_reply ? send_status(buffer, true, context) : Status();
    }

    Status keep_up(PieceBuffer& buffer, const env::Context& context) {
        // Commits may be waiting for what has come; those that come meanwhile share the next piece.
        const bool is_awaited = confirms() && has_all_ && !buffer.is_empty();
        if (buffer.is_due() || is_awaited) {
            AETERNA_TRY(flush(buffer, context));
            has_stored_ = true;
            teller_.say("failure", "");
            if (confirms()) return send_status(buffer, false, context);
        }
        // A hole was found, or filled: commits are waiting for that.
        const bool is_news = confirms() && may_confirm() != has_confirmed_;
        if (!is_news && env_.clock.now() - status_at_ < kStatusEvery) return {};
        return send_status(buffer, !is_news, context);
    }

    [[nodiscard]] Error other_wal(const StartPlan& plan, Lsn at) const {
        return make_error(ErrorCode::kGuardRefused,
                          fmt::format("'{}' has other WAL at {} than the log '{}': two servers have written timeline {}, or one was set back",
                                      source_.node, format_lsn(at), log_name(plan.timeline), plan.timeline),
                          "Nothing of it is captured. Find out which one is right; the other one needs a timeline of its own, or another repository.");
    }

    [[nodiscard]] bool may_confirm() const { return lead_.empty() && state_.is_without_hole() && state_.is_awaited(); }
    [[nodiscard]] bool confirms() const { return !settings_.synchronous_name.empty(); }

    Status send_status(const PieceBuffer& buffer, bool wants_reply, const env::Context& context) {
        status_at_ = env_.clock.now();
        // Without a flush position nothing releases a commit, and what was received lets a clean shutdown end.
        StandbyStatus status{buffer.received(), 0, wants_reply};
        // Who confirms commits says of nothing that it was written before it is durable: `remote_write` would release by it.
        has_confirmed_ = confirms() && may_confirm();
        if (confirms()) tell_whether_awaited();
        if (has_confirmed_) status.written = status.flushed = buffer.durable();
        const Status sent = connection_->send(status_update(status, env_.clock.wall_now()), env_.clock.within(kTurn, context));
        // A server that takes nothing for long is silent, too.
        if (!sent && sent.error().code == ErrorCode::kTimeout) return {};
        return sent;
    }

    void tell_whether_awaited() {
        teller_.say("standby", state_.is_awaited() ? ""
                                                   : fmt::format("no commit is confirmed: synchronous_standby_names of '{}' does not name "
                                                                 "'{}', or names everybody by '*'", source_.node, settings_.synchronous_name));
    }

    static Status read_next_timeline(const env::SqlRows& rows, StreamEnd& end) {
        const auto timeline = rows.first(0), at = rows.first(1);
        const auto position = at ? parse_lsn(*at) : std::nullopt;
        if (!timeline || !position) return {};
        end.is_timeline_over = true;
        end.next = static_cast<Timeline>(std::strtoul(timeline->c_str(), nullptr, 10));
        end.next_at = *position;
        return {};
    }

    const Settings& settings_;
    const env::Env& env_;
    const engine::CaptureResources resources_;
    CaptureState state_;
    Teller teller_;
    NodeSessions sessions_;
    SourceFinder finder_;
    SourceView source_;
    std::string history_;  // of the source's timeline
    std::string lead_;     // what has still to come that the log has already
    std::unique_ptr<env::ReplicationConnection> connection_;
    std::string system_identifier_;
    bool is_cluster_known_ = false, is_refused_ = false, has_stored_ = false;
    bool has_confirmed_ = false;  // by the last status that was sent
    bool has_all_ = false;  // of what the server had flushed when it sent its last message
    std::optional<Error> unsaved_;
    MonoTime heard_at_, status_at_;
};

}  // namespace

std::unique_ptr<engine::Capture> make_receiver(const Settings& settings, const env::Env& env,
                                               const engine::CaptureResources& resources) {
    return std::make_unique<Receiver>(settings, env, resources);
}

}  // namespace aeterna::postgres
