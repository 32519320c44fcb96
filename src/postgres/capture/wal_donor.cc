#include "postgres/capture/wal_donor.h"

#include <fmt/format.h>

#include <algorithm>

#include "postgres/capture/stream_message.h"
#include "postgres/client/sql.h"
#include "postgres/client/wal.h"
#include "postgres/client/wal_records.h"

namespace aeterna::postgres {
namespace {

constexpr Duration kDonorSilence = std::chrono::seconds(15), kDonorStatusEvery = std::chrono::seconds(5);
constexpr Duration kDonorTurn = std::chrono::milliseconds(200), kDonorCommandTimeout = std::chrono::seconds(10);

}  // namespace

std::optional<Lsn> end_on(const SourceView& node, const std::vector<TimelineSwitch>& history, Timeline timeline) {
    if (node.timeline == timeline) return node.end;
    const auto past =
        std::find_if(history.begin(), history.end(), [&](const auto& one) { return one.timeline == timeline; });
    return past == history.end() ? std::nullopt : std::optional(past->at);
}

Lsn lead_in(Lsn from, Lsn begin) {
    const Lsn before = from == 0 ? 0 : (from - 1) / kWalPageBytes * kWalPageBytes;
    return std::max(before, begin);
}

// ---------------------------------------------------------------------------------------------- WalDonor

struct WalDonor::Reading {
    const WalHole stretch;
    const Each& each;
    Lsn position;
    MonoTime heard_at, status_at;
    bool is_ending = false;
};

Result<std::vector<TimelineSwitch>> WalDonor::history(const env::Context& context) {
    if (node_.timeline == 1) return std::vector<TimelineSwitch>();
    AETERNA_ASSIGN(const env::SqlRows rows, env::ask(*connection_, fmt::format("TIMELINE_HISTORY {}", node_.timeline),
                                                     env_.clock.within(kDonorCommandTimeout, context)));
    return parse_timeline_history(rows.first(1).value_or(""), node_.timeline);
}

Status WalDonor::read(const WalHole& stretch, const Each& each, const env::Context& context) {
    using Kind = env::ReplicationPart::Kind;
    AETERNA_TRY(
        connection_->start(fmt::format("START_REPLICATION {} TIMELINE {}", format_lsn(stretch.from), stretch.timeline),
                           env_.clock.within(kDonorCommandTimeout, context)));
    const MonoTime now = env_.clock.now();
    Reading reading{stretch, each, stretch.from, now, now};
    Status kept;  // an error of ours waits until the server's answer is over, so that the session can go on
    while (true) {
        auto part = connection_->next(env_.clock.within(kDonorTurn, context));
        if (!part && part.error().code == ErrorCode::kTimeout && connection_->is_usable()) {
            if (env_.clock.remaining(context) <= Duration()) return part.error();
            if (env_.clock.now() - reading.heard_at >= kDonorSilence) {
                return make_error(ErrorCode::kTimeout, fmt::format("'{}' is silent", node_.node));
            }
        } else if (!part) {
            if (sqlstate_of(part.error()) != kWalRemoved) return part.error();
            return make_error(ErrorCode::kNotFound,
                              fmt::format("'{}' has removed the WAL at {}", node_.node, format_lsn(stretch.from)));
        } else if (part->kind == Kind::kEnd) {
            break;
        } else if (part->kind == Kind::kCopyData) {
            reading.heard_at = env_.clock.now();
            if (kept && reading.position < stretch.to) kept = take(part->data, reading, context);
        }
        const bool is_done = !kept || reading.position >= stretch.to;
        if (is_done && !reading.is_ending) {
            AETERNA_TRY(connection_->end_copy(env_.clock.within(kDonorCommandTimeout, context)));
            reading.is_ending = true;
        }
        if (!is_done && env_.clock.now() - reading.status_at >= kDonorStatusEvery)
            AETERNA_TRY(send_status(reading, context));
    }
    if (!kept || reading.position >= stretch.to) return kept;
    return make_error(ErrorCode::kPartial, fmt::format("'{}' gave timeline {} up to {} only", node_.node,
                                                       stretch.timeline, format_lsn(reading.position)));
}

Status WalDonor::take(std::string_view data, Reading& reading, const env::Context& context) {
    AETERNA_ASSIGN(const StreamMessage message, parse_stream_message(data));
    if (const auto* keepalive = std::get_if<Keepalive>(&message)) {
        return keepalive->wants_reply ? send_status(reading, context) : Status();
    }
    const auto& wal = std::get<XLogData>(message);
    if (wal.start != reading.position) {
        return make_error(ErrorCode::kProtocol, fmt::format("WAL came at {} where {} belongs", format_lsn(wal.start),
                                                            format_lsn(reading.position)));
    }
    const std::string_view bytes = wal.bytes.substr(0, reading.stretch.to - reading.position);
    AETERNA_TRY(reading.each(reading.position, bytes));
    reading.position += bytes.size();
    return {};
}

Status WalDonor::send_status(Reading& reading, const env::Context& context) {
    reading.status_at = env_.clock.now();
    const Status sent = connection_->send(status_update({reading.position, 0, true}, env_.clock.wall_now()),
                                          env_.clock.within(kDonorTurn, context));
    return !sent && sent.error().code == ErrorCode::kTimeout ? Status() : sent;
}

Result<std::optional<Lsn>> WalDonor::first_kept(const WalHole& stretch, const env::Context& context) {
    const std::uint64_t bytes = node_.segment_bytes;
    const auto has = [&](std::uint64_t number) -> Result<bool> {
        const WalHole page{stretch.timeline, number * bytes, std::min(number * bytes + kWalPageBytes, stretch.to)};
        const Status read_it = read(
            page, [](Lsn, std::string_view) { return Status(); }, context);
        if (!read_it && read_it.error().code != ErrorCode::kNotFound) return read_it.error();
        return read_it.has_value();
    };
    // A server removes its oldest segments first.
    std::uint64_t low = (stretch.from + bytes - 1) / bytes, high = (stretch.to + bytes - 1) / bytes;
    const std::uint64_t none = high;
    while (low < high) {
        const std::uint64_t middle = low + (high - low) / 2;
        AETERNA_ASSIGN(const bool is_there, has(middle));
        if (is_there) high = middle;
        else low = middle + 1;
    }
    return low < none ? std::optional(low * bytes) : std::nullopt;
}

// ---------------------------------------------------------------------------------------------- WalProof

Status WalProof::add(std::string_view bytes) {
    const auto see = [this](const WalRecord&) { return has_record_ = true; };
    while (!bytes.empty()) {
        if (position_ < skip_to_) {
            const auto skipped = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), skip_to_ - position_));
            bytes.remove_prefix(skipped);
            position_ += skipped;
            if (position_ == skip_to_) records_ = WalRecordReader(skip_to_, segment_bytes_);
            continue;
        }
        AETERNA_ASSIGN(const bool goes_on, records_.add(bytes, see));
        bytes.remove_prefix(static_cast<std::size_t>(records_.position() - position_));
        position_ = records_.position();
        if (goes_on) continue;
        if (has_record_)
            return make_error(ErrorCode::kCorrupt, fmt::format("no record is at {}", format_lsn(position_)));
        // It begins in what a segment switch has left empty.
        skip_to_ = (position_ / segment_bytes_ + 1) * segment_bytes_;
    }
    return {};
}

}  // namespace aeterna::postgres
