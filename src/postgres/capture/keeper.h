// What runs beside the stream of a receiver: it looks at the primary each second and moves the slots of all nodes; with what both
// sides share, and the choice of the server to follow.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/capture/capture.h"
#include "env/env.h"
#include "postgres/capture/exposure.h"
#include "postgres/capture/slots.h"
#include "postgres/client/patroni.h"
#include "postgres/client/wal.h"
#include "postgres/settings.h"

namespace aeterna::postgres {

// What the repository has of one timeline, and where it came from. Stays true whatever comes next.
struct CapturedPart {
    SourceView source;  // its timeline is the streamed one
    Lsn durable = 0;
};

// Whether a node may let go of its WAL before `part.durable`: positions behind a fork mean other bytes on another
// timeline, which the repository need not have. A primary that gives us the end of an older timeline has that in its
// history. Pure.
[[nodiscard]] bool is_durable_for(const CapturedPart& part, const SourceView& node);

// What the stream and the keeper know of each other.
class CaptureState {
  public:
    // Whether there is a hole is not known before the first audit: until then nothing is called safe.
    CaptureState() { exposure_.set_hole(true); }
    void begin(const SourceView& source, const std::string& log, Lsn durable) {
        const std::lock_guard lock(mutex_);
        source_ = source;
        log_ = log;
        durable_ = durable;
        end_reason_.reset();
        trouble_.clear();
        is_refused_ = false;
        exposure_.begin_timeline(durable);
    }
    void failed(const std::string& why, bool is_refused) {
        const std::lock_guard lock(mutex_);
        trouble_ = why;
        is_refused_ = is_refused;
    }
    // The stream goes on behind WAL that is gone from its server. All slots stay where they are until an audit has seen
    // it: an audit of before says nothing of it.
    void met_hole() {
        const std::lock_guard lock(mutex_);
        is_behind_hole_ = true;
        if (has_hole_ == false) has_hole_.reset();
        asked_.clear();
        exposure_.set_hole(true);
    }
    // Whether anything was put into a log since we began.
    [[nodiscard]] bool has_captured() const {
        const std::lock_guard lock(mutex_);
        return has_captured_;
    }
    // Of those that the log shows, by what it has behind them.
    [[nodiscard]] std::uint64_t holes_met() const {
        const std::lock_guard lock(mutex_);
        return holes_met_;
    }
    // What was missing by then after each node was asked; `asked` are those that have answered, be it that they have
    // nothing of it. has_hole is nothing when the logs could not be audited: then all stays as it was.
    void audited(std::uint64_t holes_met, std::optional<bool> has_hole, std::set<std::string> asked) {
        const std::lock_guard lock(mutex_);
        if (!has_hole) return;
        const bool is_outdated = is_behind_hole_ || holes_met != holes_met_;
        if (*has_hole || !is_outdated) has_hole_ = has_hole;
        if (is_outdated) return;
        asked_ = std::move(asked);
        exposure_.set_hole(*has_hole);
    }
    // Whether the node's slot has to stay where it is: the node may have what the repository lacks. Slots are not held for
    // ever: the guard drops one that holds too much (slot_guard.h).
    [[nodiscard]] bool is_held(const std::string& node) const {
        const std::lock_guard lock(mutex_);
        return has_hole_ != false && !asked_.contains(node);
    }
    // When it is seen again, it may be one that came back with more than it had.
    void lost_sight_of(const std::string& node) {
        const std::lock_guard lock(mutex_);
        asked_.erase(node);
    }
    // By the last look at the server.
    [[nodiscard]] bool is_awaited() const {
        const std::lock_guard lock(mutex_);
        return source_ && source_->awaits_us;
    }
    // Whether what is durable can be restored: not behind a hole, and not before that is known.
    [[nodiscard]] bool is_without_hole() const {
        const std::lock_guard lock(mutex_);
        return has_hole_ == false;
    }
    void end() {
        const std::lock_guard lock(mutex_);
        source_.reset();
        end_reason_.reset();
    }
    void became_durable(Lsn end) {
        const std::lock_guard lock(mutex_);
        durable_ = end;
        has_captured_ = true;
        if (is_behind_hole_) ++holes_met_;
        is_behind_hole_ = false;
        exposure_.became_durable(end);
    }
    void looked(MonoTime asked_at, const SourceView& view) {
        const std::lock_guard lock(mutex_);
        if (source_ && source_->node == view.node && source_->timeline == view.timeline) {
            exposure_.looked(asked_at, view.end);
            source_->awaits_us = view.awaits_us;
        }
    }
    // The stream cannot go on, for a reason that it does not see itself. Says nothing of the next one.
    void end_stream(Error reason) {
        const std::lock_guard lock(mutex_);
        if (source_) end_reason_ = std::move(reason);
    }
    [[nodiscard]] std::optional<Error> end_reason() const {
        const std::lock_guard lock(mutex_);
        return end_reason_;
    }
    [[nodiscard]] std::optional<SourceView> source() const {
        const std::lock_guard lock(mutex_);
        return source_;
    }
    // Nothing while no stream has begun: what is durable of which timeline is not known.
    [[nodiscard]] std::optional<CapturedPart> captured() const {
        const std::lock_guard lock(mutex_);
        return source_ ? std::optional(CapturedPart{*source_, durable_}) : std::nullopt;
    }
    [[nodiscard]] engine::CaptureView view(MonoTime now) const {
        const std::lock_guard lock(mutex_);
        engine::CaptureView view;
        if (source_) view.node = source_->node;
        view.log = log_;
        if (!log_.empty()) view.position = format_lsn(durable_);
        view.rpo_now = exposure_.rpo_now(now);
        view.behind_bytes = exposure_.behind_bytes();
        view.has_hole = has_hole_;
        view.trouble = trouble_;
        view.is_refused = is_refused_;
        return view;
    }

