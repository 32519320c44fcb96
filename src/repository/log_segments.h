// Log segments: what a store writes after a backup (WAL, a command stream), appended a few KiB to MiB at a time and
// durable when `append` returns. A log is a run of bytes with positions (an LSN, an offset); a piece of it is the sealed
// object "logs/<log>/<start>", start in 16 hex digits.
//
// One writer: two that append at one position cannot both succeed, so the second learns that it is not alone. An appended
// piece that is damaged ends nothing: its bytes are missing until they are put again, beside it under a merged piece's name. Small
// pieces are merged later: first the merged piece appears, under a name that tells its end too (log_pieces.h), then what it
// contains goes. Pieces may overlap, and then hold the same bytes: a reader passes over what it has. A merge also puts a
// mark, "logs/<log>/mark": the log's end by then, so that the loss of its last pieces is noticed.
//
// A log may go on where another one forked (PostgreSQL's timelines): "logs/<log>/origin" says which and where, with the
// text that explains it (a history file). Origins stay for ever.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "repository/repository.h"

namespace aeterna::repository {

inline constexpr std::size_t kMostLogPiece = kMaxEntryBytes;

// Every log that has a piece, a mark or an origin.
[[nodiscard]] Result<std::vector<std::string>> list_logs(Repository& repository, const env::Context& context);

// Puts bytes that the log lacks and has later ones than (log_ranges). Durable when it returns. kLocked when somebody
// else has put other bytes at `position`: their number may differ, what is there counts.
Status fill_log(Repository& repository, const std::string& name, std::uint64_t position, Bytes bytes,
                const env::Context& context);

class LogWriter {
  public:
    // At the end of the log `name` (letters, digits, '.', '_', '=', '-'), which may not exist yet. Reads one piece; where that is
    // damaged, it is the end where it begins.
    [[nodiscard]] static Result<std::unique_ptr<LogWriter>> open(Repository& repository, const std::string& name,
                                                                 const env::Context& context);

    // Where the next append belongs; nothing for an empty log, which may begin anywhere.
    [[nodiscard]] std::optional<std::uint64_t> end() const { return end_; }
    // Durable when it returns. `position` is end(), or later: then the bytes between are missing until fill_log() puts
    // them, and every reader is told so. kGuardRefused for an earlier one; kLocked when another writer was there first.
    Status append(std::uint64_t position, Bytes bytes, const env::Context& context);

  private:
    LogWriter(Repository& repository, std::string name) : repository_(repository), name_(std::move(name)) {}

    Repository& repository_;
    const std::string name_;
    std::optional<std::uint64_t> end_;
    Compressor compressor_;
};

// Gives the bytes from `from` on in order, up to the last durable one or a gap; the position after the last byte given.
// kNotFound when the log does not have `from`. `each` returns false to stop after its bytes.
[[nodiscard]] Result<std::uint64_t> read_log(Repository& repository, const std::string& name, std::uint64_t from,
                                             const std::function<Result<bool>(std::uint64_t, Bytes)>& each,
                                             const env::Context& context);

// The end that the last merge saw; nothing before the first.
[[nodiscard]] Result<std::optional<std::uint64_t>> read_mark(Repository& repository, const std::string& name,
                                                             const env::Context& context);

struct LogOrigin {
    std::string log;       // that this one goes on from
    std::uint64_t at = 0;  // its first byte is the other one's byte at this position
    std::string history;   // what explains it, as its server wrote it
    friend bool operator==(const LogOrigin&, const LogOrigin&) = default;
};
// kGuardRefused when the log has another origin already.
Status put_origin(Repository& repository, const std::string& name, const LogOrigin& origin, const env::Context& context);
// Nothing for a log that begins by itself.
[[nodiscard]] Result<std::optional<LogOrigin>> read_origin(Repository& repository, const std::string& name,
                                                           const env::Context& context);

struct LogRange {
    std::uint64_t from = 0, to = 0;
    friend bool operator==(const LogRange&, const LogRange&) = default;
};
// kNames: a merged piece is believed by its name, and only those that nothing was merged with are read.
enum class LogReading { kEverything, kNames };
// What the log has, without gaps inside a range. A damaged piece that is read is kCorrupt with kEverything; with kNames an
// appended one is a gap.
[[nodiscard]] Result<std::vector<LogRange>> log_ranges(Repository& repository, const std::string& name,
                                                       LogReading reading, const env::Context& context);

enum class LogGrowth { kGrows, kHasEnded };
// Puts the mark, then makes few pieces of many as log_merge_plan.h says; the last piece is left to its writer. How many
// pieces were replaced. May run beside writers, readers, trims and other merges: a piece goes only when a larger one that contains it
// is durable, so that of any number of merges the largest pieces stay. Damaged pieces are left as they are.
[[nodiscard]] Result<std::size_t> merge_log(Repository& repository, const std::string& name, LogGrowth growth,
                                            const env::Context& context);
// Removes pieces that end at or before `before`; a damaged one, whose end nobody knows, when the next one begins by then. How many.
[[nodiscard]] Result<std::size_t> trim_log(Repository& repository, const std::string& name, std::uint64_t before,
                                           const env::Context& context);
// Removes every piece, the last too, and the mark; the origin stays. How many pieces.
[[nodiscard]] Result<std::size_t> remove_log(Repository& repository, const std::string& name,
                                             const env::Context& context);

}  // namespace aeterna::repository
