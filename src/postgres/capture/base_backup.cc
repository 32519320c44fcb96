// The shell of base_backup.h: asks the nodes, talks to the walsender, feeds the repository.
#include "postgres/capture/base_backup.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/strings.h"
#include "postgres/capture/backup_manifest.h"
#include "postgres/capture/node_clocks.h"
#include "postgres/capture/source.h"
#include "postgres/capture/tar_reader.h"
#include "postgres/client/wal.h"
#include "repository/pipeline/stream_backup.h"

namespace aeterna::postgres {
namespace {

using Kind = env::ReplicationPart::Kind;

constexpr Duration kShort = std::chrono::seconds(15);
// A server that is silent for longer hangs. Before the first byte it may be waiting for its checkpoint.
constexpr Duration kSilence = std::chrono::minutes(5), kCheckpoint = std::chrono::hours(2);
constexpr std::size_t kMostManifestBytes = 512 << 20;
constexpr std::size_t kMostProblems = 100;
constexpr std::int64_t kOldestVersion = 150000;
// Of "the standby was promoted during online backup" (PostgreSQL 15, basebackup.c, xlog.c).
constexpr std::string_view kPromoted = "55000";

class BaseBackup final : public TarSink {
  public:
    BaseBackup(const Settings& settings, const env::Env& env, repository::Repository& repository,
               const engine::BackupOrder& order, BaseBackupOptions options, const env::Context& context)
        : settings_(settings),
          env_(env),
          repository_(repository),
          order_(order),
          options_(std::move(options)),
          context_(context),
          checksum_(options_.checksums) {}

    Result<repository::BackupResult> run(env::ReplicationConnector& replication) {
        AETERNA_ASSIGN(const Source source, ask_for_source(settings_, env_, order_.node, context_));
        details_.from_replica = source.is_replica;
        const NodeSettings& node = *settings_.find(source.node);
        order_.note(fmt::format("from {} '{}'", details_.from_replica ? "the replica" : "the node", node.name));
        AETERNA_ASSIGN(connection_, replication.connect(settings_.sql_target(node.address), bounded(kShort)));
        repository::Backup header;
        header.kind = kBaseKind;
        header.store = "postgres";
        header.name = settings_.series();
        header.node = node.name;
        AETERNA_TRY(identify(header));
        details_.host = ask_host_needs(settings_, node, env_, context_);
        details_.clocks_ahead = ask_clocks(settings_, env_, context_);
        AETERNA_TRY(hold_wal());
        stream_ = std::make_unique<repository::StreamBackup>(
            repository_, repository::StreamBackupRequest{header, order_.workers, order_.progress}, context_);
        AETERNA_TRY(stream_->begin());
        AETERNA_TRY(connection_->start(base_backup_command(options_), bounded(kShort)));
        AETERNA_TRY(receive());
        return finish();
    }

  private:
    [[nodiscard]] env::Context bounded(Duration limit) const { return env_.clock.within(limit, context_); }

    Status identify(repository::Backup& header) {
        AETERNA_ASSIGN(const env::SqlRows number, env::ask(*connection_, "SHOW server_version_num", bounded(kShort)));
        if (to_integer(number.first().value_or("")).value_or(0) < kOldestVersion) {
            return make_error(ErrorCode::kConfiguration, "base backups are taken from PostgreSQL 15 or later",
                              "Its older servers speak another form of BASE_BACKUP.");
        }
        AETERNA_ASSIGN(const env::SqlRows version, env::ask(*connection_, "SHOW server_version", bounded(kShort)));
        header.server_version = version.first().value_or("");
        AETERNA_ASSIGN(const env::SqlRows system, env::ask(*connection_, "IDENTIFY_SYSTEM", bounded(kShort)));
        details_.system_identifier = system.first(0).value_or("");
        return {};
    }

