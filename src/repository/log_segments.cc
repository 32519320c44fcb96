#include "repository/log_segments.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/json.h"
#include "repository/log_ends.h"
#include "repository/log_pieces.h"

namespace aeterna::repository {
namespace {

constexpr std::string_view kLogs = "logs/", kMark = "mark", kOrigin = "origin";
constexpr std::size_t kMostHistoryBytes = 1 << 20;
// A reader that loses a race with a merge looks again; a merge takes longer than a look.
constexpr int kMostLooks = 100;

Error outrun(const std::string& name) {
    return make_error(ErrorCode::kUnavailable, fmt::format("the log '{}' is merged faster than it can be read", name));
}

// An appended one, that is: what a merged one held cannot be put again under another name.
bool is_damaged(const LogPiece& piece, const Error& error) { return !piece.is_merged() && error.code == ErrorCode::kCorrupt; }

// Reads on through the pieces of one listing.
class LogReader {
  public:
    using Each = std::function<Result<bool>(std::uint64_t, Bytes)>;
    LogReader(Repository& repository, const std::string& name, std::uint64_t from, const Each& each,
              const env::Context& context)
        : repository_(repository), name_(name), position_(from), each_(each), context_(context) {}

    // A piece that was listed and is gone is in a merged one by now, which this look does not know.
    Result<std::uint64_t> run() {
        const std::uint64_t from = position_;
        for (int looks = 0; looks < kMostLooks; ++looks) {
            is_outdated_ = false;
            AETERNA_TRY(look());
            if (!is_over_ && !is_outdated_) AETERNA_TRY(look_for_merged());
            if (!is_over_ && is_outdated_) continue;
            if (has_begun_) return position_;
            return make_error(ErrorCode::kNotFound, fmt::format("the log '{}' does not have position {}", name_, from));
        }
        return outrun(name_);
    }

  private:
    using Pieces = std::vector<LogPiece>;

    Status look() {
        AETERNA_ASSIGN(const Pieces pieces, list_pieces(repository_, name_, context_));
        AETERNA_ASSIGN(auto next, find_holder(pieces));
        for (; next != pieces.end() && next->start <= position_; ++next) {
            if (next->end.value_or(position_ + 1) <= position_) continue;
            const auto piece_there = read(*next);
            // Its bytes have been put again, under a name that says their end.
            const bool is_replaced = !piece_there && is_damaged(*next, piece_there.error()) &&
                                     std::any_of(pieces.begin(), pieces.end(), [&](const LogPiece& other) { return other.has(position_); });
            if (is_replaced) continue;
            AETERNA_ASSIGN(const auto piece, piece_there);
            if (!piece || next->start + piece->size() <= position_) continue;
            const Bytes rest = bytes_of(*piece).subspan(static_cast<std::size_t>(position_ - next->start));
            has_begun_ = true;
            AETERNA_ASSIGN(const bool goes_on, each_(position_, rest));
            position_ += rest.size();
            if (!goes_on) {
                is_over_ = true;
                return {};
            }
        }
        return {};
    }

    // The piece that holds the position, or the end. Merged ones say so by their names.
    Result<Pieces::const_iterator> find_holder(const Pieces& pieces) {
        const auto behind =
            std::find_if(pieces.begin(), pieces.end(), [&](const LogPiece& piece) { return piece.start > position_; });
        for (auto next = behind; next != pieces.begin();) {
            if ((--next)->has(position_)) return next;
        }
        std::optional<Error> damage;
        for (auto next = behind; next != pieces.begin();) {
            --next;
            if (position_ - next->start >= kMostLogPiece) break;
            if (next->is_merged()) continue;
            const auto piece = read(*next);
            if (!piece && !is_damaged(*next, piece.error())) return piece.error();
            if (!piece) damage = piece.error();
            else if (*piece && next->start + (*piece)->size() > position_) return next;
        }
        if (damage) return *damage;
        return pieces.end();
    }

    // A merge while the storage was listing may hide what it replaced together with what it made; the next list has it.
    Status look_for_merged() {
        AETERNA_ASSIGN(const Pieces pieces, list_pieces(repository_, name_, context_));
        is_outdated_ =
            std::any_of(pieces.begin(), pieces.end(), [&](const LogPiece& piece) { return piece.has(position_); });
        return {};
    }

    Result<std::optional<std::string>> read(const LogPiece& piece) {
        auto bytes = read_piece(repository_, name_, piece, context_);
        if (bytes && !*bytes) is_outdated_ = true;
        return bytes;
    }

