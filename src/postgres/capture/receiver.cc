// Two threads: the one that runs it streams and appends, the keeper looks at the nodes each second and moves the slots.
// What they share is behind one mutex. A session is one connection to one primary; whatever goes wrong ends it, and the next
// one begins at the durable end, from which the slots hold everything.
#include "postgres/capture/receiver.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <set>

#include "postgres/capture/exposure.h"
#include "postgres/capture/slot_protection.h"
#include "postgres/capture/slots.h"
#include "postgres/capture/start_plan.h"
#include "postgres/capture/stream_message.h"
#include "postgres/client/patroni.h"
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
constexpr Duration kLookEvery = std::chrono::seconds(1);
constexpr int kLooksPerRound = 5;        // rounds over all nodes: slots, who is the primary
constexpr int kRoundsPerProtection = 6;  // looks at Patroni's configuration

constexpr std::string_view kWalRemoved = "58P01";  // undefined_file: the requested segment "has already been removed"

bool is_fatal(const Error& error) {
    return error.code == ErrorCode::kWrongKey || error.code == ErrorCode::kNoRepository;
}

// What the threads share.
class Shared {
  public:
    void begin(const SourceView& source, const std::string& log, Lsn durable) {
        const std::lock_guard lock(mutex_);
        source_ = source;
        log_ = log;
        durable_ = durable;
        is_moved_ = false;
        exposure_.begin_timeline(durable);
    }
    void end() {
        const std::lock_guard lock(mutex_);
        source_.reset();
    }
    void became_durable(Lsn end) {
        const std::lock_guard lock(mutex_);
        durable_ = end;
        exposure_.became_durable(end);
    }
    void looked(MonoTime asked_at, const SourceView& view) {
        const std::lock_guard lock(mutex_);
        if (source_ && source_->node == view.node && source_->timeline == view.timeline) {
            exposure_.looked(asked_at, view.end);
        }
    }
    // The stream's own server is no longer the one to follow.
    void move_away() {
        const std::lock_guard lock(mutex_);
        is_moved_ = true;
    }
    [[nodiscard]] bool is_moved() const {
        const std::lock_guard lock(mutex_);
        return is_moved_;
    }
    [[nodiscard]] std::optional<SourceView> source() const {
        const std::lock_guard lock(mutex_);
        return source_;
    }
    // Nothing while no stream has begun: what is durable of which timeline is not known.
    [[nodiscard]] std::optional<Lsn> durable() const {
        const std::lock_guard lock(mutex_);
        return source_ ? std::optional(durable_) : std::nullopt;
    }
    [[nodiscard]] engine::CaptureView view(MonoTime now) const {
        const std::lock_guard lock(mutex_);
        engine::CaptureView view;
        if (source_) view.node = source_->node;
        view.log = log_;
        if (!log_.empty()) view.position = format_lsn(durable_);
        view.rpo_now = exposure_.rpo_now(now);
        view.behind_bytes = exposure_.behind_bytes();
        return view;
    }

  private:
    mutable std::mutex mutex_;
    std::optional<SourceView> source_;
    std::string log_;
    Lsn durable_ = 0;
    bool is_moved_ = false;
    Exposure exposure_;
};

// Tells a thing once, until something else is to be told about its subject.
class Teller {
  public:
    explicit Teller(const std::function<void(const std::string&)>& tell) : tell_(tell) {}
    void say(const std::string& subject, const std::string& line) {
        const std::lock_guard lock(mutex_);
        auto& last = last_[subject];
        if (last == line) return;
        last = line;
        if (!line.empty()) tell_(line);
    }

  private:
    std::mutex mutex_;
    const std::function<void(const std::string&)>& tell_;
    std::map<std::string, std::string> last_;
};

std::string said(const Error& error) {
    return error.hint.empty() ? error.to_string() : fmt::format("{} ({})", error.to_string(), error.hint);
}

