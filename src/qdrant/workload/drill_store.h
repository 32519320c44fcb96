// Qdrant's side of a drill: a collection of its own per drill, writers, reading back. Q1 breaks
// nothing here: Qdrant has no primary; it is written to, watched and measured.
#pragma once

#include "engine/drill/drill_store.h"
#include "qdrant/settings.h"

namespace aeterna::qdrant {

// "aeterna_dr_drill_" and the id with everything but letters, digits, '-' and '_' replaced.
[[nodiscard]] std::string drill_collection(const std::string& drill_id);

// `env` must outlive it.
[[nodiscard]] std::unique_ptr<engine::DrillStore> make_drill_store(SettingsPointer settings,
                                                                   const env::Env& env);

}  // namespace aeterna::qdrant
