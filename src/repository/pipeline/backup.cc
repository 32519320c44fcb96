#include "repository/pipeline/backup.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "repository/pipeline/backup_worker.h"
#include "repository/pipeline/live_set.h"
#include "repository/pipeline/manifest_store.h"
#include "repository/pipeline/series.h"
#include "repository/pipeline/tree_walk.h"

namespace aeterna::repository {
namespace {

constexpr std::size_t kMostWaitingTasks = 16;
constexpr std::size_t kMostOpenItems = 4096;  // records that wait for their content or for one before them
constexpr std::size_t kMostProblems = 100;
// Times have a grain: a file that changed just before the last backup may change again within the same tick.
constexpr std::int64_t kDistrustNs = 2'000'000'000;

// The walker's side; workers run BackupWorker.
class TreeBackup {
  public:
    TreeBackup(Repository& repository, const BackupRequest& request, const env::Context& context)
        : repository_(repository), request_(request), job_(context),
          store_(repository.storage(), repository.keys(), repository.index(), repository.ports(), job_),
          tasks_(repository.ports().threads, kMostWaitingTasks),
          helpers_(repository.ports().threads, job_, std::max(1U, request.workers)), finished_(repository.ports().threads.make_signal()),
          reader_(repository, job_.context()), parent_cursor_(reader_), manifest_(store_, result_.backup) {}

    // Whatever happened, no thread is left waiting.
    ~TreeBackup() { join_workers(); }

    Result<BackupResult> run() { return job_.outcome(back_up()); }

  private:
    Result<BackupResult> back_up() {
        env::Clock& clock = repository_.ports().clock;
        result_.backup = request_.header;
        result_.backup.started_at = clock.wall_now();
        result_.backup.id = make_backup_id(result_.backup.started_at, repository_.ports().random.next());
        AETERNA_TRY(open_parent());
        start_workers();
        if (const Status walked = walk(); !walked) job_.fail(walked.error());
        join_workers();
        AETERNA_TRY(job_.status());
        AETERNA_TRY(drain(0));
        result_.backup.skipped = result_.problem_count;
        AETERNA_TRY(manifest_.finish());
        AETERNA_TRY(store_.finish());
        result_.backup.finished_at = clock.wall_now();
        result_.backup.stored_bytes = store_.stored_bytes();
        AETERNA_TRY(commit_backup(reader_, result_.backup));
        return std::move(result_);
    }

    // ------------------------------------------------------------------------------------------ the parent

    Status open_parent() {
        if (!request_.use_parent) return {};
        AETERNA_ASSIGN(const auto last, find_parent(reader_, request_.header, parent_cursor_));
        if (!last) return {};
        result_.backup.parent = last->id;
        expected_bytes_ = last->bytes;
        distrust_after_ns_ =
            std::chrono::duration_cast<Duration>(last->started_at.time_since_epoch()).count() - kDistrustNs;
        return advance_parent();
    }

    Status advance_parent() {
        const auto next = parent_cursor_.next();
        parent_record_ = next ? *next : nullptr;
        return next || next.error().code == ErrorCode::kCorrupt ? Status() : Status(next.error());
    }

    // The parent's record of `path`, or nothing. Paths come in order, so the parent is read once.
    Result<std::optional<FileRecord>> take_previous(const std::string& path) {
        while (parent_record_ != nullptr && compare_paths(parent_record_->path, path) < 0) AETERNA_TRY(advance_parent());
        if (parent_record_ == nullptr || parent_record_->path != path) return std::optional<FileRecord>();
        return std::optional<FileRecord>(*parent_record_);
    }

    [[nodiscard]] bool is_known(const FileRecord& previous, const env::NodeInfo& info) const {
        const env::NodeInfo& last = previous.info;
        return request_.trust_times && last.type == env::NodeType::kFile && last.size == info.size &&
               last.mtime_ns == info.mtime_ns && last.ctime_ns == info.ctime_ns && last.inode == info.inode &&
               last.device == info.device && info.mtime_ns < distrust_after_ns_ && info.ctime_ns < distrust_after_ns_;
    }

    // ------------------------------------------------------------------------------------------ walking

    Status walk() {
        TreeWalk walk(repository_.ports().tree, request_.from);
        VisitedNode node;
        for (bool is_root = true;; is_root = false) {
            const Result<bool> more = walk.next(node);
            if (!more && is_root) return more.error();
            if (!more) {
                add_problem(more.error().to_string());
                continue;
            }
            if (!*more) break;
            AETERNA_TRY(job_.status());
            AETERNA_TRY(visit(node));
            AETERNA_TRY(drain(kMostOpenItems));
            report_progress();
        }
        return push_bundle();
    }

    Status visit(const VisitedNode& node) {
        if (node.info.type == env::NodeType::kOther) {
            add_problem(fmt::format("'{}' is neither file, directory nor link", node.path));
            return {};
        }
        auto item = std::make_shared<BackupItem>();
        item->record.path = node.path;
        item->record.info = node.info;
        if (node.info.type == env::NodeType::kSymlink) {
            auto target = repository_.ports().tree.read_symlink(absolute(node.path));
            if (!target) {
                add_problem(target.error().to_string());
                return {};
            }
            item->record.target = std::move(*target);
        }
        if (node.info.type == env::NodeType::kFile && node.info.size > 0) AETERNA_TRY(visit_content(item));
        items_.push_back(std::move(item));
        return {};
    }

