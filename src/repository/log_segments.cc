#include "repository/log_segments.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace aeterna::repository {
namespace {

constexpr std::string_view kLogs = "logs/";
constexpr std::size_t kMostObjectBytes = kMostLogPiece + 4096;

std::string log_prefix(const std::string& name) { return fmt::format("{}{}/", kLogs, name); }
std::string piece_name(const std::string& name, std::uint64_t start) {
    return fmt::format("{}{:016x}", log_prefix(name), start);
}

std::optional<std::uint64_t> parse_start(std::string_view hex) {
    if (hex.size() != 16) return std::nullopt;
    std::uint64_t value = 0;
    for (const char c : hex) {
        const std::size_t digit = std::string_view("0123456789abcdef").find(c);
        if (digit == std::string_view::npos) return std::nullopt;
        value = value << 4 | digit;
    }
    return value;
}

// In order.
Result<std::vector<std::uint64_t>> list_pieces(Repository& repository, const std::string& name,
                                               const env::Context& context) {
    const std::string prefix = log_prefix(name);
    std::vector<std::uint64_t> starts;
    AETERNA_TRY(repository.storage().list(
        prefix,
        [&](const ObjectInfo& object) {
            if (const auto start = parse_start(std::string_view(object.name).substr(prefix.size()))) {
                starts.push_back(*start);
            }
            return true;
        },
        context));
    return starts;
}

// Nothing when it is gone: merged into an earlier one meanwhile.
Result<std::optional<std::string>> read_piece(Repository& repository, const std::string& name, std::uint64_t start,
                                              const env::Context& context) {
    const std::string object_name = piece_name(name, start);
    const auto object = read_object(repository.storage(), object_name, kMostObjectBytes, context);
    if (!object && object.error().code == ErrorCode::kNotFound) return std::optional<std::string>();
    if (!object) return object.error();
    Compressor compressor;
    AETERNA_ASSIGN(std::string plain,
                   open_object(EntryType::kLogPiece, object_name, bytes_of(*object), repository.keys(), compressor));
    return std::optional(std::move(plain));
}

using Starts = std::vector<std::uint64_t>;

// The piece that holds `from`, or the end. It is the last one that begins at or before it, unless a merge died: then an
// earlier, merged one may reach further.
Result<Starts::const_iterator> find_holder(Repository& repository, const std::string& name, const Starts& starts,
                                           std::uint64_t from, const env::Context& context) {
    for (auto next = std::upper_bound(starts.begin(), starts.end(), from); next != starts.begin();) {
        --next;
        if (from - *next >= kMostLogPiece) break;
        AETERNA_ASSIGN(const auto piece, read_piece(repository, name, *next, context));
        if (piece && *next + piece->size() > from) return next;
    }
    return starts.end();
}

std::string seal_piece(Repository& repository, const std::string& name, std::uint64_t start, Bytes bytes,
                       Compressor& compressor) {
    return seal_object(EntryType::kLogPiece, piece_name(name, start), bytes, repository.keys(),
                       random_name(repository.ports().random), compressor);
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
        const auto there = may_be_ours ? read_object(repository_.storage(), object_name, kMostObjectBytes, context)
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
    AETERNA_ASSIGN(const auto starts, list_pieces(repository, name, context));
    std::uint64_t position = from;
    bool has_begun = false;
    AETERNA_ASSIGN(auto next, find_holder(repository, name, starts, from, context));
    for (; next != starts.end() && *next <= position; ++next) {
        AETERNA_ASSIGN(const auto piece, read_piece(repository, name, *next, context));
        if (!piece || *next + piece->size() <= position) continue;
        const Bytes rest = bytes_of(*piece).subspan(static_cast<std::size_t>(position - *next));
        has_begun = true;
        AETERNA_ASSIGN(const bool goes_on, each(position, rest));
        position += rest.size();
        if (!goes_on) return position;
    }
    if (has_begun) return position;
    return make_error(ErrorCode::kNotFound, fmt::format("the log '{}' does not have position {}", name, from));
}

Result<std::vector<LogRange>> log_ranges(Repository& repository, const std::string& name,
                                         const env::Context& context) {
    AETERNA_ASSIGN(const auto starts, list_pieces(repository, name, context));
    std::vector<LogRange> ranges;
    for (const std::uint64_t start : starts) {
        AETERNA_ASSIGN(const auto piece, read_piece(repository, name, start, context));
        if (!piece) continue;
        const std::uint64_t end = start + piece->size();
        if (ranges.empty() || start > ranges.back().to) ranges.push_back({start, end});
        else ranges.back().to = std::max(ranges.back().to, end);
    }
    return ranges;
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

}  // namespace

Result<std::size_t> merge_log(Repository& repository, const std::string& name, const env::Context& context) {
    AETERNA_ASSIGN(auto starts, list_pieces(repository, name, context));
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

}  // namespace aeterna::repository
