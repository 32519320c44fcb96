// Backups out of a stream: the same repository, the same restore, whatever the order of the files.
#include "repository/pipeline/stream_backup.h"

#include "repository/pipeline/read_file.h"
#include "rig.h"

namespace aeterna::repository::testing {
namespace {

env::NodeInfo node(env::NodeType type, std::uint64_t size = 0) {
    env::NodeInfo info;
    info.type = type;
    info.mode = type == env::NodeType::kDirectory ? 0700 : 0600;
    info.uid = ::geteuid();
    info.gid = ::getegid();
    info.size = size;
    info.mtime_ns = 1'700'000'000'000'000'000;
    return info;
}

Status send(StreamBackup& stream, const std::string& path, const std::string& content, std::size_t piece = 30'000) {
    AETERNA_TRY(stream.begin_file(path, node(env::NodeType::kFile, content.size())));
    for (std::size_t at = 0; at < content.size(); at += piece) {
        AETERNA_TRY(stream.append(bytes_of(std::string_view(content).substr(at, piece))));
    }
    return stream.end_file();
}

Backup header() {
    Backup backup;
    backup.kind = "base";
    backup.store = "postgres";
    backup.name = "cluster";
    backup.details = Json{{"timeline", 3}};
    return backup;
}

// Files in an order that no path has.
std::map<std::string, std::string> sample() {
    std::map<std::string, std::string> files;
    files["base/5/16384"] = database_file(700, 1);
    files["base/5/16390"] = database_file(20, 2);
    files["base/5.conf"] = rows(500, 3);
    files["dump"] = noise(3 << 20, 4);
    files["zeros"] = std::string(9 << 20, '\0');
    files["empty"] = "";
    for (std::uint64_t i = 0; i < 50; ++i) files["base/5/" + std::to_string(i)] = rows(9000 + i, i);
    return files;
}

Status send_all(StreamBackup& stream, const std::map<std::string, std::string>& files) {
    for (auto file = files.rbegin(); file != files.rend(); ++file) AETERNA_TRY(send(stream, file->first, file->second));
    for (const char* path : {"base/5", "base", ""}) AETERNA_TRY(stream.add_node(path, node(env::NodeType::kDirectory)));
    return stream.add_node("link", node(env::NodeType::kSymlink), "base/5");
}

Result<BackupResult> back_up(Repository& repository, const std::map<std::string, std::string>& files) {
    StreamBackup stream(repository, {header(), 2, {}}, forever());
    AETERNA_TRY(stream.begin());
    AETERNA_TRY(send_all(stream, files));
    return stream.finish();
}

std::map<std::string, std::string> contents_of(const std::string& root) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
        if (entry.is_symlink() || !entry.is_regular_file()) continue;
        files[fs::relative(entry.path(), root).string()] = read_file(entry.path().string());
    }
    return files;
}

TEST(StreamBackup, RestoresWhatCameInAnyOrder) {
    Rig rig;
    const auto files = sample();
    const auto made = back_up(*rig.open(), files);
    ASSERT_TRUE(made) << made.error().to_string();
    EXPECT_EQ(made->backup.files, files.size());
    EXPECT_EQ(made->backup.directories, 3u);
    EXPECT_EQ(rig.open()->catalog().read(made->backup.id, forever())->details, (Json{{"timeline", 3}}));
    const Directory parent;
    const auto restored = rig.restore(made->backup, parent.file("out"));
    ASSERT_TRUE(restored) << restored.error().to_string();
    EXPECT_TRUE(contents_of(parent.file("out")) == files);
    EXPECT_EQ(fs::read_symlink(parent.file("out/link")), "base/5");
    const CheckReport report = rig.check();
    EXPECT_TRUE(report.problems.empty()) << report.problems.front();
}

TEST(StreamBackup, StoresOnlyTheChangedPages) {
    Rig rig;
    auto files = sample();
    const auto first = back_up(*rig.open(), files);
    ASSERT_TRUE(first) << first.error().to_string();
    std::string& table = files["base/5/16384"];
    table.replace(333 * kPageBytes, kPageBytes, database_page(999));
    files["base/5/7"] = rows(9000, 777);
    const auto second = back_up(*rig.open(), files);
    ASSERT_TRUE(second) << second.error().to_string();
    EXPECT_EQ(second->backup.parent, first->backup.id);
    EXPECT_LT(second->backup.stored_bytes, first->backup.stored_bytes / 20);
    const Directory parent;
    ASSERT_TRUE(rig.restore(second->backup, parent.file("out")));
    EXPECT_TRUE(contents_of(parent.file("out")) == files);
}