    // A slot of this session keeps the WAL that the backup ends with; it ends with the session, whatever happens to us.
    Status hold_wal() {
        const std::string slot = fmt::format("aeterna_dr_base_{:08x}", static_cast<std::uint32_t>(env_.random.next()));
        const auto made = env::ask(
            *connection_,
            fmt::format("CREATE_REPLICATION_SLOT {} TEMPORARY PHYSICAL RESERVE_WAL", env::replication_name(slot)),
            bounded(kShort));
        if (!made && !connection_->is_usable()) return made.error();
        if (!made) order_.note("no slot holds the WAL for this backup: " + made.error().message);
        return {};
    }

    // ------------------------------------------------------------------------------------------ the answer's parts

    Result<env::ReplicationPart> next(Duration silence) {
        auto part = connection_->next(bounded(silence));
        for (std::string& warning : connection_->take_warnings()) add_problem(std::move(warning));
        if (!part && part.error().code == ErrorCode::kTimeout && env_.clock.now() < context_.deadline) {
            return make_error(ErrorCode::kTimeout,
                              fmt::format("the server sent nothing for {}", format_duration(silence)),
                              "Look at the server's log; the backup was given up.");
        }
        return part;
    }

    // The server tells five damaged pages of a file, each with file and block, in its own language.
    void add_problem(std::string warning) {
        ++problem_count_;
        if (problems_.size() < kMostProblems) problems_.push_back(std::move(warning));
    }

    Result<env::SqlRows> next_rows(Duration silence) {
        AETERNA_ASSIGN(env::ReplicationPart part, next(silence));
        if (part.kind != Kind::kRows || part.rows.rows.empty()) {
            return make_error(ErrorCode::kProtocol, "the server did not answer as BASE_BACKUP does");
        }
        return std::move(part.rows);
    }

    static Result<std::uint64_t> position(const env::SqlRows& rows) {
        const auto lsn = parse_lsn(rows.first(0).value_or(""));
        if (!lsn) return make_error(ErrorCode::kProtocol, "the server named no position in the WAL");
        return *lsn;
    }

    Status receive() {
        AETERNA_ASSIGN(const env::SqlRows begin, next_rows(kCheckpoint));
        AETERNA_ASSIGN(details_.from, position(begin));
        AETERNA_ASSIGN(const env::SqlRows spaces, next_rows(kSilence));
        AETERNA_TRY(read_tablespaces(spaces));
        while (true) {
            AETERNA_ASSIGN(const env::ReplicationPart part, next(kSilence));
            if (part.kind == Kind::kCopyEnd) break;
            if (part.kind == Kind::kCopyData) AETERNA_TRY(take(part.data));
            else if (part.kind != Kind::kCopyBegin)
                return make_error(ErrorCode::kProtocol, "the server ended the copy too early");
        }
        // An error of the server says why an archive is cut.
        AETERNA_ASSIGN(const env::SqlRows end, next_rows(kSilence));
        AETERNA_TRY(end_archive());
        AETERNA_ASSIGN(details_.to, position(end));
        // Not the one that it began on: a replica may have followed a promotion meanwhile.
        details_.timeline = static_cast<std::uint32_t>(to_integer(end.first(1).value_or("")).value_or(0));
        const auto last = next(kSilence);
        if (last && last->kind == Kind::kEnd) return {};
        if (last) return make_error(ErrorCode::kProtocol, "the server did not end its answer");
        // Pages were damaged: the copy is complete, and the server says at last that it is not sound.
        return sqlstate_of(last.error()) == "XX001" && problem_count_ > 0 ? Status() : Status(last.error());
    }

    Status read_tablespaces(const env::SqlRows& rows) {
        std::uint64_t kib = 0;
        for (const auto& row : rows.rows) {
            if (row.size() < 3)
                return make_error(ErrorCode::kProtocol, "the server's list of tablespaces is too narrow");
            kib += static_cast<std::uint64_t>(std::max<std::int64_t>(0, to_integer(row[2].value_or("")).value_or(0)));
            if (!row[0]) continue;  // the data directory
            details_.tablespaces.push_back(
                {static_cast<std::uint32_t>(to_integer(*row[0]).value_or(0)), row[1].value_or("")});
        }
        stream_->expect_bytes(kib << 10);
        return {};
    }

