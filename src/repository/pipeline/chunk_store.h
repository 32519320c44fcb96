// ChunkStore: takes named plain entries from many threads and turns them into durable packs. Each thread has a lane
// with its own open pack, so that compression and encryption share nothing; finished packs are committed by threads of
// their own, at most a few at a time: when the storage is slower, the lanes wait.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "base/lent_bytes.h"
#include "repository/index/chunk_index.h"
#include "repository/pipeline/bounded_queue.h"
#include "repository/pipeline/job.h"
#include "repository/ports.h"
#include "repository/storage/storage.h"

namespace aeterna::repository {

// Where the entries of a file go. One thread at a time.
class EntrySink {
  public:
    virtual ~EntrySink() = default;
    // Stores the entry unless the repository has it or somebody in this process stores it.
    virtual Status put(EntryType type, const Id& id, const LentBytes& plain) = 0;
};

class ChunkStore {
  public:
    class Lane;

    ChunkStore(Storage& storage, const RepositoryKeys& keys, ChunkIndex& index, const Ports& ports, Job& job);
    ~ChunkStore();

    // Lives shorter than the store. One thread at a time.
    [[nodiscard]] std::unique_ptr<Lane> make_lane();
    // Every lane has finished: waits for the commits and puts the index segment.
    Status finish();
    // Of the packs that are durable.
    [[nodiscard]] std::uint64_t stored_bytes() const { return stored_bytes_; }

  private:
    struct FinishedPack {
        std::unique_ptr<ObjectWriter> writer;
        PackContents contents;
    };
    void commit_packs();
    Status commit(FinishedPack& pack);

    Storage& storage_;
    const RepositoryKeys& keys_;
    ChunkIndex& index_;
    Ports ports_;
    Job& job_;
    BoundedQueue<FinishedPack> finished_;
    std::atomic<std::uint64_t> stored_bytes_{0};
    std::vector<std::unique_ptr<env::Thread>> committers_;
};

class ChunkStore::Lane final : public EntrySink {
  public:
    explicit Lane(ChunkStore& store) : store_(store) {}
    Status put(EntryType type, const Id& id, const LentBytes& plain) override;
    // Stores the entry whatever the index says: out of a pack that goes.
    Status put_again(EntryType type, const Id& id, Bytes plain);
    // Names the entry by its content and stores it.
    [[nodiscard]] Result<Id> put_named(EntryType type, Bytes plain);
    // Hands the open pack over.
    Status finish();

  private:
    Status begin_pack();
    Status flush();

    ChunkStore& store_;
    Compressor compressor_;
    std::unique_ptr<PackBuilder> builder_;
    std::unique_ptr<ObjectWriter> writer_;
};

}  // namespace aeterna::repository