TEST(StreamBackup, AFileOfManySegmentsIsWhole) {
    Rig rig;
    std::map<std::string, std::string> files;
    for (std::size_t i = 0; i < 150; ++i) files["large"] += i % 3 == 0 ? noise(1 << 20, i) : std::string(1 << 20, '\0');
    files["large"] += "an odd end";
    const auto repository = rig.open();
    StreamBackup stream(*repository, {header(), 2, {}}, forever());
    ASSERT_TRUE(stream.begin());
    ASSERT_TRUE(stream.add_node("", node(env::NodeType::kDirectory)));
    ASSERT_TRUE(send(stream, "large", files["large"], 777'777));
    const auto made = stream.finish();
    ASSERT_TRUE(made) << made.error().to_string();
    const Directory parent;
    ASSERT_TRUE(rig.restore(made->backup, parent.file("out")));
    EXPECT_TRUE(contents_of(parent.file("out")) == files);
}

TEST(StreamBackup, AFileMayEndWhenItEnds) {
    Rig rig;
    std::map<std::string, std::string> files;
    const std::string content = noise((128 << 20) + 5, 6);
    for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, std::size_t{kSmallFileBytes}, std::size_t{kSmallFileBytes} + 1,
                                    std::size_t{1} << 20, (std::size_t{1} << 20) + 1, std::size_t{kSegmentBytes},
                                    std::size_t{kSegmentBytes} + 1, content.size()}) {
        files[std::to_string(bytes)] = content.substr(content.size() - bytes);
    }
    const auto repository = rig.open();
    StreamBackup stream(*repository, {header(), 2, {}}, forever());
    ASSERT_TRUE(stream.begin());
    ASSERT_TRUE(stream.add_node("", node(env::NodeType::kDirectory)));
    std::uint64_t bytes = 0;
    for (const auto& [path, text] : files) {
        ASSERT_TRUE(stream.begin_open_file(path, node(env::NodeType::kFile)));
        for (std::size_t at = 0; at < text.size(); at += 333'333) {
            ASSERT_TRUE(stream.append(bytes_of(std::string_view(text).substr(at, 333'333))));
        }
        ASSERT_TRUE(stream.end_file());
        bytes += text.size();
    }
    const auto made = stream.finish();
    ASSERT_TRUE(made) << made.error().to_string();
    EXPECT_EQ(made->backup.bytes, bytes);
    const Directory parent;
    ASSERT_TRUE(rig.restore(made->backup, parent.file("out")));
    EXPECT_TRUE(contents_of(parent.file("out")) == files);
    EXPECT_TRUE(rig.check().problems.empty());
    const auto again = rig.open();
    for (const auto& [path, text] : files) {
        auto file = FileStream::open(*again, made->backup, path, forever());
        ASSERT_TRUE(file) << file.error().to_string();
        EXPECT_EQ((*file)->bytes(), text.size());
        std::string got;
        while (true) {
            const auto part = (*file)->next(3'000'000);
            ASSERT_TRUE(part) << part.error().to_string();
            if (part->empty()) break;
            got.append(part->data(), part->size());
        }
        EXPECT_TRUE(got == text) << path;
    }
    EXPECT_EQ(FileStream::open(*again, made->backup, "none", forever()).error().code, ErrorCode::kNotFound);
    EXPECT_EQ(FileStream::open(*again, made->backup, "", forever()).error().code, ErrorCode::kUsage);
}

TEST(StreamBackup, WhatIsNotWholeIsNoBackup) {
    Rig rig;
    const auto repository = rig.open();
    {
        StreamBackup stream(*repository, {header(), 2, {}}, forever());
        ASSERT_TRUE(stream.begin());
        ASSERT_TRUE(stream.begin_file("table", node(env::NodeType::kFile, 5 << 20)));
        ASSERT_TRUE(stream.append(bytes_of(noise(3 << 20, 1))));
        EXPECT_EQ(stream.end_file().error().code, ErrorCode::kProtocol);
    }  // given up in the middle of a file: nobody waits
    {
        StreamBackup stream(*repository, {header(), 2, {}}, forever());
        ASSERT_TRUE(stream.begin());
        ASSERT_TRUE(send(stream, "base/1", "x"));
        EXPECT_EQ(stream.finish().error().code, ErrorCode::kProtocol);  // no directory
    }
    {
        StreamBackup stream(*repository, {header(), 2, {}}, forever());
        ASSERT_TRUE(stream.begin());
        ASSERT_TRUE(stream.add_node("", node(env::NodeType::kDirectory)));
        ASSERT_TRUE(send(stream, "twice", "x"));
        ASSERT_TRUE(send(stream, "twice", "y"));
        EXPECT_EQ(stream.finish().error().code, ErrorCode::kProtocol);
    }
    {
        StreamBackup stream(*repository, {header(), 2, {}}, forever());
        ASSERT_TRUE(stream.begin());
        EXPECT_EQ(stream.begin_file("../out", node(env::NodeType::kFile, 1)).error().code, ErrorCode::kProtocol);
        ASSERT_TRUE(stream.begin_file("short", node(env::NodeType::kFile, 1)));
        EXPECT_EQ(stream.append(bytes_of("xy")).error().code, ErrorCode::kProtocol);
    }
    EXPECT_TRUE(repository->catalog().ids(forever())->empty());
    EXPECT_TRUE(rig.check().problems.empty());
}

TEST(StreamBackup, AStopEndsIt) {
    Rig rig;
    const auto repository = rig.open();
    std::stop_source stop;
    env::Context context = forever();
    context.stop = stop.get_token();
    StreamBackup stream(*repository, {header(), 2, {}}, context);
    ASSERT_TRUE(stream.begin());
    stop.request_stop();
    ASSERT_FALSE(send(stream, "dump", noise(64 << 20, 1)));
    EXPECT_EQ(stream.finish().error().code, ErrorCode::kCancelled);
}

}  // namespace
}  // namespace aeterna::repository::testing
