#include "repository/pipeline/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_set>

#include "repository/pipeline/check_logs.h"
#include "repository/pipeline/damage_notes.h"
#include "repository/pipeline/entry_reader.h"
#include "repository/pipeline/pack_check.h"

namespace aeterna::repository {
namespace {

constexpr std::size_t kMostFindings = 1000;
using IdSet = std::unordered_set<Id, IdHash>;

class Check {
  public:
    Check(Repository& repository, const CheckRequest& request, const env::Context& context)
        : repository_(repository), request_(request), context_(context), reader_(repository, context),
          logs_(repository, request.read_percent > 0, context, [this](std::string text, const std::string& backup) {
              if (!backup.empty()) report_.hit_backups.insert(backup);
              add_problem(std::move(text));
          }) {}

    Result<CheckReport> run() {
        AETERNA_TRY(list_packs());
        AETERNA_TRY(compare_index());
        if (request_.read_percent > 0) AETERNA_TRY(read_packs());
        AETERNA_TRY(note_damage());
        AETERNA_TRY(check_keys());
        AETERNA_ASSIGN(const auto ids, repository_.catalog().ids(context_));
        for (const std::string& id : ids) AETERNA_TRY(check_backup(id));
        AETERNA_TRY(logs_.finish());
        report_.logs = logs_.count();
        return std::move(report_);
    }

  private:
    struct Pack {
        std::uint64_t bytes = 0;
        std::vector<Location> rows;  // of the index; only while bytes are read
        bool is_indexed = false;
    };

    void add_problem(std::string text) {
        ++report_.problem_count;
        if (report_.problems.size() < kMostFindings) report_.problems.push_back(std::move(text));
    }

    PackContents& note_pack(const PackId& id) {
        PackContents& pack = damage_[id];
        pack.id = id;
        return pack;
    }

    // Whether the row is a problem that was not told yet. Damage that is known and has been stored anew since is none.
    Result<bool> note_bad_row(const Location& row) {
        if (!told_.insert({row.pack, row.entry.id}).second) return false;
        if (repository_.index().is_damaged(row)) {
            AETERNA_ASSIGN(const auto sound, repository_.index().find(row.entry.id));
            if (sound) ++report_.replaced_entries;
            return !sound;
        }
        note_pack(row.pack).entries.push_back(row.entry);
        ++report_.noted_entries;
        return true;
    }

    Status add_bad_row(const Location& row, std::string text) {
        AETERNA_ASSIGN(const bool is_problem, note_bad_row(row));
        if (is_problem) add_problem(std::move(text));
        return {};
    }

    // Notes what is new and takes back what reads again. Where that cannot be written it holds in this process.
    Status note_damage() {
        std::vector<PackContents> packs;
        for (auto& [id, pack] : damage_) packs.push_back(std::move(pack));
        const bool is_new = !packs.empty();
        if (!is_new && recovered_.empty()) return {};
        const Status noted = rewrite_damage_notes(
            repository_, packs, [&](const PackId& pack, const Id& id) { return recovered_.count({pack, id}) == 0; }, context_);
        if (noted) return repository_.index().reload_damage(context_);
        repository_.index().learn_damage(packs);
        report_.noted_entries = 0;
        const ErrorCode code = noted.error().code;
        return code == ErrorCode::kPermission || code == ErrorCode::kNoSpace ? Status() : noted;
    }

    Status check_keys() {
        AETERNA_ASSIGN(const auto slots, repository_.key_slots(context_));
        for (const KeySlot& slot : slots) {
            if (slot.kind == "damaged") add_problem(fmt::format("key '{}' is damaged: {}", slot.id, slot.label));
        }
        return {};
    }

    Status list_packs() {
        return repository_.storage().list(
            "packs/",
            [&](const ObjectInfo& object) {
                packs_[object.name].bytes = object.bytes;
                ++report_.packs;
                report_.pack_bytes += object.bytes;
                return true;
            },
            context_);
    }

    Status compare_index() {
        AETERNA_TRY(repository_.index().for_each([&](const Location& row) -> Status {
            ++report_.entries;
            const auto pack = packs_.find(pack_name(row.pack));
            const std::uint64_t end = std::uint64_t{row.offset} + row.entry.sealed_bytes;
            if (pack == packs_.end()) {
                missing_[row.pack].push_back(row);
                return {};
            }
            pack->second.is_indexed = true;
            if (request_.read_percent > 0) pack->second.rows.push_back(row);
            if (end + kPackFooterBytes > pack->second.bytes) {
                return add_bad_row(row, fmt::format("'{}' is cut short: entry '{}' ends at {} of {} bytes", pack->first,
                                                    row.entry.id.to_hex(), end, pack->second.bytes));
            }
            return {};
        }));
        for (const auto& [name, pack] : packs_) report_.unused_packs += pack.is_indexed ? 0 : 1;
        for (const auto& [pack, rows] : missing_) AETERNA_TRY(add_whole(rows, fmt::format("'{}' is missing", pack_name(pack))));
        return {};
    }

    // One problem for the whole pack, unless all that was in it has been stored anew.
    Status add_whole(const std::vector<Location>& rows, std::string text) {
        bool is_any = false;
        for (const Location& row : rows) {
            AETERNA_ASSIGN(const bool is_problem, note_bad_row(row));
            is_any = is_any || is_problem;
        }
        if (is_any) add_problem(std::move(text));
        return {};
    }

    // ------------------------------------------------------------------------------------------ bytes

