// The JSON file of one Qdrant stand-in.
#include <fmt/format.h>

#include "base/json.h"
#include "lab/server_config.h"

namespace aeterna::lab {

std::string stand_in_config(const Layout& layout, int host) {
    Json peers = Json::array();
    for (int n = 1; n <= kHosts; ++n)
        peers.push_back({{"name", fmt::format("qdrant-{}", n)},
                         {"peer_id", n},
                         {"url", "http://" + layout.endpoint("qdrant", n).to_string()}});
    return dump_json_pretty(Json{{"name", fmt::format("qdrant-{}", host)},
                                 {"listen", layout.endpoint("qdrant", host).to_string()},
                                 {"storage", layout.path(fmt::format("data/qdrant-{}", host))},
                                 {"api_key_file", layout.secret_file("qdrant")},
                                 {"peers", peers}}) +
           "\n";
}

}  // namespace aeterna::lab
