// The configuration file, the fence, the start.
#include "redis/steps/rejoin.h"

#include <fmt/core.h>

#include "base/strings.h"

namespace aeterna::redis {
namespace {

bool names_a_master(std::string_view line) {
    const std::string_view text = trim(line);
    const std::string word = lower(text.substr(0, text.find_first_of(" \t")));
    return word == "replicaof" || word == "slaveof";
}

}  // namespace

std::string with_replicaof(std::string_view config, const env::Endpoint& master) {
    std::string result;
    while (!config.empty()) {
        const std::size_t end = config.find('\n');
        const std::string_view line =
            config.substr(0, end == std::string_view::npos ? config.size() : end + 1);
        if (!names_a_master(line)) result += line;
        config.remove_prefix(line.size());
    }
    if (!result.empty() && result.back() != '\n') result += '\n';
    return result + fmt::format("replicaof {} {}\n", master.host, master.port);
}

Status follow_at_start(Acting& acting, const RedisNode& old_master, const RedisNode& new_master) {
    if (!acting.hands->has_files_of(old_master))
        return make_error(
            ErrorCode::kConfiguration,
            "the configuration of '" + old_master.name + "' cannot be written from here",
            "Name its config_file in the stack file, on a host with a local executor.");
    env::Files& files = acting.cluster->env().files;
    AETERNA_ASSIGN(const env::Owner owner, files.owner(old_master.config_file));
    AETERNA_ASSIGN(const std::string present, files.read(old_master.config_file));
    const std::string wanted = with_replicaof(present, new_master.address);
    return wanted == present ? Status() : files.write_durable(old_master.config_file, wanted, 0640, owner);
}

Status lift_and_start(Acting& acting, const RedisNode& node, engine::StepContext& step) {
    AETERNA_ASSIGN(hosts::Executor * executor, acting.hands->executor_of(node));
    AETERNA_TRY(executor->unfence({node.name}, step.context.run_id, step.context));
    step.facts.erase(kFenced);
    const Status started = executor->start(node.name, step.context);
    if (started) return {};
    if (started.error().code != ErrorCode::kGuardRefused) return started;
    step.progress("'" + node.name +
                  "' is not started by us: " + one_line(started.error().to_string()));
    return {};
}

}  // namespace aeterna::redis