    Status read_packs() {
        std::string bytes;
        for (auto& [name, pack] : packs_) {
            if (!pack.is_indexed) continue;
            if (request_.read_percent < 100 && repository_.ports().random.next() % 100 >= request_.read_percent) continue;
            AETERNA_TRY(read_pack(name, pack, bytes));
            pack.rows = {};
        }
        return {};
    }

    Status read_pack(const std::string& name, const Pack& pack, std::string& bytes) {
        if (pack.bytes > kMostPackBytes) {
            add_problem(fmt::format("'{}' has an impossible length", name));
            return {};
        }
        bytes.resize(pack.bytes);
        const auto got = repository_.storage().read(name, 0, bytes, context_);
        if (!got && got.error().code == ErrorCode::kIo) return add_whole(pack.rows, got.error().to_string());  // a bad sector
        if (!got) return got.error();
        bytes.resize(*got);
        ++report_.packs_read;
        report_.bytes_read += *got;
        const PackFindings findings = examine_pack(reader_, pack.rows, bytes);
        if (findings.frame) {
            add_problem(fmt::format("'{}': {}", name, findings.frame->to_string()));
            note_pack(pack.rows.front().pack);
        }
        for (const Location& row : findings.bad) {
            AETERNA_TRY(add_bad_row(
                row, fmt::format("'{}' is damaged at {}: entry '{}'", name, row.offset, row.entry.id.to_hex())));
        }
        if (!repository_.index().is_damaged(pack.rows.front().pack)) return {};
        for (const Location& row : pack.rows) recovered_.insert({row.pack, row.entry.id});
        for (const Location& row : findings.bad) recovered_.erase({row.pack, row.entry.id});
        if (!findings.frame) recovered_.insert({pack.rows.front().pack, Id{}});
        return {};
    }

    // ------------------------------------------------------------------------------------------ backups

    // Whether the entry can be relied on.
    Result<bool> is_good(const Id& id) {
        if (bad_.count(id) > 0) return false;
        AETERNA_ASSIGN(const auto found, repository_.index().find(id));
        if (!found) bad_.insert(id);
        return found.has_value();
    }

    Status check_backup(const std::string& id) {
        ++report_.backups;
        const Result<Backup> backup = repository_.catalog().read(id, context_);
        if (!backup && backup.error().code != ErrorCode::kCorrupt) return backup.error();
        std::string reason;
        if (!backup) {
            reason = backup.error().to_string();
        } else {
            ManifestCursor cursor(reader_);
            const Status opened = cursor.open(*backup);
            if (!opened && opened.error().code != ErrorCode::kCorrupt) return opened;
            if (!opened) reason = opened.error().to_string();
            for (std::size_t row = 0; opened && row < cursor.rows().size(); ++row) {
                AETERNA_ASSIGN(const std::string why, blob_problem(cursor, row));
                if (reason.empty()) reason = why;
            }
        }
        if (backup) AETERNA_TRY(logs_.check_backup(*backup));
        if (reason.empty()) return {};
        report_.hit_backups.insert(id);
        add_problem(fmt::format("backup '{}': {}", id, reason));
        return {};
    }

    // Empty when the blob and all that it refers to is there. Blobs that backups share are looked at once.
    Result<std::string> blob_problem(ManifestCursor& cursor, std::size_t row) {
        const Id blob = cursor.rows()[row].blob;
        if (const auto seen = blobs_.find(blob); seen != blobs_.end()) return seen->second;
        std::string problem;
        if (bad_.count(blob) > 0) {
            problem = "a part of its manifest is damaged";
        } else if (auto records = cursor.blob(row)) {
            for (const FileRecord& record : *records) {
                for (const SegmentRef& segment : record.segments) {
                    AETERNA_ASSIGN(const bool good, is_segment_good(segment));
                    if (!good && problem.empty()) problem = fmt::format("'{}' cannot be restored", record.path);
                }
            }
        } else if (records.error().code != ErrorCode::kCorrupt) {
            return records.error();
        } else {
            problem = records.error().to_string();
        }
        return blobs_[blob] = problem;
    }

    Result<bool> is_segment_good(const SegmentRef& segment) {
        if (!segment.is_inline) {
            if (good_maps_.count(segment.stored) > 0) return true;
            if (bad_.count(segment.stored) > 0) return false;
        }
        const Result<LoadedMap> loaded = reader_.load_map(segment);
        if (!loaded && loaded.error().code != ErrorCode::kCorrupt) return loaded.error();
        bool good = loaded && bad_.count(loaded->base_id) == 0;
        for (std::size_t i = 0; good && i < loaded->map.chunks.size(); ++i) {
            AETERNA_ASSIGN(good, is_good(loaded->map.chunks[i]));
        }
        if (!segment.is_inline) (good ? good_maps_ : bad_).insert(segment.stored);
        return good;
    }

    Repository& repository_;
    const CheckRequest& request_;
    env::Context context_;
    EntryReader reader_;
    std::map<std::string, Pack> packs_;
    std::map<PackId, std::vector<Location>> missing_;
    std::map<PackId, PackContents> damage_;           // found now
    std::set<std::pair<PackId, Id>> recovered_;       // noted once, and readable
    std::set<std::pair<PackId, Id>> told_;            // rows that are a problem already
    LogCheck logs_;
    IdSet bad_, good_maps_;
    std::map<Id, std::string> blobs_;
    CheckReport report_;
};

}  // namespace

Result<CheckReport> check_repository(Repository& repository, const CheckRequest& request, const env::Context& context) {
    Check check(repository, request, context);
    return check.run();
}

}  // namespace aeterna::repository
