#include "repository/pipeline/restore.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <list>

#include "base/paths.h"
#include "base/strings.h"
#include "repository/pipeline/bounded_queue.h"
#include "repository/pipeline/job.h"
#include "repository/pipeline/restore_segment.h"
#include "repository/pipeline/tree_walk.h"

namespace aeterna::repository {
namespace {

constexpr std::size_t kMostRestoreTasks = 16;
constexpr std::string_view kOverOldState = "\nover an old state";  // behind the marker's purpose
constexpr auto kBetweenLooks = std::chrono::milliseconds(100);  // whether the restore may go on
constexpr std::size_t kKeptChunks = 8;  // decoded bundles; neighbours in path order share one

// The bytes that a map lays out, behind those of `content`, which stays at most `limit` long. `chunk_of` gives the plain
// bytes of a chunk.
Status append_content(const FileMap& map, std::uint64_t limit,
                      const std::function<Result<const std::string*>(const Id& id)>& chunk_of, std::string& content) {
    for (const Extent& extent : map.extents) {
        if (content.size() + extent.bytes > limit)
            return make_error(ErrorCode::kCorrupt, "a file map is longer than its file");
        if (extent.chunk == kZeros) {
            content.append(extent.bytes, '\0');
            continue;
        }
        AETERNA_ASSIGN(const std::string* chunk, chunk_of(map.chunks[extent.chunk]));
        if (std::uint64_t{extent.offset} + extent.bytes > chunk->size())
            return make_error(ErrorCode::kCorrupt, "a file map points past the end of a chunk");
        content.append(*chunk, extent.offset, extent.bytes);
    }
    return {};
}

// A large file that workers write.
struct OpenTarget {
    FileRecord record;
    std::unique_ptr<env::TargetFile> file;
    std::unique_ptr<env::SourceFile> old;  // that may hold some of it
    bool is_new = true;
    std::atomic<std::size_t> open{0};
};

struct Task {
    std::shared_ptr<OpenTarget> target;
    std::size_t segment = 0;
};

class TreeRestore {
  public:
    TreeRestore(Repository& repository, const RestoreRequest& request, const env::Context& context)
        : repository_(repository),
          request_(request),
          tree_(repository.ports().tree),
          job_(context),
          tasks_(repository.ports().threads, kMostRestoreTasks),
          reader_(repository, job_.context()),
          cursor_(reader_) {}

    ~TreeRestore() {
        tasks_.close();
        for (const auto& worker : workers_) worker->join();
    }

    Result<RestoreResult> run() { return job_.outcome(restore()); }

  private:
    Result<RestoreResult> restore() {
        AETERNA_TRY(cursor_.open(request_.backup));
        AETERNA_TRY(prepare_directory());
        for (unsigned i = 0; i < std::max(1U, request_.workers); ++i) {
            workers_.push_back(
                repository_.ports().threads.start("repo-restore", [this](const std::stop_token&) { work(); }));
        }
        if (const Status written = write_nodes(); !written) job_.fail(written.error());
        tasks_.close();
        for (const auto& worker : workers_) worker->join();
        AETERNA_TRY(job_.status());
        AETERNA_TRY(finish_directories());
        AETERNA_TRY(tree_.sync_file_system(request_.into));
        for (const auto& [path, place] : request_.elsewhere) AETERNA_TRY(tree_.sync_file_system(place));
        AETERNA_TRY(write_last_files());
        // Its owner before the marker goes: without that nobody goes on with what is not done. Read-only only when it is gone.
        if (root_) {
            env::NodeInfo open = *root_;
            open.mode |= 0700;
            AETERNA_TRY(tree_.set_attributes(request_.into, open));
        }
        AETERNA_TRY(tree_.remove(marker()));
        // Removing the marker has dated the root.
        if (root_) AETERNA_TRY(tree_.set_attributes(request_.into, *root_));
        AETERNA_TRY(tree_.sync_file_system(request_.into));
        result_.kept_bytes = kept_bytes_;
        return result_;
    }

