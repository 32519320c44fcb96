// A small REST-compatible stand-in for Qdrant, for machines where no real one is found. It is no
// Qdrant: it says so at `/`, in its version and in every log line, keeps everything in memory
// beside one append-only file, has one shard per collection, knows neither filters nor named
// vectors nor snapshots, and never makes a backup good. What it does keep is the behaviour that
// detection and drills live on: envelopes, status codes, replica states, a silent peer that stays
// Active until a write, recovery of a returning one, consensus lost with the majority. Differences
// to remember: a silent peer holds a write for 2 s here, for 9 to 10 s in a real 1.18.3; reads with
// consistency=majority work here while a replica is Dead, there they are errors.
// Source of the interface: facts/qdrant.md §§1-5 (v1.18).
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "env/env.h"

namespace aeterna::lab {

inline constexpr std::string_view kStandInTitle = "aeterna-dr qdrant stand-in";
inline constexpr std::string_view kStandInVersion = "0.0.0-stand-in";

struct StandInPeer {
    std::string name;  // "qdrant-1"
    std::uint64_t peer_id = 0;
    std::string url;  // "http://127.0.0.1:6333"
};

struct StandInConfig {
    std::string name;
    env::Endpoint listen;
    std::string storage;             // directory; created when missing
    Secret api_key;                  // empty = no check
    std::vector<StandInPeer> peers;  // all of them, this one included
    std::uint64_t own_id = 0;

    [[nodiscard]] const StandInPeer* find_peer(std::uint64_t id) const;
    [[nodiscard]] std::size_t majority() const { return peers.size() / 2 + 1; }
};

// Reads {"name","listen","storage","api_key_file"?,"peers":[{"name","peer_id","url"},…]};
// kConfiguration.
[[nodiscard]] Result<StandInConfig> load_stand_in_config(const std::string& path,
                                                         env::Files& files);

// Serves until `stop`; blocks. kConfiguration, kAlreadyExists (port taken), kIo (storage).
Status run_stand_in(const std::string& config_path, const env::Env& env, std::stop_token stop);

}  // namespace aeterna::lab
