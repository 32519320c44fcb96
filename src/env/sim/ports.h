// The makers of the simulated ports; sim_env.cc puts them together.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "env/env.h"
#include "env/sim/world.h"

namespace aeterna::sim {

struct Place {
    World& world;
    Process& process;
    [[nodiscard]] bool is_dead() const { return !process.is_alive(); }
    [[nodiscard]] Error dead(const std::string& what) const {
        return make_error(ErrorCode::kCancelled, what + ": stopped");
    }
};

[[nodiscard]] std::unique_ptr<env::Clock> make_clock(Place place);
[[nodiscard]] std::unique_ptr<env::Random> make_random(Place place);
[[nodiscard]] std::unique_ptr<env::Threads> make_threads(Place place);
[[nodiscard]] std::unique_ptr<env::Files> make_files(Place place,
                                                     std::map<std::string, std::string>& variables);
[[nodiscard]] std::unique_ptr<env::Processes> make_processes(Place place);
[[nodiscard]] std::unique_ptr<env::Dialer> make_dialer(Place place);
[[nodiscard]] std::unique_ptr<env::HttpClient> make_http_client(Place place);
[[nodiscard]] std::unique_ptr<env::HttpListener> make_http_listener(Place place);
[[nodiscard]] std::unique_ptr<env::SqlConnector> make_sql(Place place);
[[nodiscard]] std::unique_ptr<Log> make_log(Place place);

}  // namespace aeterna::sim
