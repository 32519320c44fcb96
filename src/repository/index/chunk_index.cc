#include "repository/index/chunk_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "repository/catalog.h"
#include "repository/index/merge_runs.h"

namespace aeterna::repository {
namespace {

constexpr std::string_view kIndexRuns = "index/";
constexpr std::size_t kSegmentEntries = 65536;
constexpr std::size_t kMostRuns = 8;  // each is one more small read for an unknown id

std::optional<PackId> parse_name(std::string_view hex) {
    PackId id;
    if (hex.size() != 2 * id.bytes.size()) return std::nullopt;
    for (std::size_t i = 0; i < id.bytes.size(); ++i) {
        int value = 0;
        for (const char c : hex.substr(2 * i, 2)) {
            const std::size_t digit = std::string_view("0123456789abcdef").find(c);
            if (digit == std::string_view::npos) return std::nullopt;
            value = value * 16 + static_cast<int>(digit);
        }
        id.bytes[i] = static_cast<char>(value);
    }
    return id;
}

bool ends_with(std::string_view text, std::string_view end) {
    return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

}  // namespace

Result<std::vector<PackContents>> read_packs(Storage& storage, const RepositoryKeys& keys, const std::string& name,
                                             const env::Context& context) {
    AETERNA_ASSIGN(const std::string object, read_object(storage, name, 2 * kMaxEntryBytes, context));
    Compressor compressor;
    AETERNA_ASSIGN(const std::string plain,
                   open_object(EntryType::kIndexSegment, name, bytes_of(object), keys, compressor));
    return parse_index_segment(bytes_of(plain));
}

Result<std::unique_ptr<ChunkIndex>> ChunkIndex::open(Storage& storage, const RepositoryKeys& keys, env::Random& random,
                                                     env::FileTree& files, const std::string& directory,
                                                     const env::Context& context) {
    std::unique_ptr<ChunkIndex> index(new ChunkIndex(storage, keys, random, files, directory));
    AETERNA_TRY(index->synchronise(context));
    return index;
}

Result<std::map<std::string, PackId>> ChunkIndex::list_segments(const env::Context& context) const {
    std::map<std::string, PackId> segments;
    AETERNA_TRY(storage_.list(
        std::string(kIndexRuns),
        [&](const ObjectInfo& object) {
            if (const auto id = parse_name(std::string_view(object.name).substr(kIndexRuns.size()))) {
                segments.emplace(object.name, *id);
            }
            return true;
        },
        context));
    return segments;
}

Status ChunkIndex::synchronise(const env::Context& context) {
    AETERNA_ASSIGN(const auto segments, list_segments(context));
    AETERNA_TRY(reload_damage(context));
    AETERNA_TRY(load_runs(segments));
    AETERNA_TRY(fetch_missing(segments, context));
    return runs_.size() > kMostRuns ? merge_runs() : Status();
}

Status ChunkIndex::fetch_missing(const std::map<std::string, PackId>& segments, const env::Context& context) {
    std::set<PackId> known;
    for (const auto& run : runs()) known.insert(run->segments().begin(), run->segments().end());
    for (const auto& [name, id] : segments) {
        if (known.count(id) == 0) AETERNA_TRY(fetch(name, id, context));
    }
    return {};
}

Status ChunkIndex::refresh(bool is_exact, const env::Context& context) {
    AETERNA_ASSIGN(const auto segments, list_segments(context));
    if (is_exact) {
        {
            const std::lock_guard lock(mutex_);
            runs_.clear();
            fresh_.clear();
        }
        AETERNA_TRY(reload_damage(context));
        AETERNA_TRY(load_runs(segments));
    }
    return fetch_missing(segments, context);
}

Result<bool> ChunkIndex::has_lost_segments(const env::Context& context) const {
    AETERNA_ASSIGN(const auto segments, list_segments(context));
    std::set<PackId> present;
    for (const auto& [name, id] : segments) present.insert(id);
    for (const auto& run : runs()) {
        for (const PackId& id : run->segments()) {
            if (present.count(id) == 0) return true;
        }
    }
    return false;
}

void ChunkIndex::know(const std::vector<PackContents>& packs) {
    const std::lock_guard lock(mutex_);
    for (const PackContents& pack : packs) {
        for (const Location& place : locations_of(pack)) noted_.emplace(place.entry.id, place);
    }
}

Result<bool> ChunkIndex::has_outside(const Id& id, const std::set<PackId>& packs) const {
    {
        const std::lock_guard lock(mutex_);
        const auto found = fresh_.find(id);
        if (found != fresh_.end() && packs.count(found->second.pack) == 0) return true;
    }
    for (const auto& run : runs()) {
        AETERNA_ASSIGN(const auto found, run->find(id));
        if (found && packs.count(found->pack) == 0 && !is_damaged(*found)) return true;
    }
    return false;
}

Status ChunkIndex::reload_damage(const env::Context& context) {
    AETERNA_ASSIGN(const auto names, list_names(storage_, kDamaged, context));
    DamageSet damage;
    for (const std::string& name : names) {
        AETERNA_ASSIGN(const auto packs, read_packs(storage_, keys_, name, context));
        damage.add(packs);
    }
    const std::lock_guard lock(mutex_);
    damage_ = std::move(damage);
    return {};
}

void ChunkIndex::learn_damage(const std::vector<PackContents>& packs) {
    const std::lock_guard lock(mutex_);
    damage_.add(packs);
}

bool ChunkIndex::has_damage() const {
    const std::lock_guard lock(mutex_);
    return !damage_.is_empty();
}

bool ChunkIndex::is_damaged(const Location& row) const {
    const std::lock_guard lock(mutex_);
    return damage_.has(row.pack, row.entry.id);
}

bool ChunkIndex::is_damaged(const PackId& pack) const {
    const std::lock_guard lock(mutex_);
    return damage_.has_pack(pack);
}

// A run that knows a segment which is gone, or that does not read, is removed; its segments are fetched again.
Status ChunkIndex::load_runs(const std::map<std::string, PackId>& segments) {
    std::set<PackId> present;
    for (const auto& [name, id] : segments) present.insert(id);
    AETERNA_ASSIGN(const auto entries, files_.entries(directory_));
    for (const env::NodeEntry& entry : entries) {
        const std::string path = directory_ + "/" + entry.name;
        if (ends_with(entry.name, ".new")) AETERNA_TRY(files_.remove(path));
        if (!ends_with(entry.name, ".run")) continue;
        Result<std::unique_ptr<RunFile>> run = RunFile::open(files_, path, keys_.content);
        const bool is_current = run && std::all_of((*run)->segments().begin(), (*run)->segments().end(),
                                                   [&](const PackId& id) { return present.count(id) > 0; });
        if (is_current) {
            runs_.emplace_back(std::move(*run));
        } else {
            AETERNA_TRY(files_.remove(path));
        }
    }
    return {};
}

Status ChunkIndex::fetch(const std::string& name, const PackId& segment, const env::Context& context) {
    AETERNA_ASSIGN(const auto packs, read_packs(storage_, keys_, name, context));
    return add_run(segment, packs);
}

Status ChunkIndex::add_run(const PackId& segment, const std::vector<PackContents>& packs) {
    std::vector<Location> rows;
    std::vector<PackId> ids;
    for (const PackContents& pack : packs) {
        ids.push_back(pack.id);
        const auto places = locations_of(pack);
        rows.insert(rows.end(), places.begin(), places.end());
    }
    std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.entry.id < b.entry.id; });
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    const std::string path = fmt::format("{}/{}.run", directory_, segment.to_hex());
    RunWriter writer(files_, path, keys_.content);
    AETERNA_TRY(writer.begin({segment}, std::move(ids)));
    for (const Location& row : rows) AETERNA_TRY(writer.add(row));
    AETERNA_TRY(writer.finish());
    AETERNA_ASSIGN(std::shared_ptr<RunFile> run, RunFile::open(files_, path, keys_.content));
    const std::lock_guard lock(mutex_);
    runs_.push_back(std::move(run));
    return {};
}

