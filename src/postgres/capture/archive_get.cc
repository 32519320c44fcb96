#include "postgres/capture/archive_get.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/strings.h"
#include "postgres/capture/archive_push.h"
#include "postgres/capture/segment_plan.h"
#include "postgres/capture/wal_logs.h"
#include "postgres/client/control_file.h"
#include "repository/log_segments.h"

namespace aeterna::postgres {
namespace {

// A file that gets its name only when it is complete.
class NewFile {
  public:
    NewFile(env::FileSystem& files, std::string path) : files_(files), path_(std::move(path)), part_(path_ + ".aeterna") {}
    ~NewFile() {
        if (file_) (void)files_.remove_file(part_);
    }
    NewFile(const NewFile&) = delete;
    NewFile& operator=(const NewFile&) = delete;

    Status append(std::string_view bytes) {
        if (!file_) {
            (void)files_.remove_file(part_);  // left by one that was killed
            AETERNA_ASSIGN(file_, files_.create(part_, 0600));
        }
        AETERNA_TRY(file_->write_at(size_, bytes));
        size_ += bytes.size();
        return {};
    }
    Status finish() {
        AETERNA_TRY(files_.rename_over(part_, path_));
        file_.reset();
        return {};
    }

  private:
    env::FileSystem& files_;
    std::string path_, part_;
    std::unique_ptr<env::OpenFile> file_;
    std::uint64_t size_ = 0;
};

// One request.
class Fetch {
  public:
    Fetch(repository::Repository& repository, env::FileSystem& files, const engine::ArchiveRequest& request,
          std::string system, std::uint64_t segment_bytes, const env::Context& context)
        : repository_(repository), request_(request), system_(std::move(system)), segment_bytes_(segment_bytes),
          context_(context), out_(files, request.into) {}

    Result<engine::ArchiveAnswer> history(Timeline timeline) {
        AETERNA_TRY(look_for_logs());
        AETERNA_ASSIGN(const auto origin, repository::read_origin(repository_, log_of(timeline), context_));
        std::optional<std::string> text = origin ? std::optional(origin->history) : std::nullopt;
        // Of one that nobody captured its descendants tell: without it recovery would end before them, and take its number again.
        if (!text) {
            AETERNA_ASSIGN(const auto descendant, newest_descendant(timeline));
            if (descendant) text = history_of_ancestor(descendant->history, timeline);
        }
        if (!text) return engine::ArchiveAnswer::kAbsent;
        AETERNA_TRY(out_.append(*text));
        AETERNA_TRY(out_.finish());
        return engine::ArchiveAnswer::kServed;
    }

    // Of which only [from, until) is to be seen.
    Result<engine::ArchiveAnswer> segment(const WalSegmentName& name, Lsn from, Lsn until) {
        AETERNA_TRY(look_for_logs());
        const std::string log = log_of(name.timeline);
        if (std::find(logs_.begin(), logs_.end(), log) == logs_.end()) return engine::ArchiveAnswer::kAbsent;
        SegmentFacts facts;
        facts.start = name.begin_lsn(segment_bytes_);
        facts.bytes = segment_bytes_;
        if (facts.start + facts.bytes <= from || facts.start >= until) return engine::ArchiveAnswer::kAbsent;
        const bool is_cut = until < facts.start + facts.bytes;
        // The end before the bytes: a log that grows meanwhile has no hole.
        AETERNA_ASSIGN(facts.log_end, is_cut ? Result<Lsn>(until) : end_of(log));
        AETERNA_ASSIGN(const auto own, repository::read_origin(repository_, log, context_));
        const auto origin = [&](const std::string& of) { return origin_of(of, own ? own->history : ""); };
        AETERNA_ASSIGN(const auto parts, plan_segment(log, facts.start, segment_bytes_, origin));
        if (parts.empty()) return engine::ArchiveAnswer::kAbsent;
        facts.has_to = facts.start;
        for (const SegmentPart& part : parts) {
            const SegmentPart seen{part.log, part.from, std::min(part.to, until)};
            if (seen.from < seen.to) AETERNA_TRY(copy(seen, facts.has_to));
            if (facts.has_to < part.to) break;
        }
        if (!is_cut && facts.has_to < facts.start + facts.bytes) {
            AETERNA_ASSIGN(const auto descendant, newest_descendant(name.timeline));
            if (descendant) facts.left_at = descendant->left_at;
        }
        return answer(facts, log);
    }

