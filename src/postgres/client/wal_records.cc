#include "postgres/client/wal_records.h"

#include <fmt/format.h>

#include <algorithm>

#include "postgres/client/crc32c.h"
#include "postgres/client/little_endian.h"
#include "postgres/client/wal.h"

namespace aeterna::postgres {
namespace {

constexpr std::size_t kRecordHeader = 24;
constexpr std::size_t kCrcAt = 20;  // xl_crc: of what is behind the header, then of the header before it
// xlp_info
constexpr std::uint16_t kFirstIsContinued = 0x0001, kIsLong = 0x0002, kFirstIsOverwrite = 0x0008;
// xl_rmid, and the upper half of xl_info
constexpr unsigned kXlog = 0, kXact = 1, kTblspc = 5;
constexpr unsigned kCheckpointShutdown = 0x00, kCheckpointOnline = 0x10, kSwitch = 0x40, kRestorePoint = 0x70;
constexpr unsigned kCommit = 0x00, kAbort = 0x20, kCommitPrepared = 0x30, kAbortPrepared = 0x40, kXactMask = 0x70;
constexpr unsigned kTablespaceCreate = 0x00;
constexpr std::size_t kTablespacePathAt = 4;
constexpr std::size_t kCheckpointTimeAt = 64, kRestorePointNameAt = 8, kRestorePointNameBytes = 64;
constexpr std::int64_t kPostgresEpoch = 946'684'800;  // 2000-01-01, seconds since 1970

std::uint64_t aligned(std::uint64_t position) { return (position + 7) / 8 * 8; }

// The record's own data; empty when blocks come before it, which the kinds that are read have none of.
std::string_view main_data(std::string_view record) {
    constexpr unsigned kShort = 255, kLong = 254, kOrigin = 253, kTopXid = 252;
    std::size_t at = kRecordHeader;
    while (at < record.size()) {
        switch (static_cast<unsigned char>(record[at])) {
            case kShort: return record.substr(std::min(record.size(), at + 2));
            case kLong: return record.substr(std::min(record.size(), at + 5));
            case kOrigin: at += 3; break;
            case kTopXid: at += 5; break;
            default: return {};
        }
    }
    return {};
}

WallTime from_timestamp(std::string_view data, std::size_t at) {
    return from_unix_us(little_endian<std::int64_t>(data, at) + kPostgresEpoch * 1'000'000);
}

void read_transaction(WalRecord& record, unsigned info, std::uint32_t xid, std::string_view data) {
    const unsigned what = info & kXactMask;
    const bool is_commit = what == kCommit || what == kCommitPrepared;
    if ((!is_commit && what != kAbort && what != kAbortPrepared) || data.size() < 8) return;
    record.kind = is_commit ? WalRecord::Kind::kCommit : WalRecord::Kind::kAbort;
    record.xid = what == kCommit || what == kAbort ? xid : 0;
    record.time = from_timestamp(data, 0);
}

void read_control(WalRecord& record, unsigned info, std::string_view data) {
    const unsigned what = info & 0xF0;
    if ((what == kCheckpointShutdown || what == kCheckpointOnline) && data.size() >= kCheckpointTimeAt + 8) {
        record.kind = WalRecord::Kind::kCheckpoint;
        record.time = from_unix_us(little_endian<std::int64_t>(data, kCheckpointTimeAt) * 1'000'000);
    } else if (what == kRestorePoint && data.size() >= kRestorePointNameAt + kRestorePointNameBytes) {
        const std::string_view name = data.substr(kRestorePointNameAt, kRestorePointNameBytes);
        record.kind = WalRecord::Kind::kRestorePoint;
        record.time = from_timestamp(data, 0);
        record.name = std::string(name.substr(0, name.find('\0')));
    }
}

void read_tablespace(WalRecord& record, unsigned info, std::string_view data) {
    if ((info & 0xF0) != kTablespaceCreate || data.size() <= kTablespacePathAt) return;
    record.kind = WalRecord::Kind::kTablespace;
    const std::size_t end = data.find('\0', kTablespacePathAt);
    if (end != std::string_view::npos) record.name = std::string(data.substr(kTablespacePathAt, end - kTablespacePathAt));
}

}  // namespace

Error WalRecordReader::misfit(std::string_view why) const {
    return make_error(ErrorCode::kCorrupt, fmt::format("the WAL at {} does not go on from what is before it: {}",
                                                       format_lsn(position_), why));
}

std::size_t WalRecordReader::header_bytes() const {
    if (header_.size() < kWalPageHeaderBytes) return kWalPageHeaderBytes;
    return (little_endian<std::uint16_t>(header_, 2) & kIsLong) != 0 ? kWalSegmentHeaderBytes : kWalPageHeaderBytes;
}

Result<bool> WalRecordReader::add(std::string_view bytes, const std::function<bool(const WalRecord&)>& each) {
    // As much as `wanted` says is passed; of what is collected the first `most` bytes are kept.
    const auto pass = [&](std::uint64_t wanted, std::string* into, std::size_t most) {
        const auto passed = static_cast<std::size_t>(std::min<std::uint64_t>(wanted, bytes.size()));
        if (into && into->size() < most) into->append(bytes.substr(0, std::min(passed, most - into->size())));
        bytes.remove_prefix(passed);
        position_ += passed;
        return passed;
    };
    while (!bytes.empty()) {
        if (position_ < resume_at_) {
            pass(resume_at_ - position_, nullptr, 0);
            continue;
        }
        if (position_ % kWalPageBytes == 0 || !header_.empty()) {
            pass(header_bytes() - header_.size(), &header_, kWalSegmentHeaderBytes);
            if (header_.size() == header_bytes()) AETERNA_TRY(begin_page());
            continue;
        }
        const std::uint64_t room = kWalPageBytes - position_ % kWalPageBytes;
        if (skip_ > 0) {
            skip_ -= pass(std::min(skip_, room), nullptr, 0);
            continue;
        }
        if (taken_ == 0) {
            begin_ = position_;
            record_.clear();
        }
        const std::uint64_t wanted = (length_ == 0 ? sizeof(std::uint32_t) : length_) - taken_;
        take_sum(bytes.substr(0, std::min(wanted, room)));
        taken_ += pass(std::min(wanted, room), &record_, kept_);
        if (length_ == 0 && taken_ == sizeof(std::uint32_t)) {
            length_ = little_endian<std::uint32_t>(record_, 0);
            if (length_ == 0) return false;
            if (length_ < kRecordHeader) return misfit("no record is that short");
        }
        if (length_ == 0 || taken_ < length_) continue;
        AETERNA_ASSIGN(const WalRecord record, finish_record());
        if (!each(record)) return false;
    }
    return true;
}

// The page's header is complete, and position_ behind it.
Status WalRecordReader::begin_page() {
    const auto flags = little_endian<std::uint16_t>(header_, 2);
    const std::uint64_t page = little_endian<std::uint64_t>(header_, 8), left = little_endian<std::uint32_t>(header_, 16);
    const bool is_header = is_wal_magic(header_), is_here = page == position_ - header_.size();
    header_.clear();
    if (!is_header) return misfit("it is no page of WAL");
    if (!is_here) return misfit(fmt::format("its page belongs to {}", format_lsn(page)));
    const bool is_continued = (flags & kFirstIsContinued) != 0;
    if (!is_synchronised_) {
        is_synchronised_ = true;
        if (is_continued) skip_ = aligned(left);
        return {};
    }
    if ((taken_ > 0 || skip_ > 0) && !is_continued && (flags & kFirstIsOverwrite) != 0) {
        // The server died in the middle of it, and wrote over what was missing when it was up again.
        length_ = taken_ = skip_ = 0;
        crc_ = 0;
        return {};
    }
    const std::uint64_t expected = taken_ > 0 ? length_ - taken_ : skip_;
    if (is_continued != (expected > 0) || (taken_ > 0 && left != expected)) return misfit("a record is cut");
    return {};
}

// `bytes` come next in the record.
void WalRecordReader::take_sum(std::string_view bytes) {
    const std::uint64_t header_left = kRecordHeader - std::min<std::uint64_t>(taken_, kRecordHeader);
    if (bytes.size() > header_left) crc_ = crc32c(crc_, bytes.substr(header_left));
}

Result<WalRecord> WalRecordReader::finish_record() {
    const auto xid = little_endian<std::uint32_t>(record_, 4);
    const auto before = little_endian<std::uint64_t>(record_, 8);
    const unsigned info = static_cast<unsigned char>(record_[16]), manager = static_cast<unsigned char>(record_[17]);
    if (previous_ && before != *previous_) return misfit("its records do not follow each other");
    if (crc32c(std::exchange(crc_, 0), std::string_view(record_).substr(0, kCrcAt)) != little_endian<std::uint32_t>(record_, kCrcAt)) {
        return misfit(fmt::format("the record that begins at {} has not its checksum", format_lsn(begin_)));
    }
    WalRecord record;
    record.begin = begin_;
    record.end = aligned(position_);
    record.xid = xid;
    skip_ = record.end - position_;
    if (manager == kXlog && (info & 0xF0) == kSwitch) {
        // The rest of the segment holds nothing.
        resume_at_ = (record.end + segment_bytes_ - 1) / segment_bytes_ * segment_bytes_;
        skip_ = 0;
    }
    const std::string_view data = main_data(record_);
    if (manager == kXact) read_transaction(record, info, xid, data);
    if (manager == kXlog) read_control(record, info, data);
    if (manager == kTblspc) read_tablespace(record, info, data);
    previous_ = begin_;
    record.bytes = record_;
    length_ = taken_ = 0;
    return record;
}

}  // namespace aeterna::postgres
