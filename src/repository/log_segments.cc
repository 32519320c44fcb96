#include "repository/log_segments.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/json.h"

namespace aeterna::repository {
namespace {

constexpr std::string_view kLogs = "logs/", kMark = "mark", kOrigin = "origin";
constexpr std::size_t kMostHistoryBytes = 1 << 20;
// A reader that loses a race with a merge looks again; a merge takes longer than a look.
constexpr int kMostLooks = 100;
constexpr std::size_t kMostObjectBytes = kMostLogPiece + 4096;

std::string log_prefix(const std::string& name) { return fmt::format("{}{}/", kLogs, name); }
std::string piece_name(const std::string& name, std::uint64_t start) {
    return log_prefix(name) + hex64(start);
}

// In order.
Result<std::vector<std::uint64_t>> list_pieces(Repository& repository, const std::string& name,
                                               const env::Context& context) {
    const std::string prefix = log_prefix(name);
    std::vector<std::uint64_t> starts;
    AETERNA_TRY(repository.storage().list(
        prefix,
        [&](const ObjectInfo& object) {
            if (const auto start = parse_hex64(std::string_view(object.name).substr(prefix.size()))) {
                starts.push_back(*start);
            }
            return true;
        },
        context));
    return starts;
}

// Nothing when it is not there.
Result<std::optional<std::string>> read_sealed(Repository& repository, const std::string& object_name,
                                               const env::Context& context) {
    Compressor compressor;
    while (true) {
        const auto object = read_object(repository.storage(), object_name, kMostObjectBytes, context);
        if (!object && object.error().code == ErrorCode::kNotFound) return std::optional<std::string>();
        auto plain = object ? open_object(EntryType::kLogPiece, object_name, bytes_of(*object), repository.keys(), compressor)
                            : Result<std::string>(object.error());
        if (plain) return std::optional(std::move(*plain));
        if (plain.error().code != ErrorCode::kCorrupt || !object) return plain.error();
        // A merge may have put a longer one in its place between the look at its length and the reading.
        const auto now = repository.storage().stat(object_name, context);
        if (now && now->bytes == object->size()) return plain.error();
    }
}

// Nothing when it is gone: merged into an earlier one meanwhile.
Result<std::optional<std::string>> read_piece(Repository& repository, const std::string& name, std::uint64_t start,
                                              const env::Context& context) {
    return read_sealed(repository, piece_name(name, start), context);
}

std::string seal_as(Repository& repository, const std::string& object_name, Bytes bytes, Compressor& compressor) {
    return seal_object(EntryType::kLogPiece, object_name, bytes, repository.keys(),
                       random_name(repository.ports().random), compressor);
}

std::string seal_piece(Repository& repository, const std::string& name, std::uint64_t start, Bytes bytes,
                       Compressor& compressor) {
    return seal_as(repository, piece_name(name, start), bytes, compressor);
}

Error outrun(const std::string& name) {
    return make_error(ErrorCode::kUnavailable, fmt::format("the log '{}' is merged faster than it can be read", name));
}

// Reads on through the pieces of one listing.
class LogReader {
  public:
    using Each = std::function<Result<bool>(std::uint64_t, Bytes)>;
    LogReader(Repository& repository, const std::string& name, std::uint64_t from, const Each& each,
              const env::Context& context)
        : repository_(repository), name_(name), position_(from), each_(each), context_(context) {}

    // A piece that was listed and is gone was merged into an earlier one, which this look has perhaps passed: then the
    // log goes on there although nothing here does.
    Result<std::uint64_t> run() {
        const std::uint64_t from = position_;
        for (int looks = 0; looks < kMostLooks; ++looks) {
            is_outdated_ = false;
            AETERNA_TRY(look());
            if (!is_over_ && is_outdated_) continue;
            if (has_begun_) return position_;
            return make_error(ErrorCode::kNotFound, fmt::format("the log '{}' does not have position {}", name_, from));
        }
        return outrun(name_);
    }

