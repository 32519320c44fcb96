// Helpers: workers of a backup that find nothing left to read pack for those that still do. Without them the last large
// file keeps one core busy and the others wait.
#pragma once

#include <atomic>
#include <string>

#include "repository/pipeline/bounded_queue.h"
#include "repository/pipeline/chunk_store.h"

namespace aeterna::repository {

class Helpers {
  public:
    // Every one of `workers` calls help() in the end, or fails the job.
    Helpers(env::Threads& threads, Job& job, unsigned workers)
        : job_(job), workers_(workers), entries_(threads, kWaitingEntries) {}

    // Copies the entry for a helper; false when there is none, or all have enough to do.
    [[nodiscard]] bool take(EntryType type, const Id& id, Bytes plain);
    // Packs into `lane` what others hand over, until nobody is left who could.
    Status help(ChunkStore::Lane& lane);

  private:
    static constexpr std::size_t kWaitingEntries = 2;
    struct Entry {
        EntryType type = EntryType::kData;
        Id id;
        std::string plain;
    };

    Job& job_;
    const unsigned workers_;
    std::atomic<unsigned> helping_{0};
    BoundedQueue<Entry> entries_;
};

// A worker's way into its own lane, or a helper's. One thread at a time.
class HelpedSink final : public EntrySink {
  public:
    HelpedSink(ChunkStore::Lane& lane, ChunkIndex& index, Helpers& helpers)
        : lane_(lane), index_(index), helpers_(helpers) {}
    Status put(EntryType type, const Id& id, const LentBytes& plain) override;

  private:
    ChunkStore::Lane& lane_;
    ChunkIndex& index_;
    Helpers& helpers_;
};

}  // namespace aeterna::repository
