// The factories of the real ports, one per file of this folder; posix_env.cc wires them.
#pragma once

#include <memory>

#include "env/env.h"
#include "env/posix/posix_env.h"

namespace aeterna::env {

[[nodiscard]] std::unique_ptr<Clock> make_posix_clock();
[[nodiscard]] std::unique_ptr<Random> make_posix_random();
[[nodiscard]] std::unique_ptr<Threads> make_posix_threads();
[[nodiscard]] std::unique_ptr<Files> make_posix_files();
[[nodiscard]] std::unique_ptr<Processes> make_posix_processes();
[[nodiscard]] std::unique_ptr<Dialer> make_posix_dialer();
[[nodiscard]] std::unique_ptr<HttpClient> make_curl_http_client();
[[nodiscard]] std::unique_ptr<HttpListener> make_http_listener();
// Removes libpq's own environment variables from this process: call it before threads start.
[[nodiscard]] std::unique_ptr<SqlConnector> make_libpq_connector();
[[nodiscard]] std::unique_ptr<Log> make_stderr_log(LogFormat format, LogLevel level);

}  // namespace aeterna::env
