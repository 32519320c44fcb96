#include "repository/log_pieces.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"

namespace aeterna::repository {

std::string log_prefix(const std::string& log) { return fmt::format("logs/{}/", log); }

std::string piece_name(const std::string& log, const LogPiece& piece) {
    std::string name = log_prefix(log) + hex64(piece.start);
    return piece.end ? name + '-' + hex64(*piece.end) : name;
}

std::optional<LogPiece> parse_piece(std::string_view text) {
    const auto parts = split(text, '-');
    const auto start = parse_hex64(parts.front());
    if (!start || parts.size() > 2) return std::nullopt;
    if (parts.size() == 1) return LogPiece{*start, std::nullopt};
    const auto end = parse_hex64(parts.back());
    if (!end || *end <= *start || *end - *start > kMostLogPiece) return std::nullopt;
    return LogPiece{*start, *end};
}

Result<std::vector<LogPiece>> list_pieces(Repository& repository, const std::string& log, const env::Context& context) {
    const std::string prefix = log_prefix(log);
    std::vector<LogPiece> pieces;
    AETERNA_TRY(repository.storage().list(
        prefix,
        [&](const ObjectInfo& object) {
            if (const auto piece = parse_piece(std::string_view(object.name).substr(prefix.size()))) pieces.push_back(*piece);
            return true;
        },
        context));
    return pieces;
}

Result<std::optional<std::string>> read_piece(Repository& repository, const std::string& log, const LogPiece& piece,
                                              const env::Context& context) {
    const std::string name = piece_name(log, piece);
    AETERNA_ASSIGN(auto bytes, read_sealed(repository, name, context));
    if (bytes && piece.end && bytes->size() != *piece.end - piece.start) {
        return make_error(ErrorCode::kCorrupt, fmt::format("'{}' is damaged: it holds {} bytes", name, bytes->size()));
    }
    return bytes;
}

Result<bool> put_merged(Repository& repository, const std::string& log, std::uint64_t start, Bytes bytes,
                        Compressor& compressor, const env::Context& context) {
    const LogPiece piece{start, start + bytes.size()};
    const std::string name = piece_name(log, piece);
    const std::string object = seal_as(repository, name, bytes, compressor);
    const Status put = repository.storage().put(name, bytes_of(object), PutMode::kIfAbsent, context);
    if (put) return true;
    // Another was first, or ours arrived without an answer.
    if (put.error().code != ErrorCode::kAlreadyExists && put.error().effect != Effect::kUnknown) return put.error();
    const auto found = find_durable(repository.storage(), name, context);
    if (!found || !*found) return put.error();
    AETERNA_ASSIGN(const auto there, read_piece(repository, log, piece, context));
    return there && std::equal(there->begin(), there->end(), bytes.begin(), bytes.end());
}

Result<std::optional<std::string>> read_sealed(Repository& repository, const std::string& object_name,
                                               const env::Context& context) {
    Compressor compressor;
    const auto object = read_object(repository.storage(), object_name, kMostPieceObject, context);
    if (!object && object.error().code == ErrorCode::kNotFound) return std::optional<std::string>();
    if (!object) return object.error();
    AETERNA_ASSIGN(auto plain,
                   open_object(EntryType::kLogPiece, object_name, bytes_of(*object), repository.keys(), compressor));
    return std::optional(std::move(plain));
}

std::string seal_as(Repository& repository, const std::string& object_name, Bytes bytes, Compressor& compressor) {
    return seal_object(EntryType::kLogPiece, object_name, bytes, repository.keys(),
                       random_name(repository.ports().random), compressor);
}

}  // namespace aeterna::repository