// Who is to be followed: of the servers that are not in recovery, the one that Patroni calls the leader, else the newest
// timeline. Nothing when none is.
class SourceFinder {
  public:
    SourceFinder(const Settings& settings, const env::Env& env, NodeSessions& sessions)
        : settings_(settings), env_(env), sessions_(sessions), patroni_(settings, env) {}

    Result<SourceView> find(const env::Context& context) {
        std::vector<SourceView> primaries;
        std::string failures;
        for (const NodeSettings& node : settings_.nodes) {
            auto view = sessions_.look(node, context);
            if (view && view->is_primary) primaries.push_back(std::move(*view));
            if (!view) failures += fmt::format("; {}", view.error().to_string());
        }
        if (primaries.empty()) return make_error(ErrorCode::kUnavailable, "no primary is found" + failures);
        if (primaries.size() == 1) return primaries.front();
        const std::string leader = patroni_leader(context);
        const auto better = [&](const SourceView& left, const SourceView& right) {
            if ((left.node == leader) != (right.node == leader)) return right.node == leader;
            return left.timeline < right.timeline;
        };
        return *std::max_element(primaries.begin(), primaries.end(), better);
    }

  private:
    std::string patroni_leader(const env::Context& context) const {
        for (const NodeSettings& node : settings_.nodes) {
            const auto cluster = patroni_.cluster(node, env_.clock.within(1s, context));
            if (cluster && !cluster->leader.empty()) return settings_.node_of_member(cluster->leader);
        }
        return "";
    }

    const Settings& settings_;
    const env::Env& env_;
    NodeSessions& sessions_;
    Patroni patroni_;
};

// Looks at the primary each second, and at all nodes every few: slots stay where they should be.
class Keeper {
  public:
    Keeper(const Settings& settings, const env::Env& env, Shared& shared, Teller& teller)
        : settings_(settings), env_(env), shared_(shared), teller_(teller), sessions_(settings, env),
          finder_(settings, env, sessions_), patroni_(settings, env) {}

    void run(const std::stop_token& stop) {
        for (int looks = 0; !stop.stop_requested(); ++looks) {
            const env::Context context{env_.clock.now() + kCommandTimeout, stop, "capture"};
            look_at_source(context);
            if (looks % kLooksPerRound == 0) go_round(context);
            if (looks % (kLooksPerRound * kRoundsPerProtection) == 0) check_protection(context);
            env_.clock.sleep_for(kLookEvery, stop);
        }
    }

  private:
    void look_at_source(const env::Context& context) {
        const auto source = shared_.source();
        const NodeSettings* node = source ? settings_.find(source->node) : nullptr;
        if (!node) return;
        const MonoTime asked_at = env_.clock.now();
        const auto view = sessions_.look(*node, context);
        if (view && view->is_primary) shared_.looked(asked_at, *view);
    }

    void go_round(const env::Context& context) {
        const auto durable = shared_.durable();
        const auto source = shared_.source();
        if (!durable || !source) return;
        for (const NodeSettings& node : settings_.nodes) {
            const auto view = sessions_.look(node, context);
            if (!view) continue;  // others watch over nodes that are down
            if (view->system_identifier != source->system_identifier) {
                teller_.say(node.name, fmt::format("'{}' belongs to another cluster ({}): it is left alone", node.name,
                                                   view->system_identifier));
                continue;
            }
            hold(node, *durable, context);
        }
        const auto best = finder_.find(context);
        if (best && best->node != source->node) shared_.move_away();
    }

    void hold(const NodeSettings& node, Lsn durable, const env::Context& context) {
        const auto slot = sessions_.ensure_slot(node, context);
        if (!slot) return teller_.say(node.name, said(slot.error()));
        if (slot->was_made) teller_.say(node.name, fmt::format("made the slot '{}' on '{}'", settings_.slot, node.name));
        const Status moved = sessions_.advance_slot(node, durable, context);
        if (!moved) teller_.say(node.name, said(moved.error()));
    }

