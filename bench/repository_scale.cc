// repository_scale PLACE KEY_FILE BACKUPS FILES: fills the repository at PLACE (which `repo init` has made) with BACKUPS
// catalog entries, of which the last one has a manifest of FILES small files. They share one chunk: the catalog and the
// manifest are what grows.
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

#include "env/posix/file_system.h"
#include "env/posix/file_tree.h"
#include "env/posix/posix_env.h"
#include "repository/pipeline/manifest_store.h"
#include "repository/repository.h"
#include "repository/storage/local.h"

namespace aeterna::repository {
namespace {

constexpr std::uint64_t kFilesOfADirectory = 1000;

// Files of 20 to 60 KiB below 1,000 to a directory, in path order.
Status add_files(ManifestStore& manifest, const Id& chunk, std::uint64_t files) {
    FileRecord root;
    root.info.type = env::NodeType::kDirectory;
    root.info.mode = 0755;
    AETERNA_TRY(manifest.add(root));
    for (std::uint64_t i = 0; i < files; ++i) {
        if (i % kFilesOfADirectory == 0) {
            FileRecord directory = root;
            directory.path = fmt::format("d{:08}", i / kFilesOfADirectory);
            AETERNA_TRY(manifest.add(directory));
        }
        FileRecord record;
        record.path = fmt::format("d{:08}/file-{:04}.data", i / kFilesOfADirectory, i % kFilesOfADirectory);
        record.info.type = env::NodeType::kFile;
        record.info.mode = 0644;
        record.info.size = 20000 + i % 40000;
        record.info.mtime_ns = record.info.ctime_ns = 1'772'359'200'000'000'000 + static_cast<std::int64_t>(i) * 1'000'003;
        record.info.inode = i + 2;
        record.kind = ContentKind::kSmall;
        record.digest = chunk;
        SegmentRef& segment = record.segments.emplace_back();
        segment.map.chunks.push_back(chunk);
        segment.map.add({0, static_cast<std::uint32_t>(i % 900000), static_cast<std::uint32_t>(record.info.size)});
        AETERNA_TRY(manifest.add(record));
    }
    return {};
}

Status fill(Repository& repository, std::uint64_t backups, std::uint64_t files, const env::Context& context) {
    Job job(context);
    ChunkStore store(repository.storage(), repository.keys(), repository.index(), repository.ports(), job);
    const auto lane = store.make_lane();
    std::string content(1 << 20, 'x');
    AETERNA_ASSIGN(const Id chunk, lane->put_named(EntryType::kData, bytes_of(content)));
    AETERNA_TRY(lane->finish());
    Backup backup;
    backup.kind = "files";
    backup.name = "scale";
    backup.started_at = repository.ports().clock.wall_now();
    ManifestStore manifest(store, backup);
    AETERNA_TRY(add_files(manifest, chunk, files));
    AETERNA_TRY(manifest.finish());
    AETERNA_TRY(store.finish());
    for (std::uint64_t i = 0; i < backups; ++i) {
        Backup one = backup;
        one.started_at = one.finished_at = backup.started_at - std::chrono::minutes(backups - 1 - i);
        one.id = make_backup_id(one.started_at, i);
        one.name = i + 1 == backups ? "scale" : fmt::format("series-{}", i % 50);
        AETERNA_TRY(repository.catalog().put(one, random_name(repository.ports().random), context));
    }
    return {};
}

Status run(char** argv) {
    env::PosixEnv posix(env::LogFormat::kText, LogLevel::kError);
    const env::Env& env = posix.env();
    const auto tree = env::make_posix_file_tree();
    const auto files = env::make_posix_file_system();
    LocalStorage storage(*files, env.random, env.clock, argv[1]);
    AETERNA_ASSIGN(const std::string key, env.files.read(argv[2]));
    AETERNA_ASSIGN(const Credential credential, parse_credential(key));
    const Ports ports{env.clock, env.random, env.threads, env.files, *tree};
    const env::Context context{MonoTime::max(), {}, "scale"};
    AETERNA_ASSIGN(const auto repository, Repository::open(storage, credential, ports, context));
    AETERNA_TRY(repository->open_index(std::string(argv[1]) + "-state", SessionKind::kWrite, context));
    return fill(*repository, std::strtoull(argv[3], nullptr, 10), std::strtoull(argv[4], nullptr, 10), context);
}

}  // namespace
}  // namespace aeterna::repository

int main(int argc, char** argv) {
    if (argc != 5) {
        std::fprintf(stderr, "usage: repository_scale PLACE KEY_FILE BACKUPS FILES\n");
        return 2;
    }
    const auto done = aeterna::repository::run(argv);
    if (!done) std::fprintf(stderr, "%s\n", done.error().to_string().c_str());
    return done ? 0 : 1;
}