// Only at opening time: nobody else looks at the runs.
Status ChunkIndex::merge_runs() {
    const std::string path = fmt::format("{}/{}.run", directory_, random_name(random_).to_hex());
    // Of an entry in two places the sound one is kept.
    const auto is_worse = [this](const Location& row) { return is_damaged(row); };
    AETERNA_ASSIGN(std::shared_ptr<RunFile> merged,
                   repository::merge_runs(files_, runs_, is_worse, path, keys_.content));
    for (const auto& run : runs_) AETERNA_TRY(files_.remove(run->path()));
    runs_ = {std::move(merged)};
    return {};
}

ChunkIndex::Runs ChunkIndex::runs() const {
    const std::lock_guard lock(mutex_);
    return runs_;
}

std::size_t ChunkIndex::segments() const {
    std::size_t count = 0;
    for (const auto& run : runs()) count += run->segments().size();
    return count;
}

Result<std::optional<Location>> ChunkIndex::find(const Id& id) const {
    Runs runs;
    {
        const std::lock_guard lock(mutex_);
        const auto found = fresh_.find(id);
        if (found != fresh_.end() && !damage_.has(found->second.pack, id)) return std::optional(found->second);
        runs = runs_;
    }
    for (const auto& run : runs) {
        AETERNA_ASSIGN(const auto found, run->find(id));
        if (found && !is_damaged(*found)) return found;
    }
    // Last: a prune that died may have removed the pack, and what was needed of it is elsewhere.
    const std::lock_guard lock(mutex_);
    const auto found = noted_.find(id);
    return found == noted_.end() ? std::optional<Location>() : std::optional(found->second);
}