    [[nodiscard]] const std::string& purpose() const { return request_.purpose.empty() ? request_.backup.id : request_.purpose; }
    [[nodiscard]] std::string marker() const { return request_.into + "/" + kRestoreMarker; }
    [[nodiscard]] std::string absolute(const std::string& path) const {
        for (const auto& [from, place] : request_.elsewhere) {
            if (lies_in(path, from)) return place + path.substr(from.size());
        }
        return path.empty() ? request_.into : request_.into + "/" + path;
    }

    Status prepare_directory() {
        env::Files& files = repository_.ports().files;
        AETERNA_TRY(files.make_directories(request_.into));
        AETERNA_ASSIGN(const auto entries, tree_.entries(request_.into));
        is_resumed_ = !entries.empty();
        const std::string text = files.read(marker()).value_or("");
        const bool is_begun = is_marker_of(text, purpose());
        const bool goes_on = request_.replaces ? is_resumed_ : is_begun;
        if (!goes_on) {
            AETERNA_TRY(check_target_empty(tree_, request_.into, "Name a new or empty directory (--into)."));
            for (const auto& [path, place] : request_.elsewhere)
                AETERNA_TRY(check_target_empty(tree_, place, "Name a new or empty directory for it."));
        }
        // Whoever goes on with a restore over an old state need not know that it was one: some of that may still be there.
        const bool is_over_old = (is_begun && text != purpose()) || (request_.replaces && is_resumed_);
        if (is_resumed_) AETERNA_TRY(open_directory(request_.into));
        AETERNA_TRY(files.write_durable(marker(), purpose() + std::string(is_over_old ? kOverOldState : "")));
        AETERNA_ASSIGN(own_marker_, tree_.look(marker()));
        if (is_resumed_) {
            AETERNA_TRY(remove_left_by_writes(marker()));
            for (const RestoreRequest::LastFile& file : request_.last) AETERNA_TRY(remove_left_by_writes(absolute(file.path)));
        }
        if (is_over_old) AETERNA_TRY(clear_for_replacement());
        for (const auto& [path, place] : request_.elsewhere) AETERNA_TRY(files.make_directories(place));
        return {};
    }

    // An earlier restore may have made it read-only again.
    Status open_directory(const std::string& path) {
        constexpr std::uint32_t kOwnersAll = 0700;
        AETERNA_ASSIGN(const env::NodeInfo there, tree_.look(path));
        const bool is_open = (there.mode & kOwnersAll) == kOwnersAll;
        return is_open ? Status() : repository_.ports().files.change_mode(path, static_cast<int>(there.mode | kOwnersAll));
    }

    // By an earlier one that was killed while it wrote that file.
    Status remove_left_by_writes(const std::string& path) {
        const std::string directory = path.substr(0, path.rfind('/'));
        const auto names = repository_.ports().files.list(directory);
        if (!names) return names.error().code == ErrorCode::kNotFound ? Status() : Status(names.error());
        for (const std::string& name : *names) {
            if (env::is_left_by_write(name, std::string_view(path).substr(directory.size() + 1)))
                AETERNA_TRY(repository_.ports().files.remove(directory + "/" + name));
        }
        return {};
    }

    // First what makes the old state usable, durably: half of one and half of the other is neither.
    Status clear_for_replacement() {
        for (const RestoreRequest::LastFile& file : request_.last)
            AETERNA_TRY(repository_.ports().files.remove(absolute(file.path)));
        AETERNA_TRY(tree_.sync_file_system(request_.into));
        AETERNA_ASSIGN(const std::vector<std::string> strangers, find_strangers());
        for (const std::string& path : strangers) AETERNA_TRY(repository_.ports().files.remove_tree(path));
        return {};
    }

    // What the backup has not, or as another type. Both sides come in path order.
    Result<std::vector<std::string>> find_strangers() {
        std::vector<std::string> strangers;
        std::string below;  // a directory that goes with all that is in it
        ManifestCursor records(reader_);
        AETERNA_TRY(records.open(request_.backup));
        AETERNA_ASSIGN(const FileRecord* record, records.next());
        TreeWalk walk(tree_, request_.into);
        VisitedNode node;
        while (true) {
            AETERNA_ASSIGN(const bool has_more, walk.next(node));
            if (!has_more) return strangers;
            AETERNA_TRY(job_.status());
            if (node.path.empty() || node.path == kRestoreMarker || (!below.empty() && node.path.starts_with(below)))
                continue;
            while (record != nullptr && compare_paths(record->path, node.path) < 0) {
                AETERNA_ASSIGN(record, records.next());
            }
            const bool is_known = record != nullptr && record->path == node.path && record->info.type == node.info.type;
            if (is_known && !is_omitted(node.path)) continue;
            // In the target itself: what lies elsewhere is not what the target's link of that name points to.
            strangers.push_back(request_.into + "/" + node.path);
            below = node.path + "/";
        }
    }

