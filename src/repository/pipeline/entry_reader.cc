#include "repository/pipeline/entry_reader.h"

#include <fmt/format.h>

#include <algorithm>

namespace aeterna::repository {
namespace {

constexpr std::size_t kOpenPacks = 8;
constexpr std::size_t kKeptBlobs = 32;  // some hundred records each

}  // namespace

EntryCodec& EntryReader::codec_of(const PackId& pack) {
    const auto found = std::find_if(packs_.begin(), packs_.end(), [&](const auto& open) { return open->id == pack; });
    if (found != packs_.end()) {
        packs_.splice(packs_.begin(), packs_, found);
    } else {
        if (packs_.size() >= kOpenPacks) packs_.pop_back();
        packs_.push_front(std::unique_ptr<OpenPack>(
            new OpenPack{pack, EntryCodec(compressor_, pack_key(repository_.keys(), pack))}));
    }
    return packs_.front()->codec;
}

Result<Location> EntryReader::locate(const Id& id) {
    AETERNA_ASSIGN(const auto found, repository_.index().find(id));
    if (found) return *found;
    return make_error(ErrorCode::kCorrupt, fmt::format("the repository has no entry '{}'", id.to_hex()),
                      "Run 'aeterna-dr repo check' to learn which backups are hit.");
}

Status EntryReader::open(const Location& place, Bytes sealed, std::string& plain) {
    const Status opened = codec_of(place.pack).open(place.entry, place.offset, sealed, plain);
    if (opened) return {};
    return make_error(ErrorCode::kCorrupt,
                      fmt::format("'{}' is damaged at {}", pack_name(place.pack), place.offset),
                      "Run 'aeterna-dr repo check --read-data' to learn which backups are hit.");
}

Status EntryReader::read(EntryType type, const Id& id, std::string& plain) {
    AETERNA_ASSIGN(const Location place, locate(id));
    if (place.entry.type != type) {
        return make_error(ErrorCode::kCorrupt, fmt::format("entry '{}' is of another type", id.to_hex()));
    }
    sealed_.resize(place.entry.sealed_bytes);
    AETERNA_ASSIGN(const std::size_t got,
                   repository_.storage().read(pack_name(place.pack), place.offset, sealed_, context_));
    return open(place, bytes_of(sealed_).first(got), plain);
}

Result<LoadedMap> EntryReader::load_map(const SegmentRef& segment) {
    LoadedMap loaded;
    if (segment.is_inline) {
        loaded.is_inline = true;
        loaded.map = segment.map;
        return loaded;
    }
    std::string plain;
    AETERNA_TRY(read(EntryType::kMap, segment.stored, plain));
    AETERNA_ASSIGN(StoredMap stored, parse_map(bytes_of(plain)));
    loaded.base_id = segment.stored;
    if (stored.has_base) {
        loaded.is_difference = true;
        loaded.base_id = stored.base;
        AETERNA_TRY(read(EntryType::kMap, stored.base, plain));
        AETERNA_ASSIGN(StoredMap base, parse_map(bytes_of(plain)));
        if (base.has_base) return make_error(ErrorCode::kCorrupt, "a file map refers to a difference");
        loaded.base = std::move(base.map);
    }
    AETERNA_ASSIGN(loaded.map, complete_map(std::move(stored), &loaded.base));
    return loaded;
}

Status ManifestCursor::open(const Backup& backup) {
    std::string plain;
    for (const Id& root : backup.manifest) {
        AETERNA_TRY(reader_.read(EntryType::kManifestRoot, root, plain));
        AETERNA_ASSIGN(const auto rows, parse_manifest_rows(bytes_of(plain)));
        rows_.insert(rows_.end(), rows.begin(), rows.end());
    }
    return {};
}

Result<std::vector<FileRecord>> ManifestCursor::blob(std::size_t row) {
    std::string plain;
    AETERNA_TRY(reader_.read(EntryType::kManifest, rows_[row].blob, plain));
    return parse_manifest(bytes_of(plain));
}

Result<const FileRecord*> ManifestCursor::next() {
    while (next_record_ >= records_.size()) {
        if (next_row_ >= rows_.size()) return nullptr;
        AETERNA_ASSIGN(records_, blob(next_row_++));
        next_record_ = 0;
    }
    return &records_[next_record_++];
}

Result<const FileRecord*> RecordFinder::find(std::string_view path) {
    const auto& rows = cursor_.rows();
    const auto after = std::upper_bound(rows.begin(), rows.end(), path, [](std::string_view wanted, const auto& row) {
        return compare_paths(wanted, row.first_path) < 0;
    });
    if (after == rows.begin()) return nullptr;
    const auto row = static_cast<std::size_t>(after - rows.begin()) - 1;
    const auto kept = std::find_if(kept_.begin(), kept_.end(), [&](const Kept& blob) { return blob.row == row; });
    if (kept != kept_.end()) {
        kept_.splice(kept_.begin(), kept_, kept);
    } else {
        AETERNA_ASSIGN(auto records, cursor_.blob(row));
        if (kept_.size() >= kKeptBlobs) kept_.pop_back();
        kept_.push_front({row, std::move(records)});
    }
    const auto& records = kept_.front().records;
    const auto found = std::lower_bound(records.begin(), records.end(), path, [](const FileRecord& record, std::string_view wanted) {
        return compare_paths(record.path, wanted) < 0;
    });
    return found != records.end() && found->path == path ? &*found : nullptr;
}

Result<FileRecord> find_record(EntryReader& reader, const Backup& backup, const std::string& path) {
    RecordFinder finder(reader);
    AETERNA_TRY(finder.cursor().open(backup));
    AETERNA_ASSIGN(const FileRecord* record, finder.find(path));
    if (record != nullptr) return *record;
    return make_error(ErrorCode::kNotFound, fmt::format("'{}' is not in backup '{}'", path, backup.id));
}

}  // namespace aeterna::repository
