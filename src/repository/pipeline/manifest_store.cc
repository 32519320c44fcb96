#include "repository/pipeline/manifest_store.h"

namespace aeterna::repository {
namespace {

constexpr std::size_t kRootBytes = 1 << 20;

}  // namespace

Status ManifestStore::add(const FileRecord& record) {
    switch (record.info.type) {
        case env::NodeType::kDirectory: ++backup_.directories; break;
        case env::NodeType::kSymlink: ++backup_.links; break;
        default:
            ++backup_.files;
            backup_.bytes += record.info.size;
    }
    writer_.add(record);
    return writer_.is_full() ? flush_blob() : Status();
}

Status ManifestStore::flush_blob() {
    ManifestRow row;
    row.first_path = writer_.first_path();
    row.records = writer_.records();
    AETERNA_ASSIGN(row.blob, lane_->put_named(EntryType::kManifest, bytes_of(writer_.take())));
    append_manifest_rows(std::span(&row, 1), root_);
    return root_.size() >= kRootBytes ? flush_root() : Status();
}

Status ManifestStore::flush_root() {
    AETERNA_ASSIGN(const Id id, lane_->put_named(EntryType::kManifestRoot, bytes_of(root_)));
    backup_.manifest.push_back(id);
    root_.clear();
    return {};
}

Status ManifestStore::finish() {
    if (!writer_.is_empty()) AETERNA_TRY(flush_blob());
    if (!root_.empty()) AETERNA_TRY(flush_root());
    return lane_->finish();
}

}  // namespace aeterna::repository
