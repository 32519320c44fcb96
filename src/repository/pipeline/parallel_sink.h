// ParallelSink: hands new entries to threads of its own, which compress, encrypt and pack them. Who cuts and hashes one
// file is not held up by that, and one large file keeps all cores busy.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "repository/pipeline/bounded_queue.h"
#include "repository/pipeline/chunk_store.h"

namespace aeterna::repository {

class ParallelSink final : public EntrySink {
  public:
    // Lives shorter than all of them.
    ParallelSink(ChunkStore& store, ChunkIndex& index, env::Threads& threads, Job& job, unsigned workers);
    ~ParallelSink() override;

    // Waits while `workers` entries wait already. What has no owner is copied.
    Status put(EntryType type, const Id& id, const LentBytes& plain) override;
    // No put() afterwards. Everything was handed to the store when it returns; errors are the job's.
    void finish();

  private:
    struct Entry {
        EntryType type = EntryType::kData;
        Id id;
        LentBytes plain;  // with its owner
    };
    void work();

    ChunkStore& store_;
    ChunkIndex& index_;
    Job& job_;
    BoundedQueue<Entry> entries_;
    std::vector<std::unique_ptr<env::Thread>> threads_;
};

}  // namespace aeterna::repository