    // Any thread's.
    bool is_time_to_look() {
        const MonoTime now = repository_.ports().clock.now();
        MonoTime next = next_look_;
        return now >= next && next_look_.compare_exchange_strong(next, now + kBetweenLooks);
    }

    // Whoever has removed what was here and begun anew (Patroni does, for a replica) must not find our files among its own.
    Status may_go_on() {
        const auto there = tree_.look(marker());
        if (!there || there->inode != own_marker_.inode || there->ctime_ns != own_marker_.ctime_ns) {
            return make_error(ErrorCode::kGuardRefused,
                              fmt::format("'{}' is no longer this restore's: its marker is gone, or another's", request_.into),
                              "Look who else restores there.");
        }
        return request_.may_go_on ? request_.may_go_on() : Status();
    }

    Status write_last_files() {
        for (const RestoreRequest::LastFile& file : request_.last) {
            AETERNA_TRY(may_go_on());
            const std::string path = absolute(file.path);
            AETERNA_TRY(repository_.ports().files.write_durable(path, file.content, static_cast<int>(file.mode)));
            env::NodeInfo info = root_.value_or(env::NodeInfo{});  // its owner
            info.mode = file.mode;
            info.mtime_ns =
                std::chrono::duration_cast<Duration>(repository_.ports().clock.wall_now().time_since_epoch()).count();
            AETERNA_ASSIGN(const auto target, tree_.open_target(path, false));
            AETERNA_TRY(target->set_attributes(info));
        }
        return request_.last.empty() ? Status() : tree_.sync_file_system(request_.into);
    }

    // ------------------------------------------------------------------------------------------ the calling thread

    Status write_nodes() {
        while (true) {
            AETERNA_ASSIGN(const FileRecord* record, cursor_.next());
            if (record == nullptr) return {};
            AETERNA_TRY(job_.status());
            if (is_time_to_look()) AETERNA_TRY(may_go_on());
            AETERNA_TRY(write_node(*record));
            report_progress();
        }
    }

    Status write_node(const FileRecord& record) {
        // That one was taken of a directory in which an earlier restore was not quite done.
        if (record.path == kRestoreMarker) return {};
        const std::string path = absolute(record.path);
        switch (record.info.type) {
            case env::NodeType::kDirectory:
                ++result_.directories;
                if (const auto place = request_.elsewhere.find(record.path); place != request_.elsewhere.end()) {
                    return link_elsewhere(record, place->second);
                }
                return record.path.empty() ? Status() : make_directory(path);
            case env::NodeType::kSymlink:
                ++result_.links;
                if (is_resumed_) AETERNA_TRY(tree_.remove(path));
                AETERNA_TRY(tree_.make_symlink(path, record.target));
                return tree_.set_attributes(path, record.info);
            default: break;
        }
        if (is_omitted(record.path) || is_last_file(record.path)) return {};
        ++result_.files;
        result_.bytes += record.info.size;
        return record.kind == ContentKind::kSmall || record.kind == ContentKind::kEmpty
                   ? naming(record, write_small(path, record))
                   : push_large(path, record);
    }

    // Damage is of a pack, and many files have a part in one.
    static Status naming(const FileRecord& record, Status done) {
        if (done || done.error().code != ErrorCode::kCorrupt) return done;
        return wrap_error(std::move(done).error(), fmt::format("'{}' cannot be restored", one_line(record.path)));
    }

    Status link_elsewhere(const FileRecord& record, const std::string& place) {
        const std::string link = request_.into + "/" + record.path;
        if (is_resumed_) AETERNA_TRY(tree_.remove(link));
        AETERNA_TRY(tree_.make_symlink(link, place));
        env::NodeInfo info = record.info;
        info.type = env::NodeType::kSymlink;
        return tree_.set_attributes(link, info);
    }

