#include "repository/index/run_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "repository/format/wire.h"

namespace aeterna::repository {
namespace {

constexpr std::string_view kRunMagic("ADRRUN\0\x01", 8);
constexpr std::size_t kHeadBytesOfRun = 24;
constexpr std::uint64_t kFenceRows = 64;
constexpr std::size_t kHashBlock = 1 << 20;  // the checksum is a chain over blocks: one block in memory

std::uint64_t prefix(const Id& id) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < 8; ++i) value = value << 8 | static_cast<unsigned char>(id.bytes[i]);
    return value;
}

Error damaged(const std::string& path) {
    return make_error(ErrorCode::kCorrupt, fmt::format("the index cache '{}' is damaged", path));
}

}  // namespace

Result<std::unique_ptr<RunFile>> RunFile::open(env::FileTree& files, const std::string& path, const KeyedHash& hash) {
    std::unique_ptr<RunFile> run(new RunFile);
    run->path_ = path;
    AETERNA_ASSIGN(run->file_, files.open(path));
    AETERNA_TRY(run->read_head());
    AETERNA_TRY(run->verify(hash));
    return run;
}

Status RunFile::read_head() {
    std::string head(kHeadBytesOfRun, '\0');
    AETERNA_ASSIGN(const std::size_t got, file_->read_at(0, head));
    WireReader reader(bytes_of(head));
    if (got != head.size() || reader.raw(kRunMagic.size()) != kRunMagic) return damaged(path_);
    rows_ = reader.u64();
    const std::uint64_t segments = reader.u32(), packs = reader.u32();
    rows_offset_ = kHeadBytesOfRun + (segments + packs) * sizeof(PackId);
    AETERNA_ASSIGN(const env::NodeInfo info, file_->look());
    if (rows_ > info.size || rows_offset_ + rows_ * kRunRowBytes + sizeof(Id) != info.size) return damaged(path_);
    std::string names((segments + packs) * sizeof(PackId), '\0');
    AETERNA_ASSIGN(const std::size_t names_got, file_->read_at(kHeadBytesOfRun, names));
    if (names_got != names.size()) return damaged(path_);
    WireReader name_reader(bytes_of(names));
    for (std::uint64_t i = 0; i < segments; ++i) segments_.push_back(name_reader.name<PackId>());
    for (std::uint64_t i = 0; i < packs; ++i) packs_.push_back(name_reader.name<PackId>());
    return {};
}

// One pass gives the checksum and the fence.
Status RunFile::verify(const KeyedHash& hash) {
    const std::uint64_t end = rows_offset_ + rows_ * kRunRowBytes;
    std::string block;
    Id chain;
    std::uint64_t next_fence = 0;
    for (std::uint64_t offset = 0; offset < end; offset += block.size()) {
        block.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kHashBlock, end - offset)));
        AETERNA_ASSIGN(const std::size_t got, file_->read_at(offset, block));
        if (got != block.size()) return damaged(path_);
        chain = hash.hash({bytes_of(chain.view()), bytes_of(block)});
    }
    std::string stored(sizeof(Id), '\0');
    AETERNA_ASSIGN(const std::size_t got, file_->read_at(end, stored));
    if (got != stored.size() || stored != chain.view()) return damaged(path_);
    for (; next_fence < rows_; next_fence += kFenceRows) {
        AETERNA_ASSIGN(const auto row, rows(next_fence, 1));
        fence_.push_back(prefix(row.front().entry.id));
    }
    return {};
}

Result<std::vector<Location>> RunFile::rows(std::uint64_t first, std::size_t count) const {
    if (first >= rows_) return std::vector<Location>{};
    count = static_cast<std::size_t>(std::min<std::uint64_t>(count, rows_ - first));
    std::string bytes(count * kRunRowBytes, '\0');
    AETERNA_ASSIGN(const std::size_t got, file_->read_at(rows_offset_ + first * kRunRowBytes, bytes));
    if (got != bytes.size()) return damaged(path_);
    std::vector<Location> found(count);
    WireReader reader(bytes_of(bytes));
    for (Location& row : found) {
        row.entry.id = reader.id();
        const std::uint32_t pack = reader.u32();
        row.offset = reader.u32();
        row.entry.sealed_bytes = reader.u32();
        row.entry.plain_bytes = reader.u32();
        row.entry.type = static_cast<EntryType>(reader.u8());
        row.entry.codec = static_cast<Codec>(reader.u8());
        reader.raw(2);
        if (pack >= packs_.size()) return damaged(path_);
        row.pack = packs_[pack];
    }
    return found;
}

