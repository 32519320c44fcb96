// What the tests of the real ports share: one environment, contexts, free ports, a directory of their own.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "env/posix/posix_env.h"

namespace aeterna::env::testing {

inline const Env& real() {
    static PosixEnv env(LogFormat::kText, LogLevel::kError);
    return env.env();
}

inline Context within(Duration duration, std::stop_token stop = {}) {
    return {real().clock.now() + duration, std::move(stop), "test"};
}

// A loopback address for this folder's tests that nobody listens on; differs between parallel runs.
inline Endpoint free_endpoint() {
    for (int attempt = 0; attempt < 200; ++attempt) {
        const int host = 1 + static_cast<int>(real().random.next() % 250);
        const int port = 20000 + static_cast<int>(real().random.next() % 10000);
        Endpoint endpoint{"127.0.81." + std::to_string(host), port};
        if (real().dialer.can_listen(endpoint)) return endpoint;
    }
    ADD_FAILURE() << "no free port";
    return {};
}

class Directory {
  public:
    Directory() {
        std::string pattern = "/var/tmp/aeterna-test-XXXXXX";
        path_ = ::mkdtemp(pattern.data());
    }
    ~Directory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;
    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }

  private:
    std::string path_;
};

// Waits for a condition that another process brings about.
template <class Condition>
bool eventually(Condition condition, Duration limit = 10s) {
    const MonoTime end = real().clock.now() + limit;
    while (!condition()) {
        if (real().clock.now() >= end) return false;
        real().clock.sleep_for(5ms, {});
    }
    return true;
}

}  // namespace aeterna::env::testing
