#include "repository/pipeline/backup_worker.h"

#include <fmt/format.h>

#include <algorithm>

namespace aeterna::repository {

Status BackupWorker::finish() {
    AETERNA_TRY(helpers_.help(*lane_));
    return lane_->finish();
}

Status BackupWorker::store_segment(const BackupTask& task) {
    BackupItem& item = *task.item;
    FileRecord& record = item.record;
    SegmentTask work;
    work.file = task.file.get();
    work.kind = record.kind;
    work.offset = task.segment * kSegmentBytes;
    work.bytes = std::min(kSegmentBytes, record.info.size - work.offset);
    if (item.previous && item.previous->kind == record.kind && task.segment < item.previous->segments.size()) {
        work.previous = &item.previous->segments[task.segment];
    }
    AETERNA_ASSIGN(StoredSegment stored, segments_.store(work));
    record.segments[task.segment] = std::move(stored.ref);
    item.digests[task.segment] = stored.digest;
    bytes_ += work.bytes;
    if (stored.is_short) problem_(fmt::format("'{}' became shorter while it was read", record.path));
    if (item.segments_left.fetch_sub(1) > 1) return {};
    record.digest = file_digest(record.kind, record.info.size, item.digests, repository_.keys().digest);
    note_change(*task.file, item, stored.is_short);
    item.is_open = false;
    return {};
}

// A file that changed while it was read is in the backup as it was read, and is said to be.
void BackupWorker::note_change(env::SourceFile& file, const BackupItem& item, bool is_short) {
    const auto now = file.look();
    const env::NodeInfo& then = item.record.info;
    if (!is_short && (!now || now->size != then.size || now->mtime_ns != then.mtime_ns)) {
        problem_(fmt::format("'{}' changed while it was read", item.record.path));
    }
}

void BackupWorker::leave_out(BackupItem& item, const Error& error) {
    item.is_gone = true;
    problem_(error.to_string());
}

Status BackupWorker::store_bundle(const BackupTask& task) {
    for (const BackupItemPtr& item : task.bundle) add_to_bundle(*item);
    AETERNA_TRY(bundle_.store(sink_));
    for (const BackupItemPtr& item : task.bundle) item->is_open = false;
    return {};
}

void BackupWorker::add_to_bundle(BackupItem& item) {
    FileRecord& record = item.record;
    const auto size = static_cast<std::size_t>(record.info.size);
    const auto file = repository_.ports().tree.open(from_ + "/" + record.path);
    if (!file) return leave_out(item, file.error());
    const auto got = (*file)->read_at(0, bundle_.open(size));
    if (!got) {
        bundle_.drop();
        return leave_out(item, got.error());
    }
    if (*got != size) problem_(fmt::format("'{}' became shorter while it was read", record.path));
    note_change(**file, item, *got != size);
    bytes_ += size;
    bundle_.keep(record, item.previous ? &*item.previous : nullptr);
}

}  // namespace aeterna::repository