    Repository& repository_;
    const std::string& name_;
    std::uint64_t position_;
    const Each& each_;
    const env::Context& context_;
    bool has_begun_ = false, is_over_ = false, is_outdated_ = false;
};

// Nothing when it is gone.
Result<std::optional<std::uint64_t>> end_of_piece(Repository& repository, const std::string& name,
                                                  const LogPiece& piece, LogReading reading,
                                                  const env::Context& context) {
    if (piece.end && reading == LogReading::kNames) return piece.end;
    AETERNA_ASSIGN(const auto bytes, read_piece(repository, name, piece, context));
    return bytes ? std::optional(piece.start + bytes->size()) : std::nullopt;
}

Error taken(const std::string& name) {
    return make_error(ErrorCode::kLocked, fmt::format("another writer appends to the log '{}'", name),
                      "End the other one; a log has one writer.");
}

// Where a damaged piece has the name: one that says the end. Whoever comes second finds the first one's.
Status put_beside(Repository& repository, const std::string& name, std::uint64_t position, Bytes bytes, Compressor& compressor,
                  const env::Context& context) {
    const LogPiece wanted{position, position + bytes.size()};
    AETERNA_ASSIGN(const auto pieces, list_pieces(repository, name, context));
    const bool is_taken = std::any_of(pieces.begin(), pieces.end(), [&](const LogPiece& piece) {
        return piece.is_merged() && piece.start == position && piece != wanted;
    });
    if (is_taken) return taken(name);
    AETERNA_ASSIGN(const bool is_there, put_merged(repository, name, position, bytes, compressor, context));
    return is_there ? Status() : taken(name);
}

Status put_appended(Repository& repository, const std::string& name, std::uint64_t position, Bytes bytes,
                    Compressor& compressor, const env::Context& context) {
    const std::string object_name = piece_name(name, {position, std::nullopt});
    const std::string object = seal_as(repository, object_name, bytes, compressor);
    const Status put = repository.storage().put(object_name, bytes_of(object), PutMode::kIfAbsent, context);
    if (put) return {};
    // It may be ours, arrived without an answer.
    const bool may_be_ours = put.error().effect == Effect::kUnknown || put.error().code == ErrorCode::kAlreadyExists;
    if (!may_be_ours) return put;
    const auto found = find_durable(repository.storage(), object_name, context);
    const auto there = found && *found ? read_object(repository.storage(), object_name, kMostPieceObject, context)
                                       : Result<std::string>(put.error());
    if (there && *there == object) return {};
    if (put.error().code != ErrorCode::kAlreadyExists) return put;
    const auto readable = read_piece(repository, name, {position, std::nullopt}, context);
    if (readable || readable.error().code != ErrorCode::kCorrupt) return taken(name);
    return put_beside(repository, name, position, bytes, compressor, context);
}

}  // namespace

Result<std::vector<std::string>> list_logs(Repository& repository, const env::Context& context) {
    std::set<std::string> names;
    AETERNA_TRY(repository.storage().list(
        std::string(kLogs),
        [&](const ObjectInfo& object) {
            const std::string_view rest = std::string_view(object.name).substr(kLogs.size());
            names.emplace(rest.substr(0, rest.find('/')));
            return true;
        },
        context));
    return std::vector<std::string>(names.begin(), names.end());
}

Result<std::unique_ptr<LogWriter>> LogWriter::open(Repository& repository, const std::string& name,
                                                   const env::Context& context) {
    for (int looks = 0; looks < kMostLooks; ++looks) {
        std::unique_ptr<LogWriter> writer(new LogWriter(repository, name));
        AETERNA_ASSIGN(const auto pieces, list_pieces(repository, name, context));
        std::optional<LogPiece> last;  // of the appended ones
        for (const LogPiece& piece : pieces) {
            if (piece.end) writer->end_ = std::max(writer->end_.value_or(0), *piece.end);
            else last = piece;
        }
        if (!last || last->start + kMostLogPiece <= writer->end_.value_or(0)) return writer;
        const auto bytes = read_piece(repository, name, *last, context);
        // Where it begins: from there on the bytes can be had from the server, as long as it has them.
        const bool is_lost = !bytes && is_damaged(*last, bytes.error());
        if (!bytes && !is_lost) return bytes.error();
        if (bytes && !*bytes) continue;
        writer->end_ = std::max(writer->end_.value_or(0), last->start + (is_lost ? 0 : (*bytes)->size()));
        return writer;
    }
    return outrun(name);
}

Status LogWriter::append(std::uint64_t position, Bytes bytes, const env::Context& context) {
    if (end_ && position < *end_) {
        return make_error(ErrorCode::kGuardRefused,
                          fmt::format("the log '{}' has position {} already: its end is {}", name_, position, *end_));
    }
    if (bytes.size() > kMostLogPiece) {
        const std::size_t half = bytes.size() / 2;
        AETERNA_TRY(append(position, bytes.first(half), context));
        return append(position + half, bytes.subspan(half), context);
    }
    if (bytes.empty()) return {};
    AETERNA_TRY(put_appended(repository_, name_, position, bytes, compressor_, context));
    end_ = position + bytes.size();
    return {};
}

Status fill_log(Repository& repository, const std::string& name, std::uint64_t position, Bytes bytes,
                const env::Context& context) {
    Compressor compressor;
    while (!bytes.empty()) {
        const std::size_t taken = std::min(bytes.size(), kMostLogPiece);
        AETERNA_TRY(put_appended(repository, name, position, bytes.first(taken), compressor, context));
        position += taken;
        bytes = bytes.subspan(taken);
    }
    return {};
}

Result<std::uint64_t> read_log(Repository& repository, const std::string& name, std::uint64_t from,
                               const std::function<Result<bool>(std::uint64_t, Bytes)>& each,
                               const env::Context& context) {
    return LogReader(repository, name, from, each, context).run();
}

Result<std::optional<std::uint64_t>> read_mark(Repository& repository, const std::string& name,
                                               const env::Context& context) {
    AETERNA_ASSIGN(const auto text, read_sealed(repository, log_prefix(name) + std::string(kMark), context));
    if (!text) return std::optional<std::uint64_t>();
    const auto position = parse_hex64(*text);
    if (!position) return make_error(ErrorCode::kCorrupt, fmt::format("the mark of the log '{}' is damaged", name));
    return position;
}

Status put_origin(Repository& repository, const std::string& name, const LogOrigin& origin,
                  const env::Context& context) {
    if (origin.history.size() > kMostHistoryBytes) {
        return make_error(ErrorCode::kUsage, fmt::format("the history of the log '{}' is too long", name));
    }
    const std::string object_name = log_prefix(name) + std::string(kOrigin);
    const Json document{
        {"version", 1}, {"log", origin.log}, {"at", hex64(origin.at)}, {"history", base64_encode(origin.history)}};
    Compressor compressor;
    const std::string object = seal_as(repository, object_name, bytes_of(dump_json(document)), compressor);
    const Status put = repository.storage().put(object_name, bytes_of(object), PutMode::kIfAbsent, context);
    if (put || (put.error().code != ErrorCode::kAlreadyExists && put.error().effect != Effect::kUnknown)) return put;
    const auto found = find_durable(repository.storage(), object_name, context);
    if (!found || !*found) return put;
    AETERNA_ASSIGN(const auto there, read_origin(repository, name, context));
    if (!there) return put;
    if (*there == origin) return {};
    return make_error(ErrorCode::kGuardRefused, fmt::format("the log '{}' goes on from '{}' already, not from '{}'",
                                                            name, there->log, origin.log));
}

Result<std::optional<LogOrigin>> read_origin(Repository& repository, const std::string& name,
                                             const env::Context& context) {
    AETERNA_ASSIGN(const auto text, read_sealed(repository, log_prefix(name) + std::string(kOrigin), context));
    if (!text) return std::optional<LogOrigin>();
    AETERNA_ASSIGN(const Json document, parse_json(*text, fmt::format("the origin of the log '{}'", name)));
    const auto log = find_string(document, "log");
    const auto at = parse_hex64(find_string(document, "at").value_or(""));
    const auto history = base64_decode(find_string(document, "history").value_or("-"));
    if (!log || !at || !history) {
        return make_error(ErrorCode::kCorrupt, fmt::format("the origin of the log '{}' is damaged", name));
    }
    return std::optional<LogOrigin>({*log, *at, *history});
}

namespace {

// `ends` is what is known of appended pieces, and then of those that are there.
Result<std::vector<LogRange>> find_ranges(Repository& repository, const std::string& name, LogReading reading,
                                          LogEnds::Ends& ends, const env::Context& context) {
    for (int looks = 0; looks < kMostLooks; ++looks) {
        AETERNA_ASSIGN(auto pieces, list_pieces(repository, name, context));
        // What a merge hid from the first list is in the second.
        AETERNA_ASSIGN(const auto again, list_pieces(repository, name, context));
        pieces.insert(pieces.end(), again.begin(), again.end());
        std::sort(pieces.begin(), pieces.end());
        pieces.erase(std::unique(pieces.begin(), pieces.end()), pieces.end());
        std::vector<LogRange> ranges;
        LogEnds::Ends seen;
        bool is_outdated = false;
        for (const LogPiece& piece : pieces) {
            const auto before = piece.is_merged() ? ends.end() : ends.find(piece.start);
            std::optional<std::uint64_t> known;
            if (before != ends.end()) {
                known = before->second;
            } else {
                const auto end = end_of_piece(repository, name, piece, reading, context);
                const bool is_hole = !end && reading == LogReading::kNames && is_damaged(piece, end.error());
                if (is_hole) continue;
                if (!end) {  // what was learned so far need not be read again
                    ends.insert(seen.begin(), seen.end());
                    return end.error();
                }
                known = *end;
            }
            is_outdated = is_outdated || !known;
            if (!known) continue;
            const std::uint64_t end = *known;
            if (!piece.is_merged()) seen.emplace(piece.start, end);
            if (ranges.empty() || piece.start > ranges.back().to) ranges.push_back({piece.start, end});
            else ranges.back().to = std::max(ranges.back().to, end);
        }
        ends = std::move(seen);
        if (!is_outdated) return ranges;
    }
    return outrun(name);
}

}  // namespace

Result<std::vector<LogRange>> log_ranges(Repository& repository, const std::string& name, LogReading reading,
                                         const env::Context& context) {
    LogEnds::Ends ends;
    return find_ranges(repository, name, reading, ends, context);
}

Result<std::vector<LogRange>> LogEnds::ranges(Repository& repository, const std::string& name,
                                              const env::Context& context) {
    return find_ranges(repository, name, LogReading::kNames, logs_[name], context);
}

Result<std::size_t> trim_log(Repository& repository, const std::string& name, std::uint64_t before,
                             const env::Context& context) {
    AETERNA_ASSIGN(const auto pieces, list_pieces(repository, name, context));
    std::size_t gone = 0;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
        const LogPiece& piece = pieces[i];
        if (piece.start >= before || i + 1 == pieces.size()) break;  // the last one says where the log ends
        std::optional<std::uint64_t> end = piece.end;
        if (!end) {
            const auto bytes = read_piece(repository, name, piece, context);
            // One that nobody can read must not stay for ever, and every trim with it.
            const bool is_damaged = !bytes && bytes.error().code == ErrorCode::kCorrupt;
            if (!bytes && !is_damaged) return bytes.error();
            if (is_damaged) end = pieces[i + 1].start;
            else if (!*bytes) continue;
            else end = piece.start + (*bytes)->size();
        }
        if (*end > before) continue;
        AETERNA_TRY(repository.storage().remove(piece_name(name, piece), context));
        ++gone;
    }
    return gone;
}

Status put_mark(Repository& repository, const std::string& name, std::uint64_t end, const env::Context& context) {
    AETERNA_ASSIGN(const auto before, read_mark(repository, name, context));
    if (before && *before >= end) return {};
    const std::string object_name = log_prefix(name) + std::string(kMark);
    Compressor compressor;
    const std::string object = seal_as(repository, object_name, bytes_of(hex64(end)), compressor);
    return repository.storage().put(object_name, bytes_of(object), PutMode::kOverwrite, context);
}

Status remove_mark(Repository& repository, const std::string& name, const env::Context& context) {
    return repository.storage().remove(log_prefix(name) + std::string(kMark), context);
}

// The mark first: without it a log that is half gone is no damage. And last: a merge may have put it again meanwhile.
Result<std::size_t> remove_log(Repository& repository, const std::string& name, const env::Context& context) {
    AETERNA_TRY(remove_mark(repository, name, context));
    AETERNA_ASSIGN(const auto pieces, list_pieces(repository, name, context));
    for (const LogPiece& piece : pieces) {
        AETERNA_TRY(repository.storage().remove(piece_name(name, piece), context));
    }
    AETERNA_TRY(remove_mark(repository, name, context));
    return pieces.size();
}

}  // namespace aeterna::repository
