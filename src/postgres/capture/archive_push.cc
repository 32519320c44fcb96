#include "postgres/capture/archive_push.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/paths.h"
#include "postgres/capture/segment_plan.h"
#include "postgres/capture/wal_logs.h"
#include "postgres/client/control_file.h"
#include "repository/log_segments.h"

namespace aeterna::postgres {
namespace {

constexpr std::size_t kMostSegmentBytes = 1 << 30;  // initdb's own limit
constexpr int kAttempts = 5;                        // against a receiver that appends at the same time

class Push {
  public:
    Push(repository::Repository& repository, const env::Env& env, const engine::ArchivePush& request,
         const env::Context& context)
        : repository_(repository), env_(env), request_(request), context_(context) {}

    Status run() {
        const auto timeline = parse_history_file_name(request_.file);
        const auto segment = parse_wal_segment_name(request_.file);
        // Backup history files say what base backups know; what a partial segment has, the next timeline's first one
        // has.
        if (!timeline && !segment) return is_known_extra() ? Status() : Status(not_a_file_of_wal());
        AETERNA_TRY(read_control());
        if (!request_.accepts_new_cluster) {
            AETERNA_TRY(require_known_cluster(repository_, system_, request_.file, context_));
        }
        if (timeline) {
            AETERNA_ASSIGN(const std::string text, env_.files.read(request_.from, kMostHistoryBytes));
            return put_history(*timeline, text);
        }
        AETERNA_ASSIGN(const std::string bytes, env_.files.read(request_.from, kMostSegmentBytes));
        AETERNA_ASSIGN(const Lsn start, check_segment(*segment, bytes));
        return put_segment(segment->timeline, start, bytes);
    }

  private:
    [[nodiscard]] bool is_known_extra() const {
        return parse_wal_segment_name(std::string_view(request_.file).substr(0, 24)) &&
               (request_.file.ends_with(".backup") || request_.file.ends_with(".partial"));
    }
    [[nodiscard]] Error not_a_file_of_wal() const {
        return make_error(ErrorCode::kUsage, fmt::format("'{}' is no name of a WAL file", request_.file),
                          "Write archive-push %p %f, in this order.");
    }

    // Of the server that runs us: a segment of another cluster, left by a copy, must not get into this one's log.
    Status read_control() {
        AETERNA_ASSIGN(
            const ControlFile control,
            read_control_of(env_.files, request_.data_directory,
                            "Run it in the data directory, as archive_command is, or name it (--data-directory)."));
        system_ = control.system_identifier;
        return {};
    }

    [[nodiscard]] std::string log_of(Timeline timeline) const { return wal_log_name({system_, timeline}); }

    // What the file says of itself: a half-written, recycled or foreign one is not what its name promises.
    Result<Lsn> check_segment(const WalSegmentName& name, std::string_view bytes) const {
        const auto bad = [&](const std::string& why) {
            return make_error(ErrorCode::kGuardRefused, fmt::format("'{}' {}", request_.file, why),
                              "It is not archived: look at the server's pg_wal.");
        };
        const auto header = parse_wal_segment_header(bytes);
        if (!header) return bad("does not begin as a WAL segment does");
        if (std::to_string(header->system_identifier) != system_) {
            return bad(fmt::format("is of the cluster '{}', not of '{}'", header->system_identifier, system_));
        }
        if (bytes.size() != header->segment_bytes) {
            return bad(fmt::format("has {} bytes in place of {}", bytes.size(), header->segment_bytes));
        }
        const Lsn start = name.begin_lsn(header->segment_bytes);
        if (header->page_lsn != start) return bad(fmt::format("holds the WAL at {}", format_lsn(header->page_lsn)));
        if (header->timeline > name.timeline) return bad(fmt::format("is of timeline {}", header->timeline));
        return start;
    }

    Status put_history(Timeline timeline, const std::string& text) {
        return put_timeline_history(repository_, {system_, timeline}, text, context_);
    }

    // The history before the first byte of a timeline. The server archives it first; where it did not, it lies beside.
    Status need_history(Timeline timeline) {
        AETERNA_ASSIGN(const auto origin, repository::read_origin(repository_, log_of(timeline), context_));
        if (origin || timeline <= 1) return {};
        const auto text = env_.files.read(beside(history_file_name(timeline)), kMostHistoryBytes);
        if (text) return put_history(timeline, *text);
        if (text.error().code != ErrorCode::kNotFound) return text.error();
        return make_error(ErrorCode::kPartial,
                          fmt::format("the history of timeline {} is not in the repository", timeline),
                          "Push its .history file first.");
    }

    [[nodiscard]] std::string beside(const std::string& name) const { return parent_of(request_.from) + "/" + name; }

