#include "repository/format/manifest.h"

#include <algorithm>

#include "base/check.h"
#include "repository/format/wire.h"

namespace aeterna::repository {
namespace {

constexpr std::size_t kMostBlobBytes = 512 << 10;
constexpr std::uint64_t kAverageRecords = 1024;  // between two paths that end a blob
constexpr std::size_t kMostPathBytes = 1 << 16;

Error damaged_manifest() { return make_error(ErrorCode::kCorrupt, "a manifest is damaged_manifest"); }

// FNV-1a; only says where blobs end.
bool ends_blob(std::string_view path) {
    std::uint64_t hash = 0xcbf29ce484222325ULL;
    for (const char c : path) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    return (hash ^ hash >> 32) % kAverageRecords == 0;
}

void append_info(const env::NodeInfo& info, WireWriter& writer) {
    writer.varint(info.mode);
    writer.varint(info.uid);
    writer.varint(info.gid);
    writer.signed_varint(info.mtime_ns);
}

void append_content(const FileRecord& record, WireWriter& writer) {
    writer.signed_varint(record.info.ctime_ns);
    writer.varint(record.info.inode);
    writer.varint(record.info.device);
    writer.varint(record.info.size);
    writer.u8(static_cast<std::uint8_t>(record.kind));
    if (record.kind == ContentKind::kEmpty) return;
    writer.id(record.digest);
    writer.varint(record.segments.size());
    for (const SegmentRef& segment : record.segments) {
        std::string map;
        if (segment.is_inline) append_full_map(segment.map, map);
        writer.counted(map);
        if (!segment.is_inline) writer.id(segment.stored);
    }
}

bool read_segments(WireReader& reader, FileRecord& record) {
    const std::size_t count = reader.count(1);
    for (std::size_t i = 0; i < count; ++i) {
        const std::string_view map = reader.counted();
        SegmentRef& segment = record.segments.emplace_back();
        segment.is_inline = !map.empty();
        if (!segment.is_inline) {
            segment.stored = reader.id();
            continue;
        }
        Result<StoredMap> parsed = parse_map(bytes_of(map));
        if (!parsed || parsed->has_base) return false;
        segment.map = std::move(parsed->map);
    }
    return reader.is_good();
}

bool read_content(WireReader& reader, FileRecord& record) {
    record.info.ctime_ns = reader.signed_varint();
    record.info.inode = reader.varint();
    record.info.device = reader.varint();
    record.info.size = reader.varint();
    const std::uint8_t kind = reader.u8();
    if (kind > static_cast<std::uint8_t>(ContentKind::kPages)) return false;
    record.kind = static_cast<ContentKind>(kind);
    if (record.kind == ContentKind::kEmpty) return record.info.size == 0;
    record.digest = reader.id();
    if (!read_segments(reader, record)) return false;
    return record.segments.size() == (record.info.size + kSegmentBytes - 1) / kSegmentBytes;
}

bool read_record(WireReader& reader, const std::string& last_path, FileRecord& record) {
    const std::uint64_t shared = reader.varint();
    if (shared > last_path.size()) return false;
    record.path = last_path.substr(0, shared);
    record.path += reader.counted();
    const std::uint8_t type = reader.u8();
    if (!is_safe_path(record.path) || type > static_cast<std::uint8_t>(env::NodeType::kSymlink)) return false;
    record.info.type = static_cast<env::NodeType>(type);
    record.info.mode = static_cast<std::uint32_t>(reader.varint() & 07777);
    record.info.uid = static_cast<std::uint32_t>(reader.varint());
    record.info.gid = static_cast<std::uint32_t>(reader.varint());
    record.info.mtime_ns = reader.signed_varint();
    if (record.info.type == env::NodeType::kFile && !read_content(reader, record)) return false;
    if (record.info.type == env::NodeType::kSymlink) record.target = reader.counted();
    return reader.is_good();
}

}  // namespace

bool is_safe_path(std::string_view path) {
    if (path.size() > kMostPathBytes || path.find('\0') != std::string_view::npos) return false;
    if (path.empty()) return true;
    for (const std::string_view part : split(path, '/')) {
        if (part.empty() || part == "." || part == "..") return false;
    }
    return true;
}

int compare_paths(std::string_view a, std::string_view b) {
    const auto [left, right] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
    if (left == a.end() || right == b.end()) return static_cast<int>(right == b.end()) - static_cast<int>(left == a.end());
    const auto rank = [](char c) { return c == '/' ? 0 : static_cast<unsigned char>(c); };
    return rank(*left) - rank(*right);
}

Id file_digest(ContentKind kind, std::uint64_t size, std::span<const Id> segments, const KeyedHash& digest) {
    std::string text;
    WireWriter writer(text);
    writer.u8(static_cast<std::uint8_t>(kind));
    writer.u64(size);
    for (const Id& segment : segments) writer.id(segment);
    return digest(bytes_of(text));
}

void ManifestWriter::add(const FileRecord& record) {
    AETERNA_CHECK(records_ == 0 || compare_paths(last_path_, record.path) < 0);
    if (records_ == 0) first_path_ = record.path;
    const auto [left, right] = std::mismatch(last_path_.begin(), last_path_.end(), record.path.begin(), record.path.end());
    const auto shared = records_ == 0 ? 0 : static_cast<std::size_t>(left - last_path_.begin());
    WireWriter writer(blob_);
    writer.varint(shared);
    writer.counted(std::string_view(record.path).substr(shared));
    writer.u8(static_cast<std::uint8_t>(record.info.type));
    append_info(record.info, writer);
    if (record.info.type == env::NodeType::kFile) append_content(record, writer);
    if (record.info.type == env::NodeType::kSymlink) writer.counted(record.target);
    last_path_ = record.path;
    ++records_;
    is_full_ = blob_.size() >= kMostBlobBytes || ends_blob(record.path);
}

std::string ManifestWriter::take() {
    records_ = 0;
    is_full_ = false;
    return std::exchange(blob_, {});
}

Result<std::vector<FileRecord>> parse_manifest(Bytes blob) {
    WireReader reader(blob);
    std::vector<FileRecord> records;
    std::string last_path;
    while (reader.is_good() && reader.remaining() > 0) {
        FileRecord record;
        if (!read_record(reader, last_path, record)) return damaged_manifest();
        if (!records.empty() && compare_paths(last_path, record.path) >= 0) return damaged_manifest();
        last_path = record.path;
        records.push_back(std::move(record));
    }
    if (!reader.is_done()) return damaged_manifest();
    return records;
}

void append_manifest_rows(std::span<const ManifestRow> rows, std::string& out) {
    WireWriter writer(out);
    for (const ManifestRow& row : rows) {
        writer.id(row.blob);
        writer.counted(row.first_path);
        writer.varint(row.records);
    }
}

Result<std::vector<ManifestRow>> parse_manifest_rows(Bytes bytes) {
    WireReader reader(bytes);
    std::vector<ManifestRow> rows;
    while (reader.is_good() && reader.remaining() > 0) {
        ManifestRow& row = rows.emplace_back();
        row.blob = reader.id();
        row.first_path = reader.counted();
        row.records = reader.varint();
    }
    if (!reader.is_done()) return damaged_manifest();
    return rows;
}

}  // namespace aeterna::repository