  private:
    [[nodiscard]] std::string log_of(Timeline timeline) const { return wal_log_name({system_, timeline}); }

    // A repository without any WAL of this cluster is the wrong one rather than one whose WAL has ended.
    Status look_for_logs() {
        AETERNA_ASSIGN(const auto all, list_wal_logs(repository_, context_));
        for (const WalLog& log : all) {
            if (log.system_identifier == system_) logs_.push_back(wal_log_name(log));
        }
        if (!logs_.empty()) return {};
        return make_error(ErrorCode::kNotFound,
                          fmt::format("the repository has no WAL of the cluster '{}'", system_),
                          "Check --repo; `backup watch` fills it.");
    }

    // Of its bytes; of its fork where it has none yet. kCorrupt when a mark says that there was more.
    Result<Lsn> end_of(const std::string& log) {
        // The mark first: the log may grow, and be merged, behind it.
        AETERNA_ASSIGN(const auto mark, repository::read_mark(repository_, log, context_));
        AETERNA_ASSIGN(const auto writer, repository::LogWriter::open(repository_, log, context_));
        AETERNA_ASSIGN(const auto origin, repository::read_origin(repository_, log, context_));
        const Lsn end = writer->end().value_or(origin ? origin->at : 0);
        if (mark && *mark > end) {
            return make_error(ErrorCode::kCorrupt, fmt::format("the log '{}' ends at {} and once reached {}", log,
                                                               format_lsn(end), format_lsn(*mark)),
                              "Its last pieces were lost: run `repo check`.");
        }
        return end;
    }

    // A parent that was left before anybody captured it has no origin of its own; the descendant's history tells it.
    Result<std::optional<repository::LogOrigin>> origin_of(const std::string& log, const std::string& descendant) {
        AETERNA_ASSIGN(auto origin, repository::read_origin(repository_, log, context_));
        const auto named = parse_wal_log_name(log);
        if (origin || !named) return origin;
        const auto history = history_of_ancestor(descendant, named->timeline);
        AETERNA_ASSIGN(const auto switches, parse_timeline_history(history.value_or(""), named->timeline));
        if (!switches.empty()) origin = repository::LogOrigin{log_of(switches.back().timeline), switches.back().at, *history};
        return origin;
    }

    struct Descendant {
        std::string history;
        Lsn left_at = 0;  // where it, or its ancestor, leaves the timeline in question
    };
    // The newest captured timeline that goes on from this one, over others or directly.
    Result<std::optional<Descendant>> newest_descendant(Timeline timeline) {
        std::optional<Descendant> newest;
        Timeline newest_timeline = timeline;
        for (const std::string& other : logs_) {
            const auto named = parse_wal_log_name(other);
            if (!named || named->timeline <= newest_timeline) continue;
            AETERNA_ASSIGN(const auto origin, repository::read_origin(repository_, other, context_));
            if (!origin) continue;
            AETERNA_ASSIGN(const auto switches, parse_timeline_history(origin->history, named->timeline));
            const auto past = std::find_if(switches.begin(), switches.end(), [&](const TimelineSwitch& one) { return one.timeline == timeline; });
            if (past == switches.end()) continue;
            newest = Descendant{origin->history, past->at};
            newest_timeline = named->timeline;
        }
        return newest;
    }

    Status copy(const SegmentPart& part, Lsn& has_to) {
        const auto each = [&](std::uint64_t, repository::Bytes bytes) -> Result<bool> {
            const std::size_t take = std::min<std::uint64_t>(bytes.size(), part.to - has_to);
            const std::string_view text(bytes.data(), take);
            if (header_.size() < kWalSegmentHeaderBytes) {
                header_ += text.substr(0, kWalSegmentHeaderBytes - header_.size());
            }
            AETERNA_TRY(out_.append(text));
            has_to += take;
            return has_to < part.to;
        };
        const auto read = repository::read_log(repository_, part.log, part.from, each, context_);
        if (!read && read.error().code != ErrorCode::kNotFound) return read.error();
        return {};
    }

    // A wrong --cluster or segment size would serve bytes of another place.
    Status check_header(Lsn start) const {
        const auto header = parse_wal_segment_header(header_);
        const bool fits = header && header->page_lsn == start && header->segment_bytes == segment_bytes_ &&
                          std::to_string(header->system_identifier) == system_;
        if (fits) return {};
        return make_error(ErrorCode::kCorrupt,
                          fmt::format("what the repository has at {} does not begin a segment of {} bytes of the cluster '{}'",
                                      format_lsn(start), segment_bytes_, system_),
                          "Check --wal-segment-size.");
    }