    Status visit_content(const BackupItemPtr& item) {
        AETERNA_ASSIGN(item->previous, take_previous(item->record.path));
        if (item->previous && repository_.index().has_damage()) {
            AETERNA_ASSIGN(const bool is_whole, has_content(reader_, *item->previous));
            if (!is_whole) item->previous.reset();
        }
        if (item->previous && is_known(*item->previous, item->record.info)) {
            item->record.kind = item->previous->kind;
            item->record.digest = item->previous->digest;
            item->record.segments = std::move(item->previous->segments);
            ++result_.known_files;
            return {};
        }
        if (item->record.info.size > kSmallFileBytes) return push_segments(item);
        item->is_open = true;
        item->record.kind = ContentKind::kSmall;
        bundle_.push_back(item);
        bundle_bytes_ += item->record.info.size;
        return bundle_bytes_ >= kBundleBytes || bundle_.size() >= kMostBundleFiles ? push_bundle() : Status();
    }

    Status push(BackupTask task) {
        return tasks_.push(std::move(task), job_.context()) ? Status() : Status(job_.reason());
    }

    Status push_bundle() {
        if (bundle_.empty()) return {};
        bundle_bytes_ = 0;
        BackupTask task;
        task.bundle = std::exchange(bundle_, {});
        return push(std::move(task));
    }

    Status push_segments(const BackupItemPtr& item) {
        FileRecord& record = item->record;
        auto opened = repository_.ports().tree.open(absolute(record.path));
        const std::shared_ptr<env::SourceFile> file = opened ? std::move(*opened) : nullptr;
        std::string head(std::min<std::uint64_t>(record.info.size, kHeadBytes), '\0');
        const Result<std::size_t> got = file ? file->read_at(0, head) : Result<std::size_t>(opened.error());
        if (!got || *got != head.size()) {
            item->is_gone = true;
            add_problem(got ? fmt::format("'{}' became shorter while it was read", record.path) : got.error().to_string());
            return {};
        }
        record.kind = recognise(record.info.size, bytes_of(head));
        const std::size_t count = (record.info.size + kSegmentBytes - 1) / kSegmentBytes;
        record.segments.resize(count);
        item->digests.resize(count);
        item->segments_left = static_cast<unsigned>(count);
        item->is_open = true;
        for (std::size_t i = 0; i < count; ++i) AETERNA_TRY(push({{}, item, file, i}));
        return {};
    }

    // Writes the records at the front that are complete; waits until at most `most` items are left.
    Status drain(std::size_t most) {
        while (!items_.empty()) {
            if (!items_.front()->is_open) {
                if (!items_.front()->is_gone) AETERNA_TRY(manifest_.add(items_.front()->record));
                items_.pop_front();
                continue;
            }
            if (items_.size() <= most) return {};
            // Files that wait in the bundle would never be finished by waiting.
            if (!bundle_.empty() && bundle_.front() == items_.front()) AETERNA_TRY(push_bundle());
            if (!finished_->wait_until(job_.context().deadline, job_.context().stop)) return job_.reason();
        }
        return {};
    }

    // ------------------------------------------------------------------------------------------ threads

    void start_workers() {
        for (unsigned i = 0; i < std::max(1U, request_.workers); ++i) {
            threads_.push_back(repository_.ports().threads.start("repo-work", [this](const std::stop_token&) { work(); }));
        }
    }

    void work() {
        BackupWorker worker(repository_, store_, helpers_, request_.from, job_.context(),
                            [this](std::string text) { add_problem(std::move(text)); });
        std::uint64_t counted = 0;
        while (auto task = tasks_.pop(job_.context())) {
            if (!job_.check(worker.run(*task))) return;
            bytes_done_ += worker.bytes() - counted;
            counted = worker.bytes();
            finished_->notify();
        }
        if (job_.status()) job_.check(worker.finish());
    }

    void join_workers() {
        tasks_.close();
        for (const auto& thread : threads_) thread->join();
    }

    // ------------------------------------------------------------------------------------------ small things

    [[nodiscard]] std::string absolute(const std::string& path) const { return request_.from + "/" + path; }

    void add_problem(std::string text) {
        const std::lock_guard lock(problems_mutex_);
        ++result_.problem_count;
        if (result_.problems.size() < kMostProblems) result_.problems.push_back(std::move(text));
    }

    void report_progress() { pace_.tell({result_.backup.files, bytes_done_, expected_bytes_}); }

    Repository& repository_;
    const BackupRequest& request_;
    Job job_;
    ChunkStore store_;
    BoundedQueue<BackupTask> tasks_;
    Helpers helpers_;
    std::unique_ptr<env::Signal> finished_;
    EntryReader reader_;
    ManifestCursor parent_cursor_;
    const FileRecord* parent_record_ = nullptr;
    std::int64_t distrust_after_ns_ = 0;
    std::uint64_t expected_bytes_ = 0;

    std::vector<BackupItemPtr> bundle_;
    std::size_t bundle_bytes_ = 0;
    std::deque<BackupItemPtr> items_;  // in path order
    std::atomic<std::uint64_t> bytes_done_{0};
    ProgressPace pace_{request_.progress, repository_.ports().clock};

    std::mutex problems_mutex_;
    BackupResult result_;
    ManifestStore manifest_;
    std::vector<std::unique_ptr<env::Thread>> threads_;
};

}  // namespace

Result<BackupResult> back_up_tree(Repository& repository, const BackupRequest& request, const env::Context& context) {
    TreeBackup backup(repository, request, context);
    return backup.run();
}

}  // namespace aeterna::repository
