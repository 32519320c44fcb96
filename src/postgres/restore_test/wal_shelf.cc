#include "postgres/restore_test/wal_shelf.h"

#include <fmt/format.h>

#include "base/strings.h"
#include "postgres/capture/base_backup.h"
#include "postgres/client/control_file.h"

namespace aeterna::postgres {
namespace {

// Called with "--from LSN --until LSN FILE INTO". 1: not there; PostgreSQL gives up at 255 instead of taking it for the end.
constexpr const char* kShelfScript =
    "wal=$(dirname \"$0\")/wal/$5\n"
    "[ -e \"$wal\" ] || exit 1\n"
    "cp \"$wal\" \"$6\" || exit 255\n";

class Shelf {
  public:
    Shelf(engine::Archive& archive, repository::Repository& repository, const engine::RestorePlan& plan,
          const ScratchPlace& place, const env::Context& context)
        : archive_(archive), repository_(repository), replay_(*plan.replay), place_(place), context_(context) {}

    Result<std::uint64_t> fill(const BaseBackupDetails& details) {
        request_.cluster = details.system_identifier;
        request_.data_directory = place_.data();
        request_.from = format_lsn(replay_.from);
        request_.until = format_lsn(replay_.to);
        AETERNA_TRY(find_segment_size());
        AETERNA_ASSIGN(const WalPath path, fetch_histories());
        std::uint64_t bytes = 0;
        for (Lsn start = replay_.from - replay_.from % request_.segment_bytes; start < replay_.to;
             start += request_.segment_bytes) {
            for (const std::string& name : names_asked_for(path, start, request_.segment_bytes)) {
                AETERNA_ASSIGN(const bool is_there, fetch(name));
                if (!is_there) continue;
                bytes += request_.segment_bytes;
                break;
            }
        }
        return bytes;
    }

  private:
    Status find_segment_size() {
        AETERNA_ASSIGN(const ControlFile control, read_control_of(repository_.ports().files, place_.data(), ""));
        request_.segment_bytes = control.segment_bytes > 0 ? control.segment_bytes : kDefaultSegmentBytes;
        return {};
    }

    // The server reads those on the way to its target; a timeline that goes on from nothing has none.
    Result<WalPath> fetch_histories() {
        std::string newest;
        for (Timeline timeline = 2; timeline <= replay_.timeline; ++timeline) {
            const std::string name = history_file_name(timeline);
            AETERNA_ASSIGN(const bool is_there, fetch(name));
            if (!is_there || timeline != replay_.timeline) continue;
            AETERNA_ASSIGN(newest, repository_.ports().files.read(place_.wal() + "/" + name, kMostHistoryBytes));
        }
        return make_wal_path(request_.cluster, replay_.timeline, newest);
    }

    Result<bool> fetch(const std::string& name) {
        request_.file = name;
        request_.into = place_.wal() + "/" + name;
        AETERNA_ASSIGN(const engine::ArchiveAnswer answer, archive_.get(repository_, request_, context_));
        return answer == engine::ArchiveAnswer::kServed;
    }

    engine::Archive& archive_;
    repository::Repository& repository_;
    const engine::RestorePlan::Replay& replay_;
    const ScratchPlace& place_;
    const env::Context& context_;
    engine::ArchiveRequest request_;
};

}  // namespace

std::vector<std::string> names_asked_for(const WalPath& path, Lsn start, std::uint64_t segment_bytes) {
    std::vector<std::string> names;
    for (auto part = path.parts.rbegin(); part != path.parts.rend(); ++part) {
        if (part->from / segment_bytes > start / segment_bytes) continue;
        names.push_back(wal_segment_name(part->timeline, start, segment_bytes));
    }
    return names;
}

std::string shelf_command(const ScratchPlace& place) { return "sh " + shell_word(place.wal_script()); }

Result<std::uint64_t> fill_shelf(engine::Archive& archive, repository::Repository& repository,
                                 const engine::RestorePlan& plan, const ScratchPlace& place,
                                 const env::Context& context) {
    AETERNA_TRY(repository.ports().files.write_durable(place.wal_script(), kShelfScript, 0644));
    AETERNA_ASSIGN(const BaseBackupDetails details, read_details(plan.backup.details));
    return Shelf(archive, repository, plan, place, context).fill(details);
}

}  // namespace aeterna::postgres
