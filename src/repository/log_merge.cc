// merge_log() of log_segments.h. Why no lock is needed: pieces never change, a piece goes only after one that contains it was
// durable, and "contains" has no circles. Whatever any number of merges remove, the largest pieces stay.
#include <fmt/format.h>

#include <algorithm>

#include "repository/log_merge_plan.h"
#include "repository/log_segments.h"

namespace aeterna::repository {
namespace {

class LogMerge {
  public:
    LogMerge(Repository& repository, const std::string& log, const env::Context& context)
        : repository_(repository), log_(log), context_(context) {}

    Result<std::size_t> run(LogGrowth growth) {
        AETERNA_ASSIGN(pieces_, list_pieces(repository_, log_, context_));
        if (pieces_.empty()) return std::size_t{0};
        AETERNA_TRY(mark_end());
        AETERNA_TRY(remove_contained());
        for (const MergeGroup& group : plan_merge(pieces_, growth == LogGrowth::kHasEnded)) AETERNA_TRY(merge(group));
        return gone_;
    }

  private:
    // Bytes that become one piece, as they are collected.
    struct Whole {
        std::uint64_t start = 0;
        std::string bytes;
        MergeGroup members;
        [[nodiscard]] std::uint64_t end() const { return start + bytes.size(); }
    };

    // The end is read anew: the piece that begins last need not reach furthest.
    Status mark_end() {
        const auto writer = LogWriter::open(repository_, log_, context_);
        if (!writer) return writer.error();
        if (!(*writer)->end()) return {};
        AETERNA_TRY(put_mark(repository_, log_, *(*writer)->end(), context_));
        // The log may have been removed meanwhile: a mark without it would be an end that was lost. A single piece may
        // be merged.
        const auto there = repository_.storage().stat(piece_name(log_, pieces_.back()), context_);
        if (there || there.error().code != ErrorCode::kNotFound) return {};
        AETERNA_ASSIGN(const auto left, list_pieces(repository_, log_, context_));
        return left.empty() ? remove_mark(repository_, log_, context_) : Status();
    }

    // What a merge left that died, or a writer that was late. The last piece is its writer's.
    Status remove_contained() {
        std::vector<LogPiece> rest;
        std::optional<LogPiece> holder;  // of the merged ones that begin no later, the one that reaches furthest
        auto next = pieces_.begin();
        for (const LogPiece& piece : pieces_) {
            for (; next != pieces_.end() && next->start <= piece.start; ++next) {
                if (next->end && (!holder || *next->end > *holder->end)) holder = *next;
            }
            const bool may_be_inside = holder && *holder != piece && holder->has(piece.start) && piece != pieces_.back();
            AETERNA_ASSIGN(const bool is_gone, may_be_inside ? remove_inside(*holder, piece) : Result<bool>(false));
            if (!is_gone) rest.push_back(piece);
        }
        pieces_ = std::move(rest);
        return {};
    }

    Result<bool> remove_inside(const LogPiece& holder, const LogPiece& piece) {
        std::optional<std::uint64_t> end = piece.end;
        if (!end) {
            AETERNA_ASSIGN(const auto bytes, read(piece));
            if (bytes) end = piece.start + bytes->size();
        }
        // A damaged one has nothing that the holder lacks.
        if (end && *end > *holder.end) return false;
        AETERNA_ASSIGN(const auto whole, read(holder));
        if (!whole) return false;
        AETERNA_TRY(remove(piece));
        return true;
    }

    Status merge(const MergeGroup& group) {
        Whole whole;
        for (const LogPiece& piece : group) {
            AETERNA_ASSIGN(const auto bytes, read(piece));
            const std::uint64_t end = piece.start + (bytes ? bytes->size() : 0);
            const bool goes_on = bytes && !whole.members.empty() && piece.start <= whole.end() &&
                                 end - whole.start <= kMostLogPiece;
            if (!goes_on) {
                AETERNA_TRY(finish(whole));
                whole = {};
            }
            if (!bytes) continue;
            if (whole.members.empty()) whole.start = piece.start;
            if (end > whole.end()) whole.bytes.append(*bytes, static_cast<std::size_t>(whole.end() - piece.start));
            whole.members.push_back(piece);
        }
        return finish(whole);
    }

    // An appended piece before a gap, too: then its name tells the next merge where it ends.
    Status finish(const Whole& whole) {
        if (whole.members.empty()) return {};
        if (whole.members.size() == 1 && whole.members.front().is_merged()) return {};
        const LogPiece merged{whole.start, whole.end()};
        const auto is_there = put_merged(repository_, log_, whole.start, bytes_of(whole.bytes), compressor_, context_);
        if (!is_there && is_there.error().code == ErrorCode::kCorrupt) return {};
        if (!is_there) return is_there.error();
        if (!*is_there) return {};
        for (const LogPiece& piece : whole.members) {
            if (piece != merged) AETERNA_TRY(remove(piece));
        }
        return {};
    }

    Status remove(const LogPiece& piece) {
        AETERNA_TRY(repository_.storage().remove(piece_name(log_, piece), context_));
        ++gone_;
        return {};
    }

    // Nothing when it is gone, or damaged: that is told by who needs it, and by a check.
    Result<std::optional<std::string>> read(const LogPiece& piece) {
        auto bytes = read_piece(repository_, log_, piece, context_);
        if (!bytes && bytes.error().code == ErrorCode::kCorrupt) return std::optional<std::string>();
        return bytes;
    }

    Repository& repository_;
    const std::string& log_;
    const env::Context& context_;
    std::vector<LogPiece> pieces_;
    std::size_t gone_ = 0;
    Compressor compressor_;
};

}  // namespace

Result<std::size_t> merge_log(Repository& repository, const std::string& name, LogGrowth growth,
                              const env::Context& context) {
    return LogMerge(repository, name, context).run(growth);
}

}  // namespace aeterna::repository
