#include "repository/pipeline/garbage.h"

#include <algorithm>

namespace aeterna::repository {
namespace {

constexpr std::string_view kIndex = "index/", kGarbage = "garbage/";
constexpr std::string_view kBegun = "garbage/begun-", kDone = "garbage/done-";

}  // namespace

Result<std::vector<PackContents>> read_packs(Repository& repository, const std::string& name,
                                             const env::Context& context) {
    return read_packs(repository.storage(), repository.keys(), name, context);
}

Result<std::vector<std::string>> put_packs(Repository& repository, std::string_view prefix,
                                           std::span<const PackContents> packs, const env::Context& context) {
    const std::string plain = encode_index_segment(packs);
    if (plain.size() > kMaxEntryBytes) {
        AETERNA_ASSIGN(auto names, put_packs(repository, prefix, packs.first(packs.size() / 2), context));
        AETERNA_ASSIGN(const auto more, put_packs(repository, prefix, packs.subspan(packs.size() / 2), context));
        names.insert(names.end(), more.begin(), more.end());
        return names;
    }
    const PackId salt = random_name(repository.ports().random);
    const std::string name = std::string(prefix) + salt.to_hex();
    Compressor compressor;
    const std::string object =
        seal_object(EntryType::kIndexSegment, name, bytes_of(plain), repository.keys(), salt, compressor);
    AETERNA_TRY(repository.storage().put(name, bytes_of(object), PutMode::kIfAbsent, context));
    return std::vector<std::string>{name};
}

Status GarbageNotes::read() {
    notes_.clear();
    AETERNA_TRY(repository_.storage().list(
        std::string(kGarbage),
        [&](const ObjectInfo& object) {
            notes_.push_back({object.name, object.modified, {}});
            return true;
        },
        context_));
    for (Note& note : notes_) {
        AETERNA_ASSIGN(note.packs, read_packs(repository_, note.name, context_));
        repository_.index().know(note.packs);
        for (const PackContents& pack : note.packs) named_.insert(pack_name(pack.id));
    }
    return {};
}

Status GarbageNotes::replace_segments(const std::vector<std::string>& segments,
                                      const std::vector<PackContents>& garbage) {
    if (garbage.empty()) return {};
    AETERNA_ASSIGN(const auto begun, put_packs(repository_, kBegun, garbage, context_));
    for (const std::string& name : segments) AETERNA_TRY(repository_.storage().remove(name, context_));
    AETERNA_TRY(put_packs(repository_, kDone, garbage, context_));
    for (const std::string& name : begun) AETERNA_TRY(repository_.storage().remove(name, context_));
    return read();
}

Status GarbageNotes::bring_back(const LiveSet& live, std::set<std::string>& indexed) {
    std::set<PackId> noted;
    for (const Note& note : notes_) {
        for (const PackContents& pack : note.packs) {
            if (indexed.count(pack_name(pack.id)) == 0) noted.insert(pack.id);
        }
    }
    std::vector<PackContents> needed;
    for (const Note& note : notes_) {
        for (const PackContents& pack : note.packs) {
            if (indexed.count(pack_name(pack.id)) > 0) continue;
            AETERNA_ASSIGN(const bool wanted, is_needed(pack, live, noted));
            if (!wanted) continue;
            needed.push_back(pack);
            indexed.insert(pack_name(pack.id));
        }
    }
    if (!needed.empty()) AETERNA_TRY(put_packs(repository_, kIndex, needed, context_));
    return {};
}

Result<bool> GarbageNotes::is_needed(const PackContents& pack, const LiveSet& live,
                                     const std::set<PackId>& noted) const {
    for (const SealedEntry& entry : pack.entries) {
        if (!live.has(entry.id)) continue;
        AETERNA_ASSIGN(const bool is_elsewhere, repository_.index().has_outside(entry.id, noted));
        if (!is_elsewhere) return true;
    }
    return false;
}

Result<GarbageCount> GarbageNotes::remove(const std::vector<SessionInfo>& others,
                                          const std::set<std::string>& indexed) {
    GarbageCount count;
    Storage& storage = repository_.storage();
    for (const Note& note : notes_) {
        const bool is_done = note.name.compare(0, kDone.size(), kDone) == 0;
        const bool is_watched = std::any_of(others.begin(), others.end(),
                                            [&](const SessionInfo& other) { return other.started <= note.since; });
        for (const PackContents& pack : note.packs) {
            const std::string name = pack_name(pack.id);
            if (indexed.count(name) > 0) continue;
            if (!is_done || is_watched) {
                ++count.waiting_packs;
                continue;
            }
            AETERNA_TRY(storage.remove(name, context_));
            ++count.removed_packs;
            count.removed_bytes += pack.bytes;
        }
        if (is_done && is_watched) continue;
        // A prune that died left its first note: it counts from now on.
        if (!is_done) AETERNA_TRY(put_packs(repository_, kDone, note.packs, context_));
        AETERNA_TRY(storage.remove(note.name, context_));
    }
    return count;
}

}  // namespace aeterna::repository