    Result<engine::ArchiveAnswer> answer(const SegmentFacts& facts, const std::string& log) {
        switch (judge_segment(facts)) {
            case SegmentVerdict::kAbsent:
            case SegmentVerdict::kForked: return engine::ArchiveAnswer::kAbsent;
            case SegmentVerdict::kHole:
                return make_error(ErrorCode::kPartial,
                                  fmt::format("the log '{}' lacks {}, and its history goes on up to {}", log,
                                              format_lsn(facts.has_to), format_lsn(std::max(facts.log_end, facts.left_at.value_or(0)))),
                                  "Nothing behind it can be restored from here: give an earlier target, or a later backup.");
            case SegmentVerdict::kLast: AETERNA_TRY(pad(facts.start + facts.bytes - facts.has_to)); break;
            case SegmentVerdict::kWhole: break;
        }
        AETERNA_TRY(check_header(facts.start));
        AETERNA_TRY(out_.finish());
        return engine::ArchiveAnswer::kServed;
    }

    // The server wants files of one size. Zeros are no record: recovery ends at the last whole one before them.
    Status pad(std::uint64_t missing) {
        const std::string zeros(1 << 20, '\0');
        while (missing > 0) {
            const std::size_t take = std::min<std::uint64_t>(missing, zeros.size());
            AETERNA_TRY(out_.append(std::string_view(zeros).substr(0, take)));
            missing -= take;
        }
        return {};
    }

    repository::Repository& repository_;
    const engine::ArchiveRequest& request_;
    const std::string system_;
    const std::uint64_t segment_bytes_;
    const env::Context& context_;
    NewFile out_;
    std::vector<std::string> logs_;
    std::string header_;  // of the segment's first page
};

class PostgresArchive final : public engine::Archive {
  public:
    PostgresArchive(const env::Env& env, env::FileSystem& files) : env_(env), files_(files) {}

    Result<engine::ArchiveAnswer> get(repository::Repository& repository, const engine::ArchiveRequest& request,
                                      const env::Context& context) override {
        const auto timeline = parse_history_file_name(request.file);
        const auto name = parse_wal_segment_name(request.file);
        // Backup history files and .partial segments are never kept.
        if (!timeline && !name) return engine::ArchiveAnswer::kAbsent;
        std::string system = request.cluster;
        std::uint64_t segment_bytes = request.segment_bytes;
        if (system.empty() || segment_bytes == 0) {
            const auto control = read_control(request.data_directory);
            if (!control && system.empty()) return control.error();
            if (system.empty()) system = control->system_identifier;
            if (segment_bytes == 0 && control) segment_bytes = control->segment_bytes;
        }
        if (segment_bytes == 0) segment_bytes = kDefaultSegmentBytes;
        const auto from = request.from.empty() ? Lsn{0} : parse_lsn(request.from);
        const auto until = request.until.empty() ? std::numeric_limits<Lsn>::max() : parse_lsn(request.until);
        if (!from || !until) {
            return make_error(ErrorCode::kUsage, fmt::format("'{}' is no position", one_line(from ? request.until : request.from)),
                              "Write it as PostgreSQL does: 0/3000148.");
        }
        Fetch fetch(repository, files_, request, system, segment_bytes, context);
        auto answer = timeline ? fetch.history(*timeline) : fetch.segment(*name, *from, *until);
        // A standby asks again and looks elsewhere; it never takes this for the end.
        const bool is_standby = env_.files.exists(request.data_directory + "/standby.signal");
        if (!answer && is_standby && answer.error().code == ErrorCode::kPartial) return engine::ArchiveAnswer::kAbsent;
        return answer;
    }

    Status push(repository::Repository& repository, const engine::ArchivePush& request,
                const env::Context& context) override {
        return push_to_archive(repository, env_, request, context);
    }

  private:
    Result<ControlFile> read_control(const std::string& data_directory) {
        return read_control_of(env_.files, data_directory, "Run it in the data directory, as restore_command is, or add --cluster.");
    }

    const env::Env& env_;
    env::FileSystem& files_;
};

}  // namespace

std::unique_ptr<engine::Archive> make_archive(const env::Env& env, env::FileSystem& files) {
    return std::make_unique<PostgresArchive>(env, files);
}

}  // namespace aeterna::postgres
