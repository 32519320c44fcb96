// ChunkIndex: which entries the repository has and where. The truth are the index segments in the storage; beside them
// stands a cache of sorted runs in a local directory that can be deleted at any time. Entries of this process become
// part of it pack by pack, when their pack is durable, and are put as segments after every 65,536 of them, so that an
// interrupted backup leaves its packs to the next one. Thread-safe.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "env/clock.h"
#include "env/file_tree.h"
#include "repository/index/damage.h"
#include "repository/index/run_file.h"
#include "repository/storage/storage.h"

namespace aeterna::repository {

// What an object of the form of an index segment names: a segment, a note of garbage or of damage.
[[nodiscard]] Result<std::vector<PackContents>> read_packs(Storage& storage, const RepositoryKeys& keys,
                                                           const std::string& name, const env::Context& context);

class ChunkIndex {
  public:
    // Brings the cache in `directory` (which exists) in line with the storage. A damaged cache is built anew.
    [[nodiscard]] static Result<std::unique_ptr<ChunkIndex>> open(Storage& storage, const RepositoryKeys& keys,
                                                                  env::Random& random, env::FileTree& files,
                                                                  const std::string& directory,
                                                                  const env::Context& context);

    // Entries whose pack is durable.
    [[nodiscard]] Result<std::optional<Location>> find(const Id& id) const;
    // True: the caller is the first and has to store it. False: it is there, or somebody in this process stores it.
    [[nodiscard]] Result<bool> claim(const Id& id);
    // `pack` is durable: its entries can be found; perhaps puts a segment.
    Status add_pack(PackContents pack, const env::Context& context);
    // Puts what was added since the last segment.
    Status flush(const env::Context& context);

    // Fetches segments that came since. With `is_exact` what the storage has no more is forgotten too; nobody else may
    // use the index meanwhile.
    Status refresh(bool is_exact, const env::Context& context);
    // A segment that this index was built of is gone from the storage: somebody has pruned.
    [[nodiscard]] Result<bool> has_lost_segments(const env::Context& context) const;
    // Lets entries of packs be found that no segment names, where nothing else has them.
    void know(const std::vector<PackContents>& packs);
    // Whether the entry is in some pack that is not in `packs`.
    [[nodiscard]] Result<bool> has_outside(const Id& id, const std::set<PackId>& packs) const;

    // What a check found damaged is passed over from now on.
    void learn_damage(const std::vector<PackContents>& packs);
    // What the storage says about damage now.
    Status reload_damage(const env::Context& context);
    [[nodiscard]] bool has_damage() const;
    [[nodiscard]] bool is_damaged(const Location& row) const;
    [[nodiscard]] bool is_damaged(const PackId& pack) const;

    // Every entry, damaged ones too, in no order of use to anybody; stops at the first error of `each`.
    Status for_each(const std::function<Status(const Location&)>& each) const;
    // Index segments in the storage.
    [[nodiscard]] std::size_t segments() const;

  private:
    ChunkIndex(Storage& storage, const RepositoryKeys& keys, env::Random& random, env::FileTree& files,
               std::string directory)
        : storage_(storage), keys_(keys), random_(random), files_(files), directory_(std::move(directory)) {}
    using Runs = std::vector<std::shared_ptr<RunFile>>;
    Status synchronise(const env::Context& context);
    [[nodiscard]] Result<std::map<std::string, PackId>> list_segments(const env::Context& context) const;
    Status fetch_missing(const std::map<std::string, PackId>& segments, const env::Context& context);
    Status load_runs(const std::map<std::string, PackId>& segments);
    Status fetch(const std::string& name, const PackId& segment, const env::Context& context);
    Status put_segment(std::vector<PackContents> packs, const env::Context& context);
    Status add_run(const PackId& segment, const std::vector<PackContents>& packs);
    Status merge_runs();
    [[nodiscard]] Runs runs() const;

    Storage& storage_;
    const RepositoryKeys& keys_;
    env::Random& random_;
    env::FileTree& files_;
    const std::string directory_;

    mutable std::mutex mutex_;  // never held while something blocks for long
    Runs runs_;
    std::unordered_set<Id, IdHash> claimed_;
    std::unordered_map<Id, Location, IdHash> fresh_;  // durable, not yet in a run
    std::unordered_map<Id, Location, IdHash> noted_;  // of packs on their way out
    std::vector<PackContents> pending_;               // packs of fresh_
    std::size_t pending_entries_ = 0;
    DamageSet damage_;
};

}  // namespace aeterna::repository
