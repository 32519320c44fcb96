// Walking the directory of a LocalStorage: listing in the order of whole names, and sweeping what is unfinished.
#include <fmt/format.h>

#include <algorithm>

#include "repository/storage/checks.h"
#include "repository/storage/local.h"

namespace aeterna::repository {
namespace {

// A directory sorts by its name with the '/' that its objects have there: "a-b" comes before "a/c".
std::string sort_key(const env::DirectoryEntry& entry) {
    return entry.kind == env::EntryKind::kDirectory ? entry.name + "/" : entry.name;
}

// Whether something below `path` (which ends with '/') or `path` itself can begin with `prefix`.
bool can_match(const std::string& path, const std::string& prefix) {
    return path.starts_with(prefix) || (path.ends_with('/') && prefix.starts_with(path));
}

}  // namespace

struct LocalStorage::Walk {
    const std::string& prefix;
    const std::function<bool(const ObjectInfo&)>& found;
    const env::Context& context;
    bool is_over = false;
};

// `below` is empty or ends with '/'.
Status LocalStorage::walk(const std::string& below, Walk& walk) {
    const std::string directory = path_of(below);
    auto entries = files_.list(directory);
    if (!entries && entries.error().code == ErrorCode::kNotFound) return {};
    if (!entries) return std::move(entries).error();
    AETERNA_TRY(files_.sync_directory(directory));
    std::sort(entries->begin(), entries->end(),
              [](const auto& a, const auto& b) { return sort_key(a) < sort_key(b); });
    for (const env::DirectoryEntry& entry : *entries) {
        const std::string name = below + sort_key(entry);
        // What is no object's name is not ours: "lost+found", unfinished files.
        if (walk.is_over || !check_prefix(name) || !can_match(name, walk.prefix)) continue;
        if (entry.kind == env::EntryKind::kDirectory) {
            AETERNA_TRY(this->walk(name, walk));
            continue;
        }
        AETERNA_TRY(check_running(clock_, walk.context, "list"));
        const auto info = files_.stat(path_of(name));
        if (!info && info.error().code == ErrorCode::kNotFound) continue;  // removed meanwhile
        if (!info) return info.error();
        walk.is_over = !walk.found({name, info->bytes, info->modified});
    }
    return {};
}

Status LocalStorage::list(const std::string& prefix, const std::function<bool(const ObjectInfo&)>& found,
                          const env::Context& context) {
    AETERNA_TRY(check_prefix(prefix));
    AETERNA_TRY(check_running(clock_, context, "list"));
    Walk state{prefix, found, context};
    return walk("", state);
}

Status LocalStorage::sweep(const std::string& below, WallTime older_than, std::size_t& count,
                           const env::Context& context) {
    auto entries = files_.list(path_of(below));
    if (!entries && entries.error().code == ErrorCode::kNotFound) return {};
    if (!entries) return std::move(entries).error();
    for (const env::DirectoryEntry& entry : *entries) {
        AETERNA_TRY(check_running(clock_, context, "sweep"));
        const std::string name = below + entry.name;
        if (entry.kind == env::EntryKind::kDirectory) {
            if (check_name(name)) AETERNA_TRY(sweep(name + "/", older_than, count, context));
            continue;
        }
        if (!entry.name.starts_with(kTemporaryStart)) continue;
        const auto info = files_.stat(path_of(name));
        if (!info || info->modified >= older_than) continue;
        const Status removed = files_.remove_file(path_of(name));
        if (!removed && removed.error().code == ErrorCode::kNotFound) continue;  // another one sweeps too
        AETERNA_TRY(removed);
        ++count;
    }
    return {};
}

Result<std::size_t> LocalStorage::sweep_unfinished(WallTime older_than, const env::Context& context) {
    AETERNA_TRY(check_running(clock_, context, "sweep"));
    std::size_t count = 0;
    AETERNA_TRY(sweep("", older_than, count, context));
    return count;
}

}  // namespace aeterna::repository
