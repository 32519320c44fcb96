#include "repository/pipeline/stream_backup.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "repository/pipeline/live_set.h"
#include "repository/pipeline/manifest_store.h"
#include "repository/pipeline/series.h"

namespace aeterna::repository {
namespace {

constexpr std::size_t kBlockBytes = 1 << 20;
constexpr std::size_t kMostWaitingBlocks = 16;

Error bad_stream(std::string_view path, std::string_view why) {
    return make_error(ErrorCode::kProtocol, fmt::format("'{}' {}", path, why));
}

std::string_view directory_of(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

}  // namespace

// The blocks of one file as a file that is read once from its front. It ends where blocks end to come: a stream that
// broke off ends the job, and nothing of the file is kept.
class StreamBackup::Source final : public env::SourceFile {
  public:
    Source(BoundedQueue<Block>& blocks, Job& job, Block first) : blocks_(blocks), job_(job), block_(std::move(first)) {}

    Result<std::size_t> read_at(std::uint64_t offset, std::span<char> into) override {
        if (offset != place_) return make_error(ErrorCode::kInternal, "a stream was not read in order");
        std::size_t got = 0;
        while (got < into.size()) {
            AETERNA_ASSIGN(const Bytes there, look_ahead());
            if (there.empty()) break;
            const std::size_t part = std::min(into.size() - got, there.size());
            std::copy_n(there.data(), part, into.data() + got);
            used_ += part;
            got += part;
        }
        place_ += got;
        return got;
    }
    Result<std::optional<LentBytes>> lend(std::uint64_t offset, std::size_t bytes) override {
        if (offset != place_) return make_error(ErrorCode::kInternal, "a stream was not read in order");
        AETERNA_ASSIGN(const Bytes there, look_ahead());
        if (there.size() < bytes) return std::nullopt;
        used_ += bytes;
        place_ += bytes;
        return LentBytes{there.first(bytes), block_.bytes};
    }
    Result<std::uint64_t> next_data(std::uint64_t offset) override { return offset; }
    Result<env::NodeInfo> look() override { return make_error(ErrorCode::kInternal, "a stream has no attributes"); }

  private:
    // What is left of the present block, or the next one; nothing at the file's end.
    Result<Bytes> look_ahead() {
        while (!block_.bytes || used_ == block_.bytes->size()) {
            if (block_.is_last) return Bytes();
            auto next = blocks_.pop(job_.context());
            if (!next) return job_.reason();
            block_ = std::move(*next);
            used_ = 0;
        }
        return bytes_of(*block_.bytes).subspan(used_);
    }

