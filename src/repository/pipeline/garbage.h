// Garbage notes: packs that no index names any more, remembered until nobody can be reading them. A note
// "garbage/begun-…" is put before the old index segments go and "garbage/done-…" after: only from then on it counts, so
// that a prune that died between the two deletes nothing. Notes have the form of index segments.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "repository/pipeline/live_set.h"
#include "repository/sessions.h"

namespace aeterna::repository {

[[nodiscard]] Result<std::vector<PackContents>> read_packs(Repository& repository, const std::string& name,
                                                           const env::Context& context);
// As one object below `prefix`, or several where one would be too large; their names.
[[nodiscard]] Result<std::vector<std::string>> put_packs(Repository& repository, std::string_view prefix,
                                                         std::span<const PackContents> packs,
                                                         const env::Context& context);

struct GarbageCount {
    std::uint64_t removed_packs = 0, removed_bytes = 0, waiting_packs = 0;
};

class GarbageNotes {
  public:
    GarbageNotes(Repository& repository, const env::Context& context) : repository_(repository), context_(context) {}

    // Those of earlier prunes. Their entries can be found by the index from now on.
    Status read();
    // The new segments stand: notes `garbage`, removes the old segments, notes that it is done.
    Status replace_segments(const std::vector<std::string>& segments, const std::vector<PackContents>& garbage);
    // Packs with something that is live and nowhere else are named by the index again, and added to `indexed`.
    Status bring_back(const LiveSet& live, std::set<std::string>& indexed);
    // Removes the packs of notes that nobody watches; `others` are the live sessions of others.
    [[nodiscard]] Result<GarbageCount> remove(const std::vector<SessionInfo>& others,
                                              const std::set<std::string>& indexed);
    // Some note, also one that is gone meanwhile, named this pack.
    [[nodiscard]] bool has_named(const std::string& pack) const { return named_.count(pack) > 0; }

  private:
    struct Note {
        std::string name;
        WallTime since{};
        std::vector<PackContents> packs;
    };
    [[nodiscard]] Result<bool> is_needed(const PackContents& pack, const LiveSet& live,
                                         const std::set<PackId>& noted) const;

    Repository& repository_;
    env::Context context_;
    std::vector<Note> notes_;
    std::set<std::string> named_;
};

}  // namespace aeterna::repository
