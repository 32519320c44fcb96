// The real world behind the ports of env/: Linux, libcurl, cpp-httplib, libpq.
#pragma once

#include <memory>

#include "env/env.h"

namespace aeterna::env {

enum class LogFormat { kText, kJson };

// Owns one object per port; outlives everything that holds its `env()`.
class PosixEnv {
  public:
    // Logs at or above `level` go to stderr in `format`.
    PosixEnv(LogFormat format, LogLevel level);
    ~PosixEnv();
    PosixEnv(const PosixEnv&) = delete;
    PosixEnv& operator=(const PosixEnv&) = delete;

    [[nodiscard]] const Env& env() const;

  private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

}  // namespace aeterna::env