Result<std::optional<Location>> RunFile::find(const Id& id) const {
    const std::uint64_t key = prefix(id);
    // Equal prefixes may lie before the fence post that has them.
    auto post = std::lower_bound(fence_.begin(), fence_.end(), key);
    std::uint64_t block = static_cast<std::uint64_t>(post - fence_.begin());
    if (block > 0) --block;
    for (; block < fence_.size() && fence_[block] <= key; ++block) {
        AETERNA_ASSIGN(const auto candidates, rows(block * kFenceRows, kFenceRows));
        const auto found = std::lower_bound(candidates.begin(), candidates.end(), id,
                                            [](const Location& row, const Id& wanted) { return row.entry.id < wanted; });
        if (found != candidates.end()) {
            if (found->entry.id == id) return std::optional(*found);
            return std::optional<Location>();
        }
    }
    return std::optional<Location>();
}

Status RunWriter::begin(const std::vector<PackId>& segments, std::vector<PackId> packs) {
    packs_ = std::move(packs);
    segments_ = segments.size();
    AETERNA_TRY(files_.remove(path_ + ".new"));
    AETERNA_ASSIGN(file_, files_.open_target(path_ + ".new", true));
    buffer_.assign(kHeadBytesOfRun, '\0');  // filled in at the end
    WireWriter writer(buffer_);
    for (const PackId& segment : segments) writer.raw(segment.view());
    for (const PackId& pack : packs_) writer.raw(pack.view());
    return {};
}

Status RunWriter::add(const Location& row) {
    if (last_ && *last_ == row.entry.id) return {};
    AETERNA_CHECK(!last_ || *last_ < row.entry.id);
    last_ = row.entry.id;
    const auto pack = std::lower_bound(packs_.begin(), packs_.end(), row.pack);
    AETERNA_CHECK(pack != packs_.end() && *pack == row.pack);
    WireWriter writer(buffer_);
    writer.id(row.entry.id);
    writer.u32(static_cast<std::uint32_t>(pack - packs_.begin()));
    writer.u32(row.offset);
    writer.u32(row.entry.sealed_bytes);
    writer.u32(row.entry.plain_bytes);
    writer.u8(static_cast<std::uint8_t>(row.entry.type));
    writer.u8(static_cast<std::uint8_t>(row.entry.codec));
    writer.raw(std::string_view("\0\0", 2));
    ++rows_;
    return buffer_.size() >= kHashBlock ? flush() : Status();
}

Status RunWriter::flush() {
    AETERNA_TRY(file_->write_at(offset_, buffer_));
    offset_ += buffer_.size();
    buffer_.clear();
    return {};
}

// The head is known only now, and the checksum begins with it: the file is read back once, which also shows that the
// cache holds what was written.
Status RunWriter::finish() {
    AETERNA_TRY(flush());
    std::string head;
    WireWriter writer(head);
    writer.raw(kRunMagic);
    writer.u64(rows_);
    writer.u32(static_cast<std::uint32_t>(segments_));
    writer.u32(static_cast<std::uint32_t>(packs_.size()));
    AETERNA_TRY(file_->write_at(0, head));
    std::string block;
    for (std::uint64_t offset = 0; offset < offset_; offset += block.size()) {
        block.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kHashBlock, offset_ - offset)));
        AETERNA_ASSIGN(const std::size_t got, file_->read_at(offset, block));
        if (got != block.size()) return damaged(path_);
        chain_ = hash_.hash({bytes_of(chain_.view()), bytes_of(block)});
    }
    AETERNA_TRY(file_->write_at(offset_, chain_.view()));
    file_.reset();
    return files_.rename(path_ + ".new", path_);
}

}  // namespace aeterna::repository