    void check_protection(const env::Context& context) {
        for (const NodeSettings& node : settings_.nodes) {
            const auto config = patroni_.config_text(node, env_.clock.within(2s, context));
            const auto is_protected = config ? is_slot_protected(*config, settings_.slot) : Result<bool>(config.error());
            if (!is_protected) continue;
            return teller_.say("protection",
                               *is_protected ? ""
                                             : fmt::format("the slot '{}' is not protected: Patroni will drop it ({})",
                                                           settings_.slot, protection_hint(settings_.slot)));
        }
    }

    const Settings& settings_;
    const env::Env& env_;
    Shared& shared_;
    Teller& teller_;
    NodeSessions sessions_;
    SourceFinder finder_;
    Patroni patroni_;
};

// One timeline's log while it is written: bytes wait here until they are many or old enough.
class PieceBuffer {
  public:
    PieceBuffer(std::unique_ptr<repository::LogWriter> log, Lsn position, const env::Env& env, Shared& shared)
        : log_(std::move(log)), start_(position), env_(env), shared_(shared) {}

    [[nodiscard]] Lsn received() const { return start_ + bytes_.size(); }
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
        shared_.became_durable(start_);
        return {};
    }

  private:
    std::unique_ptr<repository::LogWriter> log_;
    Lsn start_ = 0;
    std::string bytes_;
    MonoTime since_;
    const env::Env& env_;
    Shared& shared_;
};

class Receiver final : public engine::Capture {
  public:
    Receiver(const Settings& settings, const env::Env& env, const engine::CaptureResources& resources)
        : settings_(settings), env_(env), resources_(resources), teller_(resources_.tell), sessions_(settings, env),
          finder_(settings, env, sessions_) {}

    Status run(const env::Context& context) override {
        const auto keeper = env_.threads.start("capture keeper", [this](const std::stop_token& stop) {
            Keeper(settings_, env_, shared_, teller_).run(stop);
        });
        Duration wait = kFirstWait;
        while (!context.stop.stop_requested() && env_.clock.remaining(context) > Duration()) {
            has_streamed_ = false;
            const Status done = session(context);
            shared_.end();
            connection_.reset();
            if (context.stop.stop_requested()) break;
            if (!done) {
                if (is_fatal(done.error()) || is_refused_) return done;
                teller_.say("stream", said(done.error()));
            }
            wait = has_streamed_ ? kFirstWait : std::min(wait * 2, kLongestWait);
            const bool is_beaten = !done && done.error().code == ErrorCode::kLocked;
            env_.clock.sleep_for(is_beaten ? kStandBy : wait, context.stop);
        }
        return {};
    }

    engine::CaptureView view() override { return shared_.view(env_.clock.now()); }

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
    [[nodiscard]] std::string log_name(Timeline timeline) const { return wal_log_name({source_.system_identifier, timeline}); }

    Status session(const env::Context& context) {
        AETERNA_ASSIGN(source_, finder_.find(context));
        AETERNA_TRY(check_cluster(context));
        const NodeSettings& node = *settings_.find(source_.node);
        AETERNA_ASSIGN(const Slot slot, sessions_.ensure_slot(node, context));
        if (slot.was_made) teller_.say(node.name, fmt::format("made the slot '{}' on '{}'", settings_.slot, node.name));
        env::SqlTarget target = settings_.sql_target(node.address);
        target.application_name = "aeterna-dr capture";
        AETERNA_ASSIGN(connection_, resources_.replication.connect(target, command(context)));
        AETERNA_ASSIGN(const std::string history, read_history(source_.timeline, context));
        history_ = history;
        ServerTimeline server{source_.timeline, {}, slot.restart, source_.segment_bytes};
        AETERNA_ASSIGN(server.history, parse_timeline_history(history, source_.timeline));
        AETERNA_ASSIGN(const auto logs, captured_logs(context));
        AETERNA_ASSIGN(StartPlan plan, plan_start(logs, server));
        if (plan.dead_to > plan.dead_from) {
            teller_.say("branch", fmt::format("timeline {} from {} to {} is a dead branch: it is kept", plan.dead_timeline,
                                              format_lsn(plan.dead_from), format_lsn(plan.dead_to)));
        }
        const Status done = follow(plan, context);
        if (done || sqlstate_of(done.error()) != kWalRemoved) return done;
        const StartPlan after = plan_after_hole(server);
        if (after.timeline < plan.timeline || (after.timeline == plan.timeline && after.position <= plan.position)) return done;
        teller_.say("hole", fmt::format("hole: the WAL from {} to {} is gone from '{}'; what lies behind it needs a new base "
                                        "backup", format_lsn(plan.position), format_lsn(after.position), node.name));
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
        AETERNA_ASSIGN(const auto names, repository::list_logs(resources_.repository, storing(context)));
        std::set<std::string> systems;
        for (const std::string& name : names) {
            if (const auto log = parse_wal_log_name(name)) systems.insert(log->system_identifier);
        }
        if (!systems.empty() && !systems.contains(source_.system_identifier) && !resources_.accepts_new_cluster) {
            is_refused_ = true;
            return make_error(ErrorCode::kGuardRefused,
                              fmt::format("the repository has WAL of the cluster '{}', '{}' belongs to the cluster '{}'",
                                          *systems.begin(), source_.node, source_.system_identifier),
                              "Check --repo and --stack; --new-cluster begins a second history beside it.");
        }
        system_identifier_ = source_.system_identifier;
        is_cluster_known_ = true;
        return {};
    }

