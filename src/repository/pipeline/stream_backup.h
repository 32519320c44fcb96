// Back up what arrives as a stream: files one after the other, each with its size before its content or ending when it
// ends, in any order of paths (a base backup's tar, the output of pg_dump). The caller receives; one thread cuts, hashes and compares with the last backup of
// the series; threads of ParallelSink pack. Bounded memory for content; a few hundred bytes stay for each file until
// the end, when the records are sorted into the manifest.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "repository/pipeline/backup.h"
#include "repository/pipeline/bundle.h"
#include "repository/pipeline/parallel_sink.h"

namespace aeterna::repository {

struct StreamBackupRequest {
    Backup header;  // kind, store, name, node, versions, details; the rest is filled in
    unsigned workers = 2;
    ProgressCallback progress;  // called by the calling thread now and then
};

// One thread at a time. After an error nothing will be in the catalog; the first error of any thread is what the next
// call, or finish(), returns. The index is open.
class StreamBackup {
  public:
    StreamBackup(Repository& repository, StreamBackupRequest request, const env::Context& context);
    ~StreamBackup();

    // Compares with the last backup of the series, and starts the threads.
    Status begin();
    // What the backup's entry in the catalog will say, as far as it is known; may be changed until finish().
    [[nodiscard]] Backup& header() { return result_.backup; }
    void expect_bytes(std::uint64_t bytes) { expected_bytes_ = bytes; }

    // A directory, or a link to `target`. kProtocol for a path that leads out of the backup.
    Status add_node(const std::string& path, const env::NodeInfo& info, std::string target = "");
    // A file of info.size bytes, which follow.
    Status begin_file(const std::string& path, const env::NodeInfo& info);
    // A file that is as long as what is appended to it; info.size does not matter.
    Status begin_open_file(const std::string& path, const env::NodeInfo& info);
    Status append(Bytes content);
    // kProtocol when bytes are missing.
    Status end_file();

    // Makes everything durable and puts the catalog entry. kProtocol when a path came twice or its directory did not
    // come at all.
    [[nodiscard]] Result<BackupResult> finish() { return job_.outcome(complete()); }

  private:
    [[nodiscard]] Result<BackupResult> complete();
    class Source;

    // A part of one file's content; the first one brings the record.
    struct Block {
        std::shared_ptr<FileRecord> record;
        std::shared_ptr<std::string> bytes;  // nothing before the first one came; not changed once it is on its way
        bool is_open_ended = false;  // the record's size is not known yet
        bool is_last = false;        // of an open-ended file
    };
    // A complete record in the manifest's own form, which is a tenth of the other.
    struct Encoded {
        std::string path, record;
    };

    Status start_record(const std::string& path, const env::NodeInfo& info, FileRecord& record);
    Status push_block();
    void keep(const FileRecord& record);

    void cut_files();
    Status cut_file(Block first);
    Status cut_small(const Block& block);
    Status cut_large(Block first);
    Status cut_open(Block first);
    Status push_bundle();
    [[nodiscard]] Result<const FileRecord*> previous_of(const FileRecord& record);

    Status write_manifest();

    Repository& repository_;
    const StreamBackupRequest request_;
    Job job_;
    ChunkStore store_;
    BoundedQueue<Block> blocks_;
    std::uint64_t expected_bytes_ = 0, received_bytes_ = 0;
    ProgressPace pace_;
    BackupResult result_;

    // The calling thread's.
    std::shared_ptr<FileRecord> open_;  // the file whose content is coming
    std::uint64_t open_left_ = 0;
    bool is_open_ended_ = false;
    Block block_;
    bool has_begun_ = false;

    // The cutting thread's, until it is joined.
    EntryReader reader_;
    RecordFinder previous_;
    bool has_previous_ = false;
    ParallelSink sink_;
    SegmentStore segments_;
    Bundle bundle_;
    std::vector<std::shared_ptr<FileRecord>> bundled_;
    std::vector<Encoded> cut_;

    std::vector<Encoded> nodes_;  // directories, links and empty files: the calling thread's
    std::unique_ptr<env::Thread> cutter_;
};

}  // namespace aeterna::repository
