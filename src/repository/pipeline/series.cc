#include "repository/pipeline/series.h"

#include "repository/pipeline/live_set.h"

namespace aeterna::repository {

Result<std::optional<Backup>> find_parent(EntryReader& reader, const Backup& header, ManifestCursor& cursor) {
    Catalog& catalog = reader.repository().catalog();
    AETERNA_ASSIGN(const auto ids, catalog.ids(reader.context()));
    for (auto id = ids.rbegin(); id != ids.rend(); ++id) {
        AETERNA_ASSIGN(Backup last, catalog.read(*id, reader.context()));
        if (last.kind != header.kind || last.name != header.name || last.store != header.store) continue;
        const Status opened = cursor.open(last);
        if (!opened && opened.error().code == ErrorCode::kCorrupt) break;
        if (!opened) return opened.error();
        return std::optional<Backup>(std::move(last));
    }
    return std::optional<Backup>();
}

// A prune that runs beside us reads the catalog after it has changed the index; we look at the index after we have
// changed the catalog: one of the two sees the other.
Status commit_backup(EntryReader& reader, const Backup& backup) {
    Repository& repository = reader.repository();
    const env::Context& context = reader.context();
    if (repository.session() != nullptr) AETERNA_TRY(repository.session()->verify(context));
    AETERNA_TRY(repository.catalog().put(backup, random_name(repository.ports().random), context));
    AETERNA_ASSIGN(const bool is_pruned, repository.index().has_lost_segments(context));
    if (!is_pruned) return {};
    AETERNA_TRY(repository.index().refresh(true, context));
    AETERNA_ASSIGN(const bool is_whole, has_everything(reader, backup));
    if (is_whole) return {};
    AETERNA_TRY(repository.storage().remove(backup_object_name(backup.id), context));
    return make_error(ErrorCode::kUnavailable, "a prune has removed what this backup wanted to use again",
                      "Run it again; what it stored is used then.");
}

}  // namespace aeterna::repository