  private:
    mutable std::mutex mutex_;
    std::optional<SourceView> source_;
    std::string log_;
    Lsn durable_ = 0;
    std::optional<Error> end_reason_;
    Exposure exposure_;
    std::string trouble_;
    bool is_refused_ = false;
    bool has_captured_ = false;
    std::uint64_t holes_met_ = 0;
    bool is_behind_hole_ = false;  // and nothing is durable there yet
    std::optional<bool> has_hole_;
    std::set<std::string> asked_;  // for what is missing; nobody while that is not known
};

// Tells a thing once, until something else is to be told about its subject. False when it was told before.
class Teller {
  public:
    explicit Teller(const std::function<void(const std::string&)>& tell) : tell_(tell) {}
    bool say(const std::string& subject, const std::string& line) {
        const std::lock_guard lock(mutex_);
        auto& last = last_[subject];
        if (last == line) return false;
        last = line;
        if (!line.empty()) tell_(line);
        return true;
    }

  private:
    std::mutex mutex_;
    const std::function<void(const std::string&)>& tell_;
    std::map<std::string, std::string> last_;
};

// Makes our slot on that node where it is missing, and tells of it.
[[nodiscard]] Result<Slot> keep_slot(NodeSessions& sessions, const NodeSettings& node, const Settings& settings, Teller& teller,
                                     const env::Context& context);

// Who is to be followed: of the servers that are not in recovery, the one that Patroni calls the leader, else the newest
// timeline.
class SourceFinder {
  public:
    SourceFinder(const Settings& settings, const env::Env& env, NodeSessions& sessions)
        : settings_(settings), env_(env), sessions_(sessions), patroni_(settings, env) {}

    // Looks at every node; kUnavailable when none is a primary.
    [[nodiscard]] Result<SourceView> find(const env::Context& context);
    // Of primaries that were just seen, one at least.
    [[nodiscard]] SourceView choose(const std::vector<SourceView>& primaries, const env::Context& context) const;

  private:
    [[nodiscard]] std::string patroni_leader(const env::Context& context) const;

    const Settings& settings_;
    const env::Env& env_;
    NodeSessions& sessions_;
    Patroni patroni_;
};

// One thread's work, until it is stopped.
class Keeper {
  public:
    Keeper(const Settings& settings, const env::Env& env, CaptureState& state, const repository::Repository& repository,
           Teller& teller)
        : settings_(settings), env_(env), state_(state), repository_(repository), teller_(teller), sessions_(settings, env),
          finder_(settings, env, sessions_), patroni_(settings, env) {}

    void run(const std::stop_token& stop);

  private:
    void look_at_source(const env::Context& context);
    void go_round(const env::Context& context);
    void check_protection(const env::Context& context);

    const Settings& settings_;
    const env::Env& env_;
    CaptureState& state_;
    const repository::Repository& repository_;
    Teller& teller_;
    NodeSessions sessions_;
    SourceFinder finder_;
    Patroni patroni_;
};

// What people are told of an error.
[[nodiscard]] std::string said(const Error& error);

}  // namespace aeterna::postgres