    [[nodiscard]] bool is_omitted(const std::string& path) const {
        return request_.omitted.contains(path) || request_.omitted.contains(path.substr(0, path.rfind('/') + 1));
    }

    [[nodiscard]] bool is_last_file(const std::string& path) const {
        return std::any_of(request_.last.begin(), request_.last.end(),
                           [&](const auto& file) { return file.path == path; });
    }

    Status make_directory(const std::string& path) {
        const Status made = tree_.make_directory(path);
        if (made || made.error().code != ErrorCode::kAlreadyExists) return made;
        AETERNA_ASSIGN(const env::NodeInfo there, tree_.look(path));
        if (there.type != env::NodeType::kDirectory) return made;
        return open_directory(path);
    }

    Status write_small(const std::string& path, const FileRecord& record) {
        AETERNA_TRY(read_small(record));
        bytes_done_ += record.info.size;
        if (is_resumed_ && holds_small(path)) {
            kept_bytes_ += small_.size();
            return tree_.set_attributes(path, record.info);  // by its name: it may be one that nobody may write
        }
        if (is_resumed_) AETERNA_TRY(tree_.remove(path));
        AETERNA_ASSIGN(const auto file, tree_.open_target(path, true));
        if (!small_.empty()) AETERNA_TRY(file->write_at(0, bytes_of(small_)));
        return file->set_attributes(record.info);
    }

    // Into small_.
    Status read_small(const FileRecord& record) {
        small_.clear();
        for (const SegmentRef& segment : record.segments) {
            AETERNA_TRY(append_content(segment.map, std::min(record.info.size, kSmallFileBytes),
                                       [this](const Id& id) { return chunk_of(id); }, small_));
        }
        return {};
    }

    // The file of that name has the bytes of small_; one that cannot be read has not.
    bool holds_small(const std::string& path) {
        const auto file = tree_.open(path);
        if (!file) return false;
        there_.resize(small_.size() + 1);
        const auto read = (*file)->read_at(0, there_);
        return read && std::string_view(there_).substr(0, *read) == small_;
    }

    Result<const std::string*> chunk_of(const Id& id) {
        const auto found =
            std::find_if(chunks_.begin(), chunks_.end(), [&](const auto& kept) { return kept.first == id; });
        if (found != chunks_.end()) {
            chunks_.splice(chunks_.begin(), chunks_, found);
            return &chunks_.front().second;
        }
        std::string plain;
        AETERNA_TRY(reader_.read(EntryType::kData, id, plain));
        if (chunks_.size() >= kKeptChunks) chunks_.pop_back();
        chunks_.emplace_front(id, std::move(plain));
        return &chunks_.front().second;
    }

    Status push_large(const std::string& path, const FileRecord& record) {
        auto target = std::make_shared<OpenTarget>();
        target->record = record;
        auto opened = tree_.open_target(path, true);
        if (!opened && opened.error().code == ErrorCode::kAlreadyExists) {
            target->is_new = false;
            opened = tree_.open_target(path, false);
            if (!opened && opened.error().code == ErrorCode::kPermission) {  // complete, and read-only as it should be
                AETERNA_TRY(tree_.remove(path));
                opened = tree_.open_target(path, true);
                target->is_new = true;
            }
        }
        if (!opened) return opened.error();
        target->file = std::move(*opened);
        if (!request_.delta_from.empty())
            target->old = tree_.open(request_.delta_from + "/" + record.path).value_or(nullptr);
        AETERNA_TRY(target->file->resize(record.info.size));
        target->open = record.segments.size();
        for (std::size_t i = 0; i < record.segments.size(); ++i) {
            if (!tasks_.push({target, i}, job_.context())) return job_.reason();
        }
        return {};
    }

    // ------------------------------------------------------------------------------------------ workers

    void work() {
        EntryReader reader(repository_, job_.context());
        SegmentWriter writer(reader);
        while (auto task = tasks_.pop(job_.context())) {
            if (is_time_to_look() && !job_.check(may_go_on())) return;
            if (!job_.check(naming(task->target->record, write_segment(writer, *task)))) return;
        }
    }