    Result<std::vector<CapturedLog>> captured_logs(const env::Context& context) {
        std::vector<CapturedLog> logs;
        AETERNA_ASSIGN(const auto names, repository::list_logs(resources_.repository, storing(context)));
        for (const std::string& name : names) {
            const auto log = parse_wal_log_name(name);
            if (!log || log->system_identifier != source_.system_identifier) continue;
            AETERNA_ASSIGN(const auto writer, repository::LogWriter::open(resources_.repository, name, storing(context)));
            logs.push_back({log->timeline, writer->end()});
        }
        return logs;
    }

    // Empty for the first timeline, which has none.
    Result<std::string> read_history(Timeline timeline, const env::Context& context) {
        if (timeline == 1) return std::string();
        AETERNA_ASSIGN(const env::SqlRows rows,
                       env::ask(*connection_, fmt::format("TIMELINE_HISTORY {}", timeline), command(context)));
        const auto content = rows.first(1);
        if (!content) return make_error(ErrorCode::kProtocol, fmt::format("'{}' has no history of timeline {}", source_.node, timeline));
        return *content;
    }

    // Streams from there, and over the ends of timelines, until the server is up with its own.
    Status follow(StartPlan plan, const env::Context& context) {
        while (true) {
            AETERNA_TRY(begin_log(plan.timeline, context));
            AETERNA_ASSIGN(const StreamEnd end, stream(plan, context));
            if (!end.is_timeline_over) return {};
            teller_.say("stream", fmt::format("timeline {} ended at {}, goes on as {}", plan.timeline, format_lsn(end.next_at), end.next));
            plan = StartPlan{.timeline = end.next, .position = end.next_at};
        }
    }

    // The history is durable before the first byte: a reader never sees a timeline that it cannot place.
    Status begin_log(Timeline timeline, const env::Context& context) {
        auto asked = read_history(timeline, context);
        if (!asked && asked.error().code == ErrorCode::kServer) {
            // A node that was copied later need not have the files of its ancestors; its own one contains them.
            const auto contained = history_of_ancestor(history_, timeline);
            if (contained) asked = *contained;
        }
        if (!asked) return asked.error();
        const std::string& history = *asked;
        AETERNA_ASSIGN(const auto switches, parse_timeline_history(history, timeline));
        if (switches.empty()) return {};
        return repository::put_origin(resources_.repository, log_name(timeline),
                                      {log_name(switches.back().timeline), switches.back().at, history}, storing(context));
    }