  private:
    Status look() {
        AETERNA_ASSIGN(const auto starts, list_pieces(repository_, name_, context_));
        AETERNA_ASSIGN(auto next, find_holder(starts));
        for (; next != starts.end() && *next <= position_; ++next) {
            AETERNA_ASSIGN(const auto piece, read(*next));
            if (!piece || *next + piece->size() <= position_) continue;
            const Bytes rest = bytes_of(*piece).subspan(static_cast<std::size_t>(position_ - *next));
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

    // The piece that holds the position, or the end. It is the last one that begins at or before it, unless a merge
    // died: then an earlier, merged one may reach further.
    Result<std::vector<std::uint64_t>::const_iterator> find_holder(const std::vector<std::uint64_t>& starts) {
        for (auto next = std::upper_bound(starts.begin(), starts.end(), position_); next != starts.begin();) {
            --next;
            if (position_ - *next >= kMostLogPiece) break;
            AETERNA_ASSIGN(const auto piece, read(*next));
            if (piece && *next + piece->size() > position_) return next;
        }
        return starts.end();
    }

    Result<std::optional<std::string>> read(std::uint64_t start) {
        auto piece = read_piece(repository_, name_, start, context_);
        if (piece && !*piece) is_outdated_ = true;
        return piece;
    }

    Repository& repository_;
    const std::string& name_;
    std::uint64_t position_;
    const Each& each_;
    const env::Context& context_;
    bool has_begun_ = false, is_over_ = false, is_outdated_ = false;
};

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
    std::unique_ptr<LogWriter> writer(new LogWriter(repository, name));
    AETERNA_ASSIGN(const auto starts, list_pieces(repository, name, context));
    if (starts.empty()) return writer;
    AETERNA_ASSIGN(const auto last, read_piece(repository, name, starts.back(), context));
    if (!last) return make_error(ErrorCode::kUnavailable, fmt::format("the log '{}' is being trimmed", name));
    writer->end_ = starts.back() + last->size();
    return writer;
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
    const std::string object_name = piece_name(name_, position);
    const std::string object = seal_piece(repository_, name_, position, bytes, compressor_);
    const Status put = repository_.storage().put(object_name, bytes_of(object), PutMode::kIfAbsent, context);
    if (!put) {
        // It may be ours, arrived without an answer.
        const bool may_be_ours = put.error().effect == Effect::kUnknown || put.error().code == ErrorCode::kAlreadyExists;
        if (!may_be_ours) return put;
        const auto found = find_durable(repository_.storage(), object_name, context);
        const auto there = found && *found ? read_object(repository_.storage(), object_name, kMostObjectBytes, context)
                                           : Result<std::string>(put.error());
        if (!there || *there != object) {
            if (put.error().code != ErrorCode::kAlreadyExists) return put;
            return make_error(ErrorCode::kLocked, fmt::format("another writer appends to the log '{}'", name_),
                              "End the other one; a log has one writer.");
        }
    }
    end_ = position + bytes.size();
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
    const Json document{{"version", 1}, {"log", origin.log}, {"at", hex64(origin.at)},
                        {"history", base64_encode(origin.history)}};
    Compressor compressor;
    const std::string object = seal_as(repository, object_name, bytes_of(dump_json(document)), compressor);
    const Status put = repository.storage().put(object_name, bytes_of(object), PutMode::kIfAbsent, context);
    if (put || (put.error().code != ErrorCode::kAlreadyExists && put.error().effect != Effect::kUnknown)) return put;
    const auto found = find_durable(repository.storage(), object_name, context);
    if (!found || !*found) return put;
    AETERNA_ASSIGN(const auto there, read_origin(repository, name, context));
    if (!there) return put;
    if (*there == origin) return {};
    return make_error(ErrorCode::kGuardRefused,
                      fmt::format("the log '{}' goes on from '{}' already, not from '{}'", name, there->log, origin.log));
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

Result<std::vector<LogRange>> log_ranges(Repository& repository, const std::string& name,
                                         const env::Context& context) {
    for (int looks = 0; looks < kMostLooks; ++looks) {
        AETERNA_ASSIGN(const auto starts, list_pieces(repository, name, context));
        std::vector<LogRange> ranges;
        bool is_outdated = false;
        for (const std::uint64_t start : starts) {
            AETERNA_ASSIGN(const auto piece, read_piece(repository, name, start, context));
            is_outdated = is_outdated || !piece;
            if (!piece) continue;
            const std::uint64_t end = start + piece->size();
            if (ranges.empty() || start > ranges.back().to) ranges.push_back({start, end});
            else ranges.back().to = std::max(ranges.back().to, end);
        }
        if (!is_outdated) return ranges;
    }
    return outrun(name);
}

namespace {

// A run of neighbours that becomes one piece.
struct Merge {
    std::uint64_t start = 0;
    std::string bytes;
    std::vector<std::uint64_t> others;
    [[nodiscard]] std::uint64_t end() const { return start + bytes.size(); }
};

Status finish_merge(Repository& repository, const std::string& name, const Merge& merge, const env::Context& context) {
    if (merge.others.empty()) return {};
    Compressor compressor;
    const std::string object = seal_piece(repository, name, merge.start, bytes_of(merge.bytes), compressor);
    AETERNA_TRY(repository.storage().put(piece_name(name, merge.start), bytes_of(object), PutMode::kOverwrite, context));
    for (const std::uint64_t start : merge.others) {
        AETERNA_TRY(repository.storage().remove(piece_name(name, start), context));
    }
    return {};
}

// Never back: of two ends the later one was true once.
Status put_mark(Repository& repository, const std::string& name, std::uint64_t last, const env::Context& context) {
    AETERNA_ASSIGN(const auto piece, read_piece(repository, name, last, context));
    AETERNA_ASSIGN(const auto before, read_mark(repository, name, context));
    if (!piece || (before && *before >= last + piece->size())) return {};
    const std::string object_name = log_prefix(name) + std::string(kMark);
    Compressor compressor;
    const std::string object =
        seal_as(repository, object_name, bytes_of(hex64(last + piece->size())), compressor);
    return repository.storage().put(object_name, bytes_of(object), PutMode::kOverwrite, context);
}

}  // namespace

Result<std::size_t> merge_log(Repository& repository, const std::string& name, const env::Context& context) {
    AETERNA_ASSIGN(auto starts, list_pieces(repository, name, context));
    if (starts.empty()) return std::size_t{0};
    AETERNA_TRY(put_mark(repository, name, starts.back(), context));
    if (starts.size() < 3) return std::size_t{0};
    starts.pop_back();
    std::size_t gone = 0;
    Merge merge;
    for (const std::uint64_t start : starts) {
        AETERNA_ASSIGN(const auto piece, read_piece(repository, name, start, context));
        if (!piece) continue;
        const std::uint64_t end = start + piece->size();
        const bool is_inside = !merge.bytes.empty() && end <= merge.end();  // left by a merge that died
        const bool fits = !merge.bytes.empty() && start <= merge.end() && end - merge.start <= kMostLogPiece;
        if (!is_inside && !fits) {
            AETERNA_TRY(finish_merge(repository, name, merge, context));
            merge = {start, *piece, {}};
            continue;
        }
        if (!is_inside) merge.bytes.append(*piece, static_cast<std::size_t>(merge.end() - start), std::string::npos);
        merge.others.push_back(start);
        ++gone;
    }
    AETERNA_TRY(finish_merge(repository, name, merge, context));
    return gone;
}

Result<std::size_t> trim_log(Repository& repository, const std::string& name, std::uint64_t before,
                             const env::Context& context) {
    AETERNA_ASSIGN(const auto starts, list_pieces(repository, name, context));
    std::size_t gone = 0;
    for (const std::uint64_t start : starts) {
        if (start >= before || start == starts.back()) break;  // the last one says where the log ends
        AETERNA_ASSIGN(const auto piece, read_piece(repository, name, start, context));
        if (!piece || start + piece->size() > before) continue;
        AETERNA_TRY(repository.storage().remove(piece_name(name, start), context));
        ++gone;
    }
    return gone;
}

// The mark first: without it a log that is half gone is no damage.
Result<std::size_t> remove_log(Repository& repository, const std::string& name, const env::Context& context) {
    AETERNA_TRY(repository.storage().remove(log_prefix(name) + std::string(kMark), context));
    AETERNA_ASSIGN(const auto starts, list_pieces(repository, name, context));
    for (const std::uint64_t start : starts) {
        AETERNA_TRY(repository.storage().remove(piece_name(name, start), context));
    }
    return starts.size();
}

}  // namespace aeterna::repository