Result<bool> ChunkIndex::claim(const Id& id) {
    {
        const std::lock_guard lock(mutex_);
        if (claimed_.count(id) > 0 || fresh_.count(id) > 0) return false;
    }
    AETERNA_ASSIGN(const auto found, find(id));
    if (found) return false;
    const std::lock_guard lock(mutex_);
    return claimed_.insert(id).second;
}

Status ChunkIndex::add_pack(PackContents pack, const env::Context& context) {
    std::vector<PackContents> full;
    {
        const std::lock_guard lock(mutex_);
        for (const Location& place : locations_of(pack)) {
            fresh_.emplace(place.entry.id, place);
            claimed_.erase(place.entry.id);
        }
        pending_entries_ += pack.entries.size();
        pending_.push_back(std::move(pack));
        if (pending_entries_ < kSegmentEntries) return {};
        full = std::exchange(pending_, {});
        pending_entries_ = 0;
    }
    return put_segment(std::move(full), context);
}

Status ChunkIndex::flush(const env::Context& context) {
    std::vector<PackContents> packs;
    {
        const std::lock_guard lock(mutex_);
        packs = std::exchange(pending_, {});
        pending_entries_ = 0;
    }
    return packs.empty() ? Status() : put_segment(std::move(packs), context);
}

Status ChunkIndex::put_segment(std::vector<PackContents> packs, const env::Context& context) {
    const PackId id = random_name(random_);
    const std::string name = std::string(kIndexRuns) + id.to_hex();
    Compressor compressor;
    const std::string object =
        seal_object(EntryType::kIndexSegment, name, bytes_of(encode_index_segment(packs)), keys_, id, compressor);
    AETERNA_TRY(storage_.put(name, bytes_of(object), PutMode::kIfAbsent, context));
    AETERNA_TRY(add_run(id, packs));
    const std::lock_guard lock(mutex_);
    for (const PackContents& pack : packs) {
        for (const SealedEntry& entry : pack.entries) fresh_.erase(entry.id);
    }
    return {};
}

Status ChunkIndex::for_each(const std::function<Status(const Location&)>& each) const {
    for (const auto& run : runs()) {
        for (std::uint64_t first = 0; first < run->size(); first += 4096) {
            AETERNA_ASSIGN(const auto rows, run->rows(first, 4096));
            for (const Location& row : rows) AETERNA_TRY(each(row));
        }
    }
    return {};
}

}  // namespace aeterna::repository
