// The side of a backup that touches content: what a worker thread does with one task. See backup.h for the whole.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "repository/pipeline/bundle.h"
#include "repository/pipeline/helpers.h"

namespace aeterna::repository {

// One node on its way into the manifest.
struct BackupItem {
    FileRecord record;
    std::optional<FileRecord> previous;  // the same path in the parent
    std::vector<Id> digests;             // of the segments
    std::atomic<unsigned> segments_left{0};
    std::atomic<bool> is_open{false};    // workers still write into it
    std::atomic<bool> is_gone{false};    // vanished or unreadable: left out
};
using BackupItemPtr = std::shared_ptr<BackupItem>;

struct BackupTask {
    std::vector<BackupItemPtr> bundle;  // small files, or
    BackupItemPtr item;                 // one segment of a large one
    std::shared_ptr<env::SourceFile> file;
    std::size_t segment = 0;
};

// One thread at a time.
class BackupWorker {
  public:
    // `problem` may be called from this thread at any time.
    BackupWorker(Repository& repository, ChunkStore& store, Helpers& helpers, const std::string& from,
                 const env::Context& context, std::function<void(std::string)> problem)
        : repository_(repository), from_(from), lane_(store.make_lane()), helpers_(helpers),
          sink_(*lane_, repository.index(), helpers), reader_(repository, context), segments_(sink_, reader_),
          problem_(std::move(problem)), bundle_(repository.keys()) {}

    // The items of the task are complete when it returns without error.
    Status run(const BackupTask& task) { return task.item ? store_segment(task) : store_bundle(task); }
    // No task is left: helps the others with theirs, then hands over what it has packed.
    Status finish();
    // Of all tasks so far.
    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

  private:
    Status store_segment(const BackupTask& task);
    Status store_bundle(const BackupTask& task);
    void add_to_bundle(BackupItem& item);
    void note_change(env::SourceFile& file, const BackupItem& item, bool is_short);
    void leave_out(BackupItem& item, const Error& error);

    Repository& repository_;
    const std::string& from_;
    std::unique_ptr<ChunkStore::Lane> lane_;
    Helpers& helpers_;
    HelpedSink sink_;
    EntryReader reader_;
    SegmentStore segments_;
    std::function<void(std::string)> problem_;
    Bundle bundle_;
    std::atomic<std::uint64_t> bytes_{0};
};

}  // namespace aeterna::repository
