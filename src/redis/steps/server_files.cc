// Reading "dir" and its kin, listing, copying.
#include "redis/steps/server_files.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"

namespace aeterna::redis {
namespace {

// What is larger is copied by cp(1), which shares blocks where the file system can.
constexpr std::size_t kReadLimit = 32 << 20;

std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// "key value" with optional quotes.
std::string value_of(std::string_view line, std::size_t key_length) {
    std::string_view value = trim(line.substr(key_length));
    if (value.size() >= 2 && value.front() == value.back() &&
        (value.front() == '"' || value.front() == '\''))
        value = value.substr(1, value.size() - 2);
    return std::string(value);
}

Status run(const std::vector<std::string>& argv, const env::Env& env, const env::Context& context) {
    env::RunOptions options;
    options.argv = argv;
    AETERNA_ASSIGN(const env::RunResult result, env.processes.run(options, context));
    if (result.exit_status == 0) return {};
    return make_error(ErrorCode::kIo, argv.front() + " failed: " + one_line(result.errors),
                      "Look for free space where the state directory is.");
}

Result<std::uint64_t> copy_one(const std::string& from, const std::string& to, const env::Env& env,
                               const env::Context& context) {
    const auto content = env.files.read(from, kReadLimit);
    if (content) {
        AETERNA_TRY(env.files.write_durable(to, *content, 0600));
        return static_cast<std::uint64_t>(content->size());
    }
    if (content.error().code != ErrorCode::kIo) return content.error();
    AETERNA_TRY(
        run({"cp", "--reflink=auto", "--preserve=timestamps", "--", from, to}, env, context));
    AETERNA_TRY(run({"sync", "--", to}, env, context));
    env::RunOptions size;
    size.argv = {"stat", "--format=%s", "--", to};
    AETERNA_ASSIGN(const env::RunResult said, env.processes.run(size, context));
    return static_cast<std::uint64_t>(to_integer(trim(said.output)).value_or(0));
}

struct CopiedFile {
    std::string path;  // of the original
    std::uint64_t bytes = 0;
};

// Into `directory`/NODE; durable when it returns.
Result<std::vector<CopiedFile>> copy_all(const RedisNode& node, const std::vector<std::string>& paths, const std::string& directory,
                                         const env::Env& env, const env::Context& context) {
    const std::string place = directory + "/" + node.name;
    AETERNA_TRY(env.files.make_directories(place, 0700));
    std::vector<CopiedFile> copied;
    for (const std::string& path : paths) {
        AETERNA_ASSIGN(const std::uint64_t bytes, copy_one(path, place + "/" + file_name(path), env, context));
        copied.push_back({path, bytes});
    }
    return copied;
}

Salvaged account_of(const RedisNode& node, const std::string& directory, const std::vector<CopiedFile>& copied) {
    Salvaged kept{directory, copied.size(), 0, "", {}};
    for (const CopiedFile& file : copied) kept.bytes += file.bytes;
    kept.summary = fmt::format("{} files of '{}', {} bytes", kept.files, node.name, kept.bytes);
    return kept;
}

}  // namespace

DataPlace data_place(std::string_view config) {
    DataPlace place;
    for (const std::string_view raw : split(config, '\n')) {
        const std::string_view line = trim(raw);
        const std::size_t end = line.find_first_of(" \t");
        if (line.empty() || line.front() == '#' || end == std::string_view::npos) continue;
        const std::string key = lower(line.substr(0, end));
        if (key == "dir") place.directory = value_of(line, end);
        if (key == "dbfilename") place.rdb = value_of(line, end);
        if (key == "appenddirname") place.aof_directory = value_of(line, end);
        if (key == "appendfilename") place.aof_name = value_of(line, end);
        if (key == "appendonly") place.is_aof = lower(value_of(line, end)) == "yes";
    }
    if (!place.directory.starts_with('/')) place.directory.clear();
    return place;
}

Result<std::vector<std::string>> persistent_files(const DataPlace& place, env::Files& files) {
    if (place.directory.empty())
        return make_error(ErrorCode::kConfiguration, "its configuration names no absolute 'dir'");
    std::vector<std::string> paths;
    const std::string folder = place.directory + "/" + place.aof_directory;
    if (place.is_aof) {
        const auto names = files.list(folder);
        if (!names && names.error().code != ErrorCode::kNotFound) return names.error();
        if (names)
            for (const std::string& name : *names)
                if (name.starts_with(place.aof_name)) paths.push_back(folder + "/" + name);
        std::stable_partition(paths.begin(), paths.end(),
                              [](const std::string& path) { return !path.ends_with(".manifest"); });
    }
    const std::string rdb = place.directory + "/" + place.rdb;
    if (paths.empty() && files.exists(rdb)) paths.push_back(rdb);
    return paths;
}

Result<std::vector<std::string>> persistent_files_of(const RedisNode& node, env::Files& files) {
    AETERNA_ASSIGN(const std::string config, files.read(node.config_file));
    return persistent_files(data_place(config), files);
}

Result<Salvaged> keep_aof(const RedisNode& node, const NodeInfo& info, const std::string& directory, const env::Env& env,
                          const env::Context& context) {
    if (!info.is_aof_enabled || !info.is_aof_write_ok || info.is_aof_rewriting)
        return make_error(ErrorCode::kUnavailable, "its AOF is off, fails or is being rewritten");
    AETERNA_ASSIGN(const auto paths, persistent_files_of(node, env.files));
    if (paths.empty() || !paths.back().ends_with(".manifest"))
        return make_error(ErrorCode::kUnavailable, "where its configuration file says, there is no AOF with a manifest");
    AETERNA_ASSIGN(const auto copied, copy_all(node, paths, directory, env, context));
    std::int64_t bases = 0, increments = 0;
    for (const CopiedFile& file : copied) {
        if (file.path.find(".base.") != std::string::npos) bases += static_cast<std::int64_t>(file.bytes);
        else if (file.path.find(".incr.") != std::string::npos) increments += static_cast<std::int64_t>(file.bytes);
    }
    const bool is_uncounted_base = info.aof_base_bytes == 0 && info.aof_bytes == increments;
    if (info.aof_bytes != bases + increments && !is_uncounted_base)
        return make_error(ErrorCode::kUnavailable, fmt::format("its AOF has {} bytes there, and {} by its own word", bases + increments,
                                                               info.aof_bytes));
    return account_of(node, directory, copied);
}

Result<Salvaged> keep_files(const RedisNode& node, const std::string& directory, const env::Env& env, const env::Context& context) {
    AETERNA_ASSIGN(const auto paths, persistent_files_of(node, env.files));
    if (paths.empty()) return Salvaged{directory, 0, 0, "'" + node.name + "' has no persistent files: what it had alone is gone", {}};
    AETERNA_ASSIGN(const auto copied, copy_all(node, paths, directory, env, context));
    return account_of(node, directory, copied);
}

}  // namespace aeterna::redis