    Result<StreamEnd> stream(const StartPlan& plan, const env::Context& context) {
        AETERNA_ASSIGN(auto log, repository::LogWriter::open(resources_.repository, log_name(plan.timeline), storing(context)));
        PieceBuffer buffer(std::move(log), plan.position, env_, shared_);
        AETERNA_TRY(connection_->start(fmt::format("START_REPLICATION {} TIMELINE {}", format_lsn(plan.position), plan.timeline),
                                       command(context)));
        heard_at_ = status_at_ = env_.clock.now();
        StreamEnd end;
        while (true) {
            const env::Context turn = env_.clock.within(kTurn, context);
            auto part = connection_->next(turn);
            if (!part) {
                const bool is_pause = part.error().code == ErrorCode::kTimeout && connection_->is_usable();
                if (is_pause && env_.clock.now() - heard_at_ < kSilence && !shared_.is_moved()) {
                    AETERNA_TRY(keep_up(buffer, context));
                    continue;
                }
                // What has arrived is worth keeping, whatever ended it.
                const Status kept = buffer.flush(at_the_end(context));
                if (shared_.is_moved()) return make_error(ErrorCode::kUnavailable, fmt::format("'{}' is the primary no longer", source_.node));
                if (is_pause) return make_error(ErrorCode::kTimeout, fmt::format("'{}' is silent", source_.node));
                return kept ? part.error() : kept.error();
            }
            heard_at_ = env_.clock.now();
            switch (part->kind) {
                case Part::Kind::kCopyBegin: note_start(plan); break;
                case Part::Kind::kCopyData: AETERNA_TRY(take(part->data, buffer, context)); break;
                case Part::Kind::kCopyEnd: AETERNA_TRY(buffer.flush(context)); break;
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

    // Stop was requested: a short time is left for what has arrived.
    [[nodiscard]] env::Context at_the_end(const env::Context& context) const {
        return {env_.clock.now() + kCommandTimeout, std::stop_token(), context.run_id};
    }

    void note_start(const StartPlan& plan) {
        has_streamed_ = true;
        SourceView source = source_;
        source.timeline = plan.timeline;
        shared_.begin(source, log_name(plan.timeline), plan.position);
        teller_.say("stream", fmt::format("streaming from '{}': timeline {} from {}", source_.node, plan.timeline,
                                          format_lsn(plan.position)));
    }

    Status take(std::string_view data, PieceBuffer& buffer, const env::Context& context) {
        AETERNA_ASSIGN(const StreamMessage message, parse_stream_message(data));
        if (const auto* wal = std::get_if<XLogData>(&message)) {
            if (wal->start != buffer.received()) {
                return make_error(ErrorCode::kProtocol, fmt::format("WAL came at {} where {} belongs", format_lsn(wal->start),
                                                                    format_lsn(buffer.received())));
            }
            buffer.add(wal->bytes);
            return {};
        }
        return std::get<Keepalive>(message).wants_reply ? send_status(buffer, context) : Status();
    }

    Status keep_up(PieceBuffer& buffer, const env::Context& context) {
        if (buffer.is_due()) AETERNA_TRY(buffer.flush(context));
        if (env_.clock.now() - status_at_ < kStatusEvery) return {};
        return send_status(buffer, context);
    }

    Status send_status(PieceBuffer& buffer, const env::Context& context) {
        status_at_ = env_.clock.now();
        const Status sent = connection_->send(status_update(buffer.received(), env_.clock.wall_now(), true),
                                              env_.clock.within(kTurn, context));
        // A server that takes nothing for long is silent, too.
        if (!sent && sent.error().code == ErrorCode::kTimeout) return {};
        return sent;
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
    Shared shared_;
    Teller teller_;
    NodeSessions sessions_;
    SourceFinder finder_;
    SourceView source_;
    std::string history_;  // of the source's timeline
    std::unique_ptr<env::ReplicationConnection> connection_;
    std::string system_identifier_;
    bool is_cluster_known_ = false, is_refused_ = false, has_streamed_ = false;
    MonoTime heard_at_, status_at_;
};

}  // namespace

std::unique_ptr<engine::Capture> make_receiver(const Settings& settings, const env::Env& env,
                                               const engine::CaptureResources& resources) {
    return std::make_unique<Receiver>(settings, env, resources);
}

}  // namespace aeterna::postgres
