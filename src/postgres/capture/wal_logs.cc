#include "postgres/capture/wal_logs.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace aeterna::postgres {

Result<std::vector<WalLog>> list_wal_logs(repository::Repository& repository, const env::Context& context) {
    AETERNA_ASSIGN(const auto names, repository::list_logs(repository, context));
    std::vector<WalLog> logs;
    for (const std::string& name : names) {
        if (auto log = parse_wal_log_name(name)) logs.push_back(std::move(*log));
    }
    return logs;
}

Status require_known_cluster(repository::Repository& repository, const std::string& system_identifier,
                             const std::string& whose, const env::Context& context) {
    AETERNA_ASSIGN(const auto logs, list_wal_logs(repository, context));
    std::set<std::string> systems;
    for (const WalLog& log : logs) systems.insert(log.system_identifier);
    if (systems.empty() || systems.contains(system_identifier)) return {};
    return make_error(ErrorCode::kGuardRefused,
                      fmt::format("the repository has WAL of the cluster '{}', '{}' belongs to the cluster '{}'",
                                  *systems.begin(), whose, system_identifier),
                      "Check --repo and --stack; --new-cluster, once, begins a second history beside it.");
}

Result<std::string> read_stretch(repository::Repository& repository, const std::string& log, Lsn from, Lsn to,
                                 const env::Context& context) {
    std::string known;
    const auto each = [&](std::uint64_t, repository::Bytes bytes) -> Result<bool> {
        known.append(bytes.data(), std::min<std::size_t>(bytes.size(), to - from - known.size()));
        return known.size() < to - from;
    };
    const auto read = repository::read_log(repository, log, from, each, context);
    if (!read && read.error().code != ErrorCode::kNotFound) return read.error();
    return known;
}

Status put_timeline_history(repository::Repository& repository, const WalLog& log, const std::string& history,
                            const env::Context& context) {
    AETERNA_ASSIGN(const auto switches, parse_timeline_history(history, log.timeline));
    if (switches.empty()) return {};
    const std::string parent = wal_log_name({log.system_identifier, switches.back().timeline});
    return repository::put_origin(repository, wal_log_name(log), {parent, switches.back().at, history}, context);
}

}  // namespace aeterna::postgres
