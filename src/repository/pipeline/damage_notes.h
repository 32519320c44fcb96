// Damage notes (index/damage.h) in the storage: written by checks, cleared by prunes.
#pragma once

#include <functional>
#include <vector>

#include "repository/repository.h"

namespace aeterna::repository {

// Adds `more` and keeps of the present notes what `is_kept` says; the new note is there before the old ones go. Only the
// entries of `more` count, not its lengths.
Status rewrite_damage_notes(Repository& repository, const std::vector<PackContents>& more,
                            const std::function<bool(const PackId& pack, const Id& entry)>& is_kept,
                            const env::Context& context);

}  // namespace aeterna::repository