    BoundedQueue<Block>& blocks_;
    Job& job_;
    Block block_;
    std::size_t used_ = 0;
    std::uint64_t place_ = 0;
};

StreamBackup::StreamBackup(Repository& repository, StreamBackupRequest request, const env::Context& context)
    : repository_(repository),
      request_(std::move(request)),
      job_(context),
      store_(repository.storage(), repository.keys(), repository.index(), repository.ports(), job_),
      blocks_(repository.ports().threads, kMostWaitingBlocks),
      pace_(request_.progress, repository.ports().clock),
      reader_(repository, job_.context()),
      previous_(reader_),
      sink_(store_, repository.index(), repository.ports().threads, job_, request_.workers),
      segments_(sink_, reader_),
      bundle_(repository.keys()) {
    result_.backup = request_.header;
    result_.backup.started_at = repository.ports().clock.wall_now();
    result_.backup.id = make_backup_id(result_.backup.started_at, repository.ports().random.next());
}

// Whatever happened, no thread is left waiting.
StreamBackup::~StreamBackup() {
    job_.fail(make_error(ErrorCode::kCancelled, "the backup was given up"));
    blocks_.close();
    if (cutter_) cutter_->join();
}

Status StreamBackup::begin() {
    AETERNA_ASSIGN(const auto last, find_parent(reader_, request_.header, previous_.cursor()));
    has_previous_ = last.has_value();
    if (last) {
        result_.backup.parent = last->id;
        expected_bytes_ = last->bytes;
    }
    cutter_ = repository_.ports().threads.start("repo-cut", [this](const std::stop_token&) { cut_files(); });
    has_begun_ = true;
    return {};
}

// ---------------------------------------------------------------------------------------------- the caller's side

Status StreamBackup::start_record(const std::string& path, const env::NodeInfo& info, FileRecord& record) {
    AETERNA_TRY(job_.status());
    if (open_) return make_error(ErrorCode::kInternal, "a file is still open");
    if (!is_safe_path(path)) return bad_stream(path, "leads out of the backup");
    record.path = path;
    record.info = info;
    return {};
}

Status StreamBackup::add_node(const std::string& path, const env::NodeInfo& info, std::string target) {
    FileRecord record;
    AETERNA_TRY(start_record(path, info, record));
    record.target = std::move(target);
    ManifestWriter writer;
    writer.add(record);
    nodes_.push_back({path, writer.take()});
    return {};
}

Status StreamBackup::begin_file(const std::string& path, const env::NodeInfo& info) {
    auto record = std::make_shared<FileRecord>();
    AETERNA_TRY(start_record(path, info, *record));
    record->info.type = env::NodeType::kFile;
    open_ = record;
    open_left_ = info.size;
    is_open_ended_ = false;
    block_ = {};
    block_.record = std::move(record);
    return {};
}

Status StreamBackup::begin_open_file(const std::string& path, const env::NodeInfo& info) {
    AETERNA_TRY(begin_file(path, info));
    open_left_ = std::numeric_limits<std::uint64_t>::max();
    block_.is_open_ended = is_open_ended_ = true;
    return {};
}

Status StreamBackup::append(Bytes content) {
    if (!open_) return make_error(ErrorCode::kInternal, "no file is open");
    if (content.size() > open_left_) return bad_stream(open_->path, "is longer than it was announced");
    open_left_ -= content.size();
    received_bytes_ += content.size();
    while (!content.empty()) {
        if (!block_.bytes) {
            block_.bytes = std::make_shared<std::string>();
            block_.bytes->reserve(
                is_open_ended_ ? kBlockBytes
                               : static_cast<std::size_t>(std::min<std::uint64_t>(kBlockBytes, content.size() + open_left_)));
        }
        const std::size_t part = std::min(content.size(), kBlockBytes - block_.bytes->size());
        block_.bytes->append(content.data(), part);
        content = content.subspan(part);
        if (block_.bytes->size() == kBlockBytes) AETERNA_TRY(push_block());
    }
    return {};
}

Status StreamBackup::push_block() {
    pace_.tell({result_.backup.files, received_bytes_, std::max(expected_bytes_, received_bytes_)});
    return blocks_.push(std::exchange(block_, {}), job_.context()) ? Status() : Status(job_.reason());
}

Status StreamBackup::end_file() {
    if (!open_) return make_error(ErrorCode::kInternal, "no file is open");
    if (is_open_ended_) {
        if (!block_.record) {  // an earlier block of it is on its way: the cutting thread waits for the last one
            block_.is_last = true;
            AETERNA_TRY(push_block());
            open_.reset();
            return {};
        }
        block_.is_open_ended = false;
        open_->info.size = block_.bytes ? block_.bytes->size() : 0;
        open_left_ = 0;
    }
    if (open_left_ > 0) return bad_stream(open_->path, "is shorter than it was announced");
    if (open_->info.size == 0) {
        const std::shared_ptr<FileRecord> record = std::exchange(open_, nullptr);
        return add_node(record->path, record->info);
    }
    if (block_.bytes) AETERNA_TRY(push_block());
    open_.reset();
    return {};
}

// ---------------------------------------------------------------------------------------------- the cutting thread

void StreamBackup::cut_files() {
    while (auto block = blocks_.pop(job_.context())) {
        if (!job_.check(cut_file(std::move(*block)))) return;
    }
    if (job_.status()) job_.check(push_bundle());
}

Status StreamBackup::cut_file(Block first) {
    if (!first.record) return make_error(ErrorCode::kInternal, "a block of a stream has no file");
    if (first.is_open_ended) return cut_open(std::move(first));
    return first.record->info.size <= kSmallFileBytes ? cut_small(first) : cut_large(std::move(first));
}

Result<const FileRecord*> StreamBackup::previous_of(const FileRecord& record) {
    if (!has_previous_) return nullptr;
    auto found = previous_.find(record.path);
    if (!found && found.error().code == ErrorCode::kCorrupt) return nullptr;
    if (!found || *found == nullptr || (*found)->info.type != env::NodeType::kFile) return found ? nullptr : found;
    if (repository_.index().has_damage()) {
        AETERNA_ASSIGN(const bool is_whole, has_content(reader_, **found));
        if (!is_whole) return nullptr;
    }
    return found;
}

Status StreamBackup::cut_small(const Block& block) {
    FileRecord& record = *block.record;
    record.kind = ContentKind::kSmall;
    AETERNA_ASSIGN(const FileRecord* previous, previous_of(record));
    const std::span<char> room = bundle_.open(block.bytes->size());
    std::copy(block.bytes->begin(), block.bytes->end(), room.begin());
    bundle_.keep(record, previous);
    bundled_.push_back(block.record);
    return bundle_.bytes() >= kBundleBytes || bundled_.size() >= kMostBundleFiles ? push_bundle() : Status();
}

Status StreamBackup::push_bundle() {
    AETERNA_TRY(bundle_.store(sink_));
    for (const auto& record : bundled_) keep(*record);
    bundled_.clear();
    return {};
}

Status StreamBackup::cut_large(Block first) {
    const std::shared_ptr<FileRecord> record = first.record;
    const std::uint64_t size = record->info.size;
    record->kind = recognise(size, bytes_of(*first.bytes).first(std::min(first.bytes->size(), kHeadBytes)));
    AETERNA_ASSIGN(const FileRecord* previous, previous_of(*record));
    Source source(blocks_, job_, std::move(first));
    std::vector<Id> digests;
    for (std::uint64_t offset = 0; offset < size; offset += kSegmentBytes) {
        SegmentTask task{&source, record->kind, offset, std::min(kSegmentBytes, size - offset), nullptr};
        if (previous != nullptr && previous->kind == record->kind &&
            record->segments.size() < previous->segments.size()) {
            task.previous = &previous->segments[record->segments.size()];
        }
        AETERNA_ASSIGN(StoredSegment stored, segments_.store(task));
        record->segments.push_back(std::move(stored.ref));
        digests.push_back(stored.digest);
    }
    record->digest = file_digest(record->kind, size, digests, repository_.keys().digest);
    keep(*record);
    return {};
}

// Longer than one block: content-defined chunks, whatever it is, because its size would say what else it could be.
Status StreamBackup::cut_open(Block first) {
    FileRecord& record = *first.record;
    const std::shared_ptr<FileRecord> kept = first.record;
    record.kind = ContentKind::kStream;
    record.info.size = 0;
    Source source(blocks_, job_, std::move(first));
    std::vector<Id> digests;
    while (true) {
        AETERNA_ASSIGN(StoredSegment stored, segments_.store({.file = &source,
                                                             .kind = record.kind,
                                                             .offset = record.info.size,
                                                             .bytes = kSegmentBytes,
                                                             .is_open_ended = true}));
        if (stored.bytes > 0) {
            record.segments.push_back(std::move(stored.ref));
            digests.push_back(stored.digest);
            record.info.size += stored.bytes;
        }
        if (stored.bytes < kSegmentBytes) break;
    }
    record.digest = file_digest(record.kind, record.info.size, digests, repository_.keys().digest);
    keep(record);
    return {};
}

void StreamBackup::keep(const FileRecord& record) {
    ManifestWriter writer;
    writer.add(record);
    cut_.push_back({record.path, writer.take()});
}

// ---------------------------------------------------------------------------------------------- the end

Result<BackupResult> StreamBackup::complete() {
    blocks_.close();
    if (cutter_) cutter_->join();
    sink_.finish();
    AETERNA_TRY(job_.status());
    if (!has_begun_ || open_) return make_error(ErrorCode::kInternal, "the stream is not complete");
    AETERNA_TRY(write_manifest());
    AETERNA_TRY(store_.finish());
    result_.backup.finished_at = repository_.ports().clock.wall_now();
    result_.backup.stored_bytes = store_.stored_bytes();
    AETERNA_TRY(commit_backup(reader_, result_.backup));
    return std::move(result_);
}

Status StreamBackup::write_manifest() {
    cut_.insert(cut_.end(), std::make_move_iterator(nodes_.begin()), std::make_move_iterator(nodes_.end()));
    std::sort(cut_.begin(), cut_.end(),
              [](const Encoded& a, const Encoded& b) { return compare_paths(a.path, b.path) < 0; });
    ManifestStore manifest(store_, result_.backup);
    std::vector<std::string> above;  // the directories from the root to the present place
    for (std::size_t i = 0; i < cut_.size(); ++i) {
        Encoded& next = cut_[i];
        if (i > 0 && cut_[i - 1].path == next.path) return bad_stream(next.path, "came twice");
        AETERNA_ASSIGN(const auto records, parse_manifest(bytes_of(next.record)));
        if (!next.path.empty()) {
            while (!above.empty() && above.back() != directory_of(next.path)) above.pop_back();
            if (above.empty()) return bad_stream(next.path, "came without its directory");
        }
        if (records.front().info.type == env::NodeType::kDirectory) above.push_back(next.path);
        AETERNA_TRY(manifest.add(records.front()));
        next.record.clear();
        next.record.shrink_to_fit();
    }
    return manifest.finish();
}

}  // namespace aeterna::repository
