// What every kind of backup does at its two ends: finding the last one of its series, and becoming visible.
#pragma once

#include <optional>

#include "repository/pipeline/entry_reader.h"

namespace aeterna::repository {

// The newest backup of the same kind, store and name, its manifest opened in `cursor`. Nothing when there is none, or
// its manifest is damaged: then everything is read, and stored anew where it is missing.
[[nodiscard]] Result<std::optional<Backup>> find_parent(EntryReader& reader, const Backup& header,
                                                        ManifestCursor& cursor);

// Everything that `backup` refers to is durable: puts its catalog entry. kUnavailable when a prune has taken something
// of it meanwhile; then there is no entry.
Status commit_backup(EntryReader& reader, const Backup& backup);

}  // namespace aeterna::repository
