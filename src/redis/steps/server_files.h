// Where a Redis server keeps its data, by its configuration file, and copies of it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "env/env.h"
#include "redis/settings.h"
#include "redis/steps/tail.h"

namespace aeterna::redis {

// Of redis.conf; the defaults are Redis' own (7.0 redis.conf). Pure.
struct DataPlace {
    std::string directory;  // "dir"; empty when the file does not say, or says a relative one
    std::string rdb = "dump.rdb";
    std::string aof_directory = "appendonlydir";
    std::string aof_name = "appendonly.aof";
    bool is_aof = false;
};
[[nodiscard]] DataPlace data_place(std::string_view config);

// The persistent files of the place that exist, as absolute paths: the AOF's (manifest last), else
// the RDB.
[[nodiscard]] Result<std::vector<std::string>> persistent_files(const DataPlace& place,
                                                                env::Files& files);

[[nodiscard]] Result<std::vector<std::string>> persistent_files_of(const RedisNode& node, env::Files& files);

// Copies the node's AOF into `directory`/NODE when these files are all that the server has: they have as many bytes as it says,
// by an INFO that was asked for while nobody could write. kUnavailable otherwise: the file may be of another place or another time,
// a part still in the server's memory, or the configuration was given on its command line.
[[nodiscard]] Result<Salvaged> keep_aof(const RedisNode& node, const NodeInfo& info, const std::string& directory, const env::Env& env,
                                        const env::Context& context);

// Copies all of the node's persistent files into `directory`/NODE; how many and how much. The files are of this machine, and nobody writes
// them meanwhile. No files is no error.
[[nodiscard]] Result<Salvaged> keep_files(const RedisNode& node, const std::string& directory, const env::Env& env, const env::Context& context);

}  // namespace aeterna::redis