    Status take(std::string_view bytes) {
        AETERNA_ASSIGN(const BaseBackupMessage message, parse_base_backup_message(bytes));
        switch (message.kind) {
            case BaseBackupMessage::Kind::kProgress: return {};
            case BaseBackupMessage::Kind::kArchive: AETERNA_TRY(end_archive()); return begin_archive(message);
            case BaseBackupMessage::Kind::kManifest:
                AETERNA_TRY(end_archive());
                is_manifest_ = true;
                return {};
            default: break;
        }
        if (is_manifest_) {
            manifest_.append(message.data);
            return manifest_.size() <= kMostManifestBytes
                       ? Status()
                       : Status(make_error(ErrorCode::kProtocol, "the server's backup manifest is impossibly long"));
        }
        if (!tar_) return make_error(ErrorCode::kProtocol, "the server sent content without an archive");
        return tar_->feed(message.data);
    }

    Status begin_archive(const BaseBackupMessage& message) {
        prefix_.clear();
        if (message.location.empty()) {
            has_base_ = true;
        } else {
            const auto known =
                std::find_if(details_.tablespaces.begin(), details_.tablespaces.end(),
                             [&](const Tablespace& one) { return message.archive == fmt::format("{}.tar", one.oid); });
            if (known == details_.tablespaces.end()) {
                return make_error(ErrorCode::kProtocol, "the server sent a tablespace that it had not listed");
            }
            prefix_ = fmt::format("pg_tblspc/{}/", known->oid);
        }
        tar_ = std::make_unique<TarReader>(*this);
        return {};
    }

    Status end_archive() {
        if (!tar_) return {};
        const Status whole = tar_->finish();
        tar_.reset();
        return whole;
    }

    // ------------------------------------------------------------------------------------------ TarSink

    Status begin(const TarEntry& entry) override {
        env::NodeInfo info;
        info.mode = entry.mode;
        info.uid = entry.uid;
        info.gid = entry.gid;
        info.mtime_ns = entry.modified_at * 1'000'000'000;
        if (!owner_) owner_ = info;
        path_ = prefix_ + entry.path;
        switch (entry.type) {
            case TarEntry::Type::kDirectory:
                if (entry.path.empty()) return {};  // ours, below
                info.type = env::NodeType::kDirectory;
                return stream_->add_node(path_, info);
            case TarEntry::Type::kLink:
                // A tablespace is a directory here.
                if (prefix_.empty() && path_.rfind("pg_tblspc/", 0) == 0) return {};
                info.type = env::NodeType::kSymlink;
                return stream_->add_node(path_, info, entry.target);
            default: break;
        }
        info.type = env::NodeType::kFile;
        info.size = entry.bytes;
        bytes_ = entry.bytes;
        if (prefix_.empty() && path_.rfind("pg_wal/", 0) == 0) wal_files_.insert(path_.substr(7));
        return stream_->begin_file(path_, info);
    }
    Status content(std::string_view bytes) override {
        checksum_.add(bytes);
        return stream_->append(repository::bytes_of(bytes));
    }
    Status end_file() override {
        received_.add(path_, bytes_, checksum_.take());
        return stream_->end_file();
    }

    // ------------------------------------------------------------------------------------------ the end

    Result<repository::BackupResult> finish() {
        if (!has_base_ || !is_manifest_)
            return make_error(ErrorCode::kProtocol, "the server's answer was not complete");
        AETERNA_ASSIGN(const auto ranges, received_.verify(manifest_));
        if (ranges.back().timeline != details_.timeline && ranges.front().timeline != details_.timeline) {
            return make_error(ErrorCode::kProtocol, "the backup manifest is about another timeline");
        }
        AETERNA_TRY(check_wal());
        AETERNA_TRY(add_own_nodes());
        details_.damaged_pages = problem_count_;
        repository::Backup& header = stream_->header();
        header.details = details_json(details_);
        // The log from the segment on in which the backup ends: what is before it came with the backup.
        const Lsn needed = details_.to / segment_bytes_ * segment_bytes_;
        header.log = {wal_log_name({details_.system_identifier, details_.timeline}), needed, needed};
        header.skipped = problem_count_;
        AETERNA_ASSIGN(auto result, stream_->finish());
        result.problems = std::move(problems_);
        result.problem_count = problem_count_;
        return result;
    }

