#include "env/sim/sim_env.h"

#include "env/sim/ports.h"

namespace aeterna::sim {

struct SimEnv::Parts {
    Parts(World& world, Process& process) : place{world, process} {}
    Place place;
    std::map<std::string, std::string> variables;
    std::unique_ptr<env::Clock> clock = make_clock(place);
    std::unique_ptr<env::Random> random = make_random(place);
    std::unique_ptr<env::Threads> threads = make_threads(place);
    std::unique_ptr<env::Files> files = make_files(place, variables);
    std::unique_ptr<env::Processes> processes = make_processes(place);
    std::unique_ptr<env::Dialer> dialer = make_dialer(place);
    std::unique_ptr<env::HttpClient> http = make_http_client(place);
    std::unique_ptr<env::HttpListener> http_listener = make_http_listener(place);
    std::unique_ptr<env::SqlConnector> sql = make_sql(place);
    std::unique_ptr<Log> log = make_log(place);
    env::Env env{*clock,  *random, *threads,       *files, *processes,
                 *dialer, *http,   *http_listener, *sql,   *log};
};

SimEnv::SimEnv(World& world, Process& process) : parts_(std::make_unique<Parts>(world, process)) {}
SimEnv::~SimEnv() = default;
const env::Env& SimEnv::env() const { return parts_->env; }
void SimEnv::set_variable(const std::string& name, const std::string& value) {
    parts_->variables[name] = value;
}

}  // namespace aeterna::sim
