#include "env/posix/posix_env.h"

#include "env/posix/ports.h"

namespace aeterna::env {

struct PosixEnv::Parts {
    Parts(LogFormat format, LogLevel level) : log(make_stderr_log(format, level)) {}

    std::unique_ptr<Log> log;
    std::unique_ptr<Clock> clock = make_posix_clock();
    std::unique_ptr<Random> random = make_posix_random();
    std::unique_ptr<Threads> threads = make_posix_threads();
    std::unique_ptr<Files> files = make_posix_files();
    std::unique_ptr<Processes> processes = make_posix_processes();
    std::unique_ptr<Dialer> dialer = make_posix_dialer();
    std::unique_ptr<HttpClient> http = make_curl_http_client();
    std::unique_ptr<HttpListener> http_listener = make_http_listener();
    std::unique_ptr<SqlConnector> sql = make_libpq_connector();
    Env env{*clock, *random, *threads, *files, *processes, *dialer, *http, *http_listener, *sql, *log};
};

PosixEnv::PosixEnv(LogFormat format, LogLevel level) : parts_(std::make_unique<Parts>(format, level)) {}
PosixEnv::~PosixEnv() = default;

const Env& PosixEnv::env() const { return parts_->env; }

}  // namespace aeterna::env
