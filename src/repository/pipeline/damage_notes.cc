#include "repository/pipeline/damage_notes.h"

#include <algorithm>
#include <map>

#include "repository/pipeline/garbage.h"

namespace aeterna::repository {
namespace {

using Notes = std::map<PackId, PackContents>;

void add_note(Notes& notes, const PackId& id, const SealedEntry* entry) {
    PackContents& pack = notes[id];
    pack.id = id;
    if (entry == nullptr) return;
    const auto is_same = [&](const SealedEntry& other) { return other.id == entry->id; };
    if (std::none_of(pack.entries.begin(), pack.entries.end(), is_same)) pack.entries.push_back(*entry);
}

// The form of an index segment wants lengths that can be.
std::vector<PackContents> as_segment(Notes notes) {
    std::vector<PackContents> packs;
    for (auto& [id, pack] : notes) {
        pack.bytes = kPackHeaderBytes;
        for (const SealedEntry& entry : pack.entries) pack.bytes += entry.sealed_bytes;
        packs.push_back(std::move(pack));
    }
    return packs;
}

}  // namespace

Status rewrite_damage_notes(Repository& repository, const std::vector<PackContents>& more,
                            const std::function<bool(const PackId& pack, const Id& entry)>& is_kept,
                            const env::Context& context) {
    AETERNA_ASSIGN(const auto names, list_names(repository.storage(), kDamaged, context));
    Notes notes;
    bool is_changed = !more.empty() || names.size() > 1;
    for (const std::string& name : names) {
        AETERNA_ASSIGN(const auto packs, read_packs(repository, name, context));
        for (const PackContents& pack : packs) {
            if (pack.entries.empty() && is_kept(pack.id, Id{})) add_note(notes, pack.id, nullptr);
            for (const SealedEntry& entry : pack.entries) {
                if (is_kept(pack.id, entry.id)) add_note(notes, pack.id, &entry);
                else is_changed = true;
            }
            is_changed = is_changed || notes.count(pack.id) == 0;
        }
    }
    if (!is_changed) return {};
    for (const PackContents& pack : more) {
        add_note(notes, pack.id, nullptr);
        for (const SealedEntry& entry : pack.entries) add_note(notes, pack.id, &entry);
    }
    if (!notes.empty()) AETERNA_TRY(put_packs(repository, kDamaged, as_segment(std::move(notes)), context));
    for (const std::string& name : names) AETERNA_TRY(repository.storage().remove(name, context));
    return {};
}

}  // namespace aeterna::repository
