// The objects of a log (log_segments.h), for the code of logs alone. An appended piece is "logs/<log>/<start>", a merged one
// "logs/<log>/<start>-<end>", positions in 16 hex digits. Neither ever changes, so that a name says what is there.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "repository/log_segments.h"

namespace aeterna::repository {

inline constexpr std::size_t kMostPieceObject = kMostLogPiece + 4096;  // sealed

struct LogPiece {
    std::uint64_t start = 0;
    std::optional<std::uint64_t> end;  // of a merged one; an appended one is as long as its content
    [[nodiscard]] bool is_merged() const { return end.has_value(); }
    // Known without reading.
    [[nodiscard]] bool has(std::uint64_t position) const { return end && start <= position && position < *end; }
    // By start, then the appended one, then by end: the order of their names.
    friend auto operator<=>(const LogPiece&, const LogPiece&) = default;
};

[[nodiscard]] std::string log_prefix(const std::string& log);
[[nodiscard]] std::string piece_name(const std::string& log, const LogPiece& piece);
// The part of a name behind the log's prefix; nothing for a mark or an origin.
[[nodiscard]] std::optional<LogPiece> parse_piece(std::string_view text);

// In order. What a merge replaces while the storage lists may be missing together with what replaces it.
[[nodiscard]] Result<std::vector<LogPiece>> list_pieces(Repository& repository, const std::string& log,
                                                        const env::Context& context);
// Nothing when it is gone: merged or trimmed meanwhile. kCorrupt.
[[nodiscard]] Result<std::optional<std::string>> read_piece(Repository& repository, const std::string& log,
                                                            const LogPiece& piece, const env::Context& context);

// Whether the piece is there with exactly these bytes by now, whoever put it. kCorrupt: another's, damaged.
[[nodiscard]] Result<bool> put_merged(Repository& repository, const std::string& log, std::uint64_t start, Bytes bytes,
                                      Compressor& compressor, const env::Context& context);

// The log's end by now; never back, except by two at one time: both ends were true once.
Status put_mark(Repository& repository, const std::string& log, std::uint64_t end, const env::Context& context);
Status remove_mark(Repository& repository, const std::string& log, const env::Context& context);

// Any small object of a log. Nothing when it is not there.
[[nodiscard]] Result<std::optional<std::string>> read_sealed(Repository& repository, const std::string& object_name,
                                                             const env::Context& context);
[[nodiscard]] std::string seal_as(Repository& repository, const std::string& object_name, Bytes bytes,
                                  Compressor& compressor);

}  // namespace aeterna::repository
