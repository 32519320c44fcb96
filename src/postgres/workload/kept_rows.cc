#include "postgres/workload/kept_rows.h"

#include <algorithm>

#include "postgres/capture/wal_logs.h"
#include "postgres/client/little_endian.h"
#include "postgres/client/wal.h"
#include "repository/log_segments.h"

namespace aeterna::postgres {
namespace {

constexpr std::size_t kRecordHeader = 24, kBlockHeader = 4, kTupleHeader = 24;
constexpr unsigned kHeap = 10, kHeapInsert = 0x00, kOperation = 0x70;       // xl_rmid, xl_info
constexpr unsigned kHasImage = 0x10, kCompressed = 0x04 | 0x08 | 0x10;  // fork_flags, bimg_info
constexpr std::size_t kImageInfoAt = kRecordHeader + kBlockHeader + 4;

unsigned byte_at(std::string_view bytes, std::size_t at) { return static_cast<unsigned char>(bytes[at]); }

std::string pattern_of(const std::string& drill_id) {
    std::string text;
    text += static_cast<char>((drill_id.size() + 1) << 1 | 1);  // a varlena of up to 126 bytes, itself included
    text += drill_id;
    text.resize((text.size() + 7) / 8 * 8, '\0');
    return text;
}

// Whether the log has nothing behind `seen_to`, which a reading of it came to.
Result<bool> ends_at(repository::Repository& repository, const std::string& log, Lsn seen_to, const env::Context& context) {
    AETERNA_ASSIGN(const auto ranges,
                   repository::log_ranges(repository, log, repository::LogReading::kNames, context));
    return ranges.empty() || ranges.back().to <= seen_to;
}

}  // namespace

KeptRows::KeptRows(const std::string& drill_id, const std::vector<std::uint64_t>& wanted)
    : pattern_(pattern_of(drill_id)), wanted_(wanted.begin(), wanted.end()) {}

void KeptRows::see(const WalRecord& record) {
    if (record.kind == WalRecord::Kind::kCommit || record.kind == WalRecord::Kind::kAbort) {
        const auto [first, last] = rows_.equal_range(record.xid);
        if (record.kind == WalRecord::Kind::kCommit) {
            for (auto row = first; row != last; ++row) committed_.insert(row->second);
        }
        rows_.erase(first, last);
        return;
    }
    const std::string_view bytes = record.bytes;
    if (bytes.size() <= kImageInfoAt || byte_at(bytes, 17) != kHeap || (byte_at(bytes, 16) & kOperation) != kHeapInsert)
        return;
    const bool is_image = (byte_at(bytes, kRecordHeader + 1) & kHasImage) != 0;
    if (is_image && (byte_at(bytes, kImageInfoAt) & kCompressed) != 0) {
        has_unreadable_ = true;
        return;
    }
    for (std::size_t at = bytes.find(pattern_); at != std::string_view::npos; at = bytes.find(pattern_, at + 1)) {
        const std::size_t number_at = at + pattern_.size();
        if (number_at + sizeof(std::uint64_t) > bytes.size()) return;
        // A page has the rows of others, too: each names its transaction.
        if (is_image && (at < kTupleHeader || little_endian<std::uint32_t>(bytes, at - kTupleHeader) != record.xid))
            continue;
        const auto number = little_endian<std::uint64_t>(bytes, number_at);
        if (wanted_.contains(number)) rows_.emplace(record.xid, number);
    }
}

std::vector<std::uint64_t> KeptRows::committed() const { return {committed_.begin(), committed_.end()}; }

Result<std::optional<std::vector<std::uint64_t>>> find_kept_rows(repository::Repository& repository,
                                                                 const SourceView& primary,
                                                                 const std::string& drill_id,
                                                                 const std::vector<std::uint64_t>& wanted,
                                                                 const env::Context& context) {
    std::set<std::uint64_t> found;
    bool is_certain = true, is_fork_known = primary.timeline == 1;
    AETERNA_ASSIGN(const auto logs, list_wal_logs(repository, context));
    for (const WalLog& log : logs) {
        AETERNA_ASSIGN(const auto origin, repository::read_origin(repository, wal_log_name(log), context));
        if (!origin) continue;
        if (log.system_identifier == primary.system_identifier && log.timeline == primary.timeline) is_fork_known = true;
        KeptRows rows(drill_id, wanted);
        WalRecordReader records(origin->at, primary.segment_bytes, KeptRows::kRecordBytes);
        const auto see = [&](const WalRecord& record) {
            rows.see(record);
            return true;
        };
        const auto each = [&](std::uint64_t, repository::Bytes bytes) {
            return records.add({bytes.data(), bytes.size()}, see);
        };
        const auto read = repository::read_log(repository, origin->log, origin->at, each, context);
        const ErrorCode code = read ? ErrorCode::kNotFound : read.error().code;  // nothing was captured behind the fork
        if (code != ErrorCode::kNotFound && code != ErrorCode::kCorrupt) return read.error();
        is_certain = is_certain && code != ErrorCode::kCorrupt && !rows.has_unreadable();
        if (is_certain) {
            AETERNA_ASSIGN(is_certain, ends_at(repository, origin->log, read ? *read : origin->at, context));
        }
        const auto committed = rows.committed();
        found.insert(committed.begin(), committed.end());
    }
    if ((!is_certain || !is_fork_known) && found.size() < wanted.size()) return std::optional<std::vector<std::uint64_t>>();
    return std::optional(std::vector<std::uint64_t>(found.begin(), found.end()));
}

}  // namespace aeterna::postgres