    Status write_segment(SegmentWriter& writer, const Task& task) {
        OpenTarget& target = *task.target;
        const std::uint64_t offset = task.segment * kSegmentBytes;
        const std::uint64_t bytes = std::min(kSegmentBytes, target.record.info.size - offset);
        AETERNA_ASSIGN(const std::uint64_t kept,
                       writer.write(target.record.segments[task.segment],
                                    {target.file.get(), target.record.kind, offset, target.is_new, target.old.get()}));
        bytes_done_ += bytes;
        kept_bytes_ += kept;
        if (target.open.fetch_sub(1) > 1) return {};
        return target.file->set_attributes(target.record.info);
    }

    // ------------------------------------------------------------------------------------------ the end

    // Backwards, children first: a directory without rights for us would hide them.
    Status finish_directories() {
        for (std::size_t row = cursor_.rows().size(); row-- > 0;) {
            AETERNA_ASSIGN(const auto records, cursor_.blob(row));
            for (auto record = records.rbegin(); record != records.rend(); ++record) {
                if (record->info.type != env::NodeType::kDirectory) continue;
                if (record->path.empty()) {
                    root_ = record->info;
                } else {
                    AETERNA_TRY(tree_.set_attributes(absolute(record->path), record->info));
                }
            }
        }
        return {};
    }

    void report_progress() { pace_.tell({result_.files, bytes_done_, request_.backup.bytes}); }

    Repository& repository_;
    const RestoreRequest& request_;
    env::FileTree& tree_;
    Job job_;
    BoundedQueue<Task> tasks_;
    EntryReader reader_;
    ManifestCursor cursor_;
    std::list<std::pair<Id, std::string>> chunks_;  // last used first
    std::string small_, there_;                     // a small file's bytes, and those of that name before
    env::NodeInfo own_marker_;
    std::atomic<MonoTime> next_look_{MonoTime{}};
    std::optional<env::NodeInfo> root_;
    bool is_resumed_ = false;                       // something lies there already
    std::atomic<std::uint64_t> bytes_done_{0}, kept_bytes_{0};
    ProgressPace pace_{request_.progress, repository_.ports().clock};
    RestoreResult result_;
    std::vector<std::unique_ptr<env::Thread>> workers_;
};

}  // namespace

Result<RestoreResult> restore_tree(Repository& repository, const RestoreRequest& request, const env::Context& context) {
    TreeRestore restore(repository, request, context);
    return restore.run();
}

bool is_marker_of(const std::string& text, const std::string& purpose) {
    return text.starts_with(purpose) && (text.size() == purpose.size() || text.substr(purpose.size()) == kOverOldState);
}

Status check_target_empty(env::FileTree& tree, const std::string& directory, const std::string& hint) {
    const auto entries = tree.entries(directory);
    if (!entries) return entries.error().code == ErrorCode::kNotFound ? Status() : Status(entries.error());
    for (const env::NodeEntry& entry : *entries) {
        if (!env::is_left_by_write(entry.name, kRestoreMarker))
            return make_error(ErrorCode::kGuardRefused, fmt::format("'{}' is not empty", directory), hint);
    }
    return {};
}

Result<std::string> read_small_file(Repository& repository, const Backup& backup, const std::string& path,
                                    std::size_t limit_bytes, const env::Context& context) {
    EntryReader reader(repository, context);
    AETERNA_ASSIGN(const FileRecord record, find_record(reader, backup, path));
    if (record.info.type != env::NodeType::kFile || record.info.size > limit_bytes ||
        record.kind == ContentKind::kPages) {
        return make_error(ErrorCode::kUsage, fmt::format("'{}' is no file of at most {} bytes", path, limit_bytes));
    }
    std::string content, plain;
    for (const SegmentRef& segment : record.segments) {
        AETERNA_ASSIGN(const LoadedMap loaded, reader.load_map(segment));
        const auto chunk_of = [&](const Id& id) -> Result<const std::string*> {
            AETERNA_TRY(reader.read(EntryType::kData, id, plain));
            return &plain;
        };
        AETERNA_TRY(append_content(loaded.map, limit_bytes, chunk_of, content));
    }
    return content;
}

}  // namespace aeterna::repository
