#include "lab/stand_in/stand_in.h"

#include <fmt/format.h>

#include "base/json.h"
#include "base/strings.h"
#include "lab/stand_in/replication.h"
#include "lab/stand_in/routes.h"

namespace aeterna::lab {
namespace {

constexpr Duration kTick = 500ms;

Error wrong(const std::string& path, std::string_view what) {
    return make_error(ErrorCode::kConfiguration,
                      fmt::format("stand-in configuration '{}': {}", path, what));
}

}  // namespace

const StandInPeer* StandInConfig::find_peer(std::uint64_t id) const {
    for (const StandInPeer& peer : peers) {
        if (peer.peer_id == id) return &peer;
    }
    return nullptr;
}

Result<StandInConfig> load_stand_in_config(const std::string& path, env::Files& files) {
    AETERNA_ASSIGN(const std::string text, files.read(path, 1 << 20));
    AETERNA_ASSIGN(const Json document, parse_json(text, path));
    StandInConfig config;
    config.name = find_string(document, "name").value_or("");
    config.storage = find_string(document, "storage").value_or("");
    if (config.name.empty() || config.storage.empty())
        return wrong(path, "'name' and 'storage' are needed");
    AETERNA_ASSIGN(config.listen,
                   env::parse_endpoint(find_string(document, "listen").value_or("")));
    if (const auto key_file = find_string(document, "api_key_file");
        key_file && !key_file->empty()) {
        AETERNA_ASSIGN(const std::string key, files.read(*key_file, 4096));
        config.api_key = Secret(std::string(trim(key)));
    }
    const Json* peers = find_member(document, "peers");
    if (peers == nullptr || !peers->is_array()) return wrong(path, "'peers' must be a list");
    for (const Json& item : *peers) {
        const StandInPeer peer{
            find_string(item, "name").value_or(""),
            static_cast<std::uint64_t>(find_integer(item, "peer_id").value_or(0)),
            find_string(item, "url").value_or("")};
        // Versions carry the peer id in eight bits.
        if (peer.name.empty() || peer.url.empty() || peer.peer_id < 1 || peer.peer_id > 255) {
            return wrong(path, "a peer needs 'name', 'url' and a 'peer_id' of 1 to 255");
        }
        if (config.find_peer(peer.peer_id) != nullptr)
            return wrong(path, "two peers have one 'peer_id'");
        if (peer.name == config.name) config.own_id = peer.peer_id;
        config.peers.push_back(peer);
    }
    if (config.own_id == 0)
        return wrong(path, fmt::format("'{}' is not among the peers", config.name));
    return config;
}

Status run_stand_in(const std::string& config_path, const env::Env& env, std::stop_token stop) {
    AETERNA_ASSIGN(const StandInConfig config, load_stand_in_config(config_path, env.files));
    AETERNA_ASSIGN(const auto lock, [&]() -> Result<std::unique_ptr<env::FileLock>> {
        AETERNA_TRY(env.files.make_directories(config.storage));
        return env.files.lock(config.storage + "/lock");
    }());
    AETERNA_ASSIGN(const auto database, Database::open(config.storage, config.own_id, env.files));
    Replication replication(config, *database, env);
    Routes routes(config, *database, replication, env, stop);
    // Learn what was missed before the first read is answered.
    replication.tick(stop);
    AETERNA_ASSIGN(
        const auto server,
        env.http_listener.serve(config.listen, [&routes](const env::ServerRequest& request) {
            return routes.handle(request);
        }));
    env.log.warning("stand_in.started", {{"node", config.name},
                                         {"listen", config.listen.to_string()},
                                         {"note", "this is a stand-in, not a real qdrant"}});
    while (env.clock.sleep_for(kTick, stop)) replication.tick(stop);
    return {};
}

}  // namespace aeterna::lab