    // Up to a fork its bytes are the parent's: they end the parent's log, where they are still missing.
    Status put_segment(Timeline timeline, Lsn start, std::string_view bytes) {
        AETERNA_TRY(need_history(timeline));
        const auto origin = [&](const std::string& of) { return repository::read_origin(repository_, of, context_); };
        AETERNA_ASSIGN(const auto parts, plan_segment(log_of(timeline), start, bytes.size(), origin));
        for (const SegmentPart& part : parts) {
            AETERNA_TRY(fill_before(part, start, bytes.size()));
            AETERNA_TRY(put_part(part, bytes.substr(part.from - start, part.to - part.from)));
        }
        return {};
    }

    // What the log lacks before this segment and the server still has: later nobody could put it there.
    Status fill_before(const SegmentPart& part, Lsn start, std::uint64_t segment_bytes) {
        const auto log = parse_wal_log_name(part.log);
        AETERNA_ASSIGN(const auto writer, repository::LogWriter::open(repository_, part.log, context_));
        if (!log || !writer->end() || *writer->end() >= part.from) return {};
        for (Lsn at = *writer->end() / segment_bytes * segment_bytes; at < start; at += segment_bytes) {
            const std::string name = wal_segment_name(log->timeline, at, segment_bytes);
            const auto earlier = env_.files.read(beside(name), kMostSegmentBytes);
            if (!earlier || !check_segment(*parse_wal_segment_name(name), *earlier)) continue;
            const Lsn from = std::max(at, *writer->end());
            AETERNA_TRY(put_part({part.log, from, at + segment_bytes}, std::string_view(*earlier).substr(from - at)));
        }
        return {};
    }

    Status put_part(const SegmentPart& part, std::string_view bytes) {
        for (int attempt = 1;; ++attempt) {
            AETERNA_ASSIGN(const auto writer, repository::LogWriter::open(repository_, part.log, context_));
            const Lsn there = std::clamp(writer->end().value_or(part.from), part.from, part.to);
            if (there > part.from) AETERNA_TRY(complete(part, bytes.substr(0, there - part.from)));
            if (there == part.to) return {};
            const Status put = writer->append(there, repository::bytes_of(bytes.substr(there - part.from)), context_);
            const bool was_first =
                !put && (put.error().code == ErrorCode::kLocked || put.error().code == ErrorCode::kGuardRefused);
            if (!was_first || attempt == kAttempts) return put;
        }
    }

    // What the log has of it must be the same; a hole in between gets what it lacks.
    Status complete(const SegmentPart& part, std::string_view bytes) {
        const Lsn end = part.from + bytes.size();
        for (Lsn at = part.from; at < end;) {
            AETERNA_ASSIGN(at, compare(part, at, bytes));
            if (at >= end) break;
            AETERNA_ASSIGN(const auto ranges,
                           repository::log_ranges(repository_, part.log, repository::LogReading::kNames, context_));
            const auto behind =
                std::find_if(ranges.begin(), ranges.end(), [&](const auto& range) { return range.from > at; });
            const Lsn to = behind == ranges.end() ? end : std::min(end, behind->from);
            AETERNA_TRY(repository::fill_log(repository_, part.log, at,
                                             repository::bytes_of(bytes.substr(at - part.from, to - at)), context_));
            at = to;
        }
        return {};
    }

    // The first byte from `from` on that the log does not have.
    Result<Lsn> compare(const SegmentPart& part, Lsn from, std::string_view bytes) {
        Lsn at = from;
        bool is_same = true;
        const auto each = [&](std::uint64_t, repository::Bytes piece) -> Result<bool> {
            const std::size_t take = std::min<std::uint64_t>(piece.size(), bytes.size() - (at - part.from));
            is_same = is_same && std::string_view(piece.data(), take) == bytes.substr(at - part.from, take);
            at += take;
            return is_same && at - part.from < bytes.size();
        };
        const auto read = repository::read_log(repository_, part.log, from, each, context_);
        if (!read && read.error().code != ErrorCode::kNotFound) return read.error();
        if (is_same) return at;
        return make_error(
            ErrorCode::kGuardRefused,
            fmt::format("the repository has other WAL than '{}' in the log '{}'", request_.file, part.log),
            "Two servers write the same timeline: find out which one is right before either is archived.");
    }

    repository::Repository& repository_;
    const env::Env& env_;
    const engine::ArchivePush& request_;
    const env::Context& context_;
    std::string system_;
};

}  // namespace

Status push_to_archive(repository::Repository& repository, const env::Env& env, const engine::ArchivePush& request,
                       const env::Context& context) {
    return Push(repository, env, request, context).run();
}

}  // namespace aeterna::postgres