    // Alone, the copy is of use only with every segment from its start to its stop.
    Status check_wal() {
        AETERNA_ASSIGN(const env::SqlRows size, env::ask(*connection_, "SHOW wal_segment_size", bounded(kShort)));
        const std::uint64_t segment = segment_bytes_ = parse_segment_bytes(size.first().value_or(""));
        if (segment == 0) return make_error(ErrorCode::kProtocol, "the server named no size of its WAL segments");
        for (std::uint64_t at = details_.from / segment * segment; at < details_.to; at += segment) {
            const std::string name = wal_segment_name(details_.timeline, at, segment);
            const std::string_view position = std::string_view(name).substr(8);
            const bool is_there = std::any_of(wal_files_.begin(), wal_files_.end(), [&](const std::string& file) {
                return file.size() == 24 && std::string_view(file).substr(8) == position;  // of whichever timeline
            });
            if (!is_there) {
                return make_error(ErrorCode::kProtocol,
                                  fmt::format("the WAL segment '{}' did not come with the backup", name),
                                  "Run it again.");
            }
        }
        return {};
    }

    // What no archive has: the root, the tablespaces' directories, and the manifest, by which others can verify a
    // restore.
    Status add_own_nodes() {
        env::NodeInfo info = owner_.value_or(env::NodeInfo{});
        info.mode = 0700;
        info.type = env::NodeType::kDirectory;
        info.size = 0;
        info.mtime_ns = std::chrono::duration_cast<Duration>(env_.clock.wall_now().time_since_epoch()).count();
        AETERNA_TRY(stream_->add_node("", info));
        for (const Tablespace& one : details_.tablespaces)
            AETERNA_TRY(stream_->add_node(fmt::format("pg_tblspc/{}", one.oid), info));
        info.mode = 0600;
        info.type = env::NodeType::kFile;
        info.size = manifest_.size();
        AETERNA_TRY(stream_->begin_file("backup_manifest", info));
        AETERNA_TRY(stream_->append(repository::bytes_of(manifest_)));
        return stream_->end_file();
    }

    const Settings& settings_;
    const env::Env& env_;
    repository::Repository& repository_;
    const engine::BackupOrder& order_;
    const BaseBackupOptions options_;
    const env::Context& context_;
    std::unique_ptr<env::ReplicationConnection> connection_;
    std::unique_ptr<repository::StreamBackup> stream_;
    BaseBackupDetails details_;
    std::uint64_t segment_bytes_ = 0;  // of the server's WAL

    std::unique_ptr<TarReader> tar_;
    std::string prefix_, path_, manifest_;
    std::uint64_t bytes_ = 0;
    bool has_base_ = false, is_manifest_ = false;
    std::optional<env::NodeInfo> owner_;
    FileChecksum checksum_;
    ReceivedFiles received_;
    std::set<std::string> wal_files_;
    std::vector<std::string> problems_;
    std::uint64_t problem_count_ = 0;
};

}  // namespace

Result<repository::BackupResult> take_base_backup(const Settings& settings, const env::Env& env,
                                                  env::ReplicationConnector& replication,
                                                  repository::Repository& repository, const engine::BackupOrder& order,
                                                  const env::Context& context) {
    AETERNA_ASSIGN(BaseBackupOptions options, read_base_backup_options(order.options));
    BaseBackup backup(settings, env, repository, order, std::move(options), context);
    auto taken = backup.run(replication);
    if (!taken && taken.error().code == ErrorCode::kPermission) {
        taken.error().hint = "Give the role REPLICATION and the rights that `config check` prints.";
    } else if (!taken && sqlstate_of(taken.error()) == kPromoted) {
        taken.error().hint = "Run it again: a copy begun on a replica cannot end on a primary.";
    }
    return taken;
}

}  // namespace aeterna::postgres
