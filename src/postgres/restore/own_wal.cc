#include "postgres/restore/own_wal.h"

#include <algorithm>

#include "postgres/capture/timeline_history.h"
#include "postgres/client/wal_records.h"
#include "repository/pipeline/read_file.h"

namespace aeterna::postgres {
namespace {

constexpr std::size_t kReadBytes = 1 << 20;

// Nothing: the backup does not bring it. Its name bears the timeline that was written then, the end's or an older one.
Result<std::unique_ptr<repository::FileStream>> open_segment(repository::Repository& repository, const repository::Backup& backup,
                                                             const StartingPoint& start, Lsn at, const env::Context& context) {
    for (Timeline timeline = start.details.timeline; timeline > 0; --timeline) {
        const std::string path = "pg_wal/" + wal_segment_name(timeline, at, start.control.segment_bytes);
        auto stream = repository::FileStream::open(repository, backup, path, context);
        if (stream || stream.error().code != ErrorCode::kNotFound) return stream;
    }
    return nullptr;
}

// To the end of what it brings: a copy of a replica has more than it needs, and its server replays that too.
Status collect_tablespaces(repository::Repository& repository, const repository::Backup& backup, const StartingPoint& start,
                           const env::Context& context, std::vector<std::string>& directories) {
    const auto see = [&](const WalRecord& record) {
        if (record.kind == WalRecord::Kind::kTablespace) directories.push_back(record.name);
        return true;
    };
    const std::uint64_t segment_bytes = start.control.segment_bytes;
    WalRecordReader records(start.details.from, segment_bytes);
    for (Lsn at = start.details.from / segment_bytes * segment_bytes;; at += segment_bytes) {
        AETERNA_ASSIGN(const auto stream, open_segment(repository, backup, start, at, context));
        if (!stream) return {};
        std::uint64_t early = start.details.from - std::min(start.details.from, at);  // bytes before the replay begins
        while (true) {
            AETERNA_ASSIGN(const repository::Bytes bytes, stream->next(kReadBytes));
            if (bytes.empty()) break;
            const std::size_t skipped = std::min<std::uint64_t>(bytes.size(), early);
            early -= skipped;
            const auto goes_on = records.add({bytes.data() + skipped, bytes.size() - skipped}, see);
            // The server ends there, too; what the repository has lost is another matter.
            if (!goes_on && goes_on.error().code == ErrorCode::kCorrupt) return {};
            if (!goes_on) return goes_on.error();
            if (!*goes_on) return {};  // behind the last record of all
        }
    }
}

}  // namespace

Result<std::vector<std::string>> tablespaces_in_own_wal(repository::Repository& repository, const repository::Backup& backup,
                                                        const StartingPoint& start, const env::Context& context) {
    std::vector<std::string> directories;
    if (start.control.segment_bytes == 0) return directories;
    AETERNA_TRY(collect_tablespaces(repository, backup, start, context, directories));
    return directories;
}

}  // namespace aeterna::postgres
