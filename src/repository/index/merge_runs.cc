#include "repository/index/merge_runs.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace aeterna::repository {
namespace {

constexpr std::size_t kWindowRows = 4096;

// One run being merged.
struct Cursor {
    const RunFile* run;
    std::uint64_t next = 0;
    std::vector<Location> rows{};
    std::size_t place = 0;

    Status fill() {
        if (place < rows.size() || next >= run->size()) return {};
        AETERNA_ASSIGN(rows, run->rows(next, kWindowRows));
        next += rows.size();
        place = 0;
        return {};
    }
    [[nodiscard]] bool is_done() const { return place >= rows.size(); }
    [[nodiscard]] const Location& front() const { return rows[place]; }
};

}  // namespace

Result<std::unique_ptr<RunFile>> merge_runs(env::FileTree& files, const std::vector<std::shared_ptr<RunFile>>& runs,
                                            const std::function<bool(const Location&)>& is_worse,
                                            const std::string& path, const KeyedHash& hash) {
    std::vector<PackId> segments, packs;
    std::vector<Cursor> cursors;
    for (const auto& run : runs) {
        segments.insert(segments.end(), run->segments().begin(), run->segments().end());
        packs.insert(packs.end(), run->packs().begin(), run->packs().end());
        cursors.push_back({run.get()});
        AETERNA_TRY(cursors.back().fill());
    }
    std::sort(packs.begin(), packs.end());
    packs.erase(std::unique(packs.begin(), packs.end()), packs.end());
    RunWriter writer(files, path, hash);
    AETERNA_TRY(writer.begin(segments, std::move(packs)));
    std::optional<Location> kept;
    while (true) {
        Cursor* least = nullptr;
        for (Cursor& cursor : cursors) {
            if (!cursor.is_done() && (least == nullptr || cursor.front().entry.id < least->front().entry.id)) {
                least = &cursor;
            }
        }
        if (least == nullptr) break;
        const Location& row = least->front();
        if (kept && kept->entry.id != row.entry.id) AETERNA_TRY(writer.add(*std::exchange(kept, std::nullopt)));
        if (!kept || is_worse(*kept)) kept = row;
        ++least->place;
        AETERNA_TRY(least->fill());
    }
    if (kept) AETERNA_TRY(writer.add(*kept));
    AETERNA_TRY(writer.finish());
    return RunFile::open(files, path, hash);
}

}  // namespace aeterna::repository
