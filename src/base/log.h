// Structured log: an event name in the past tense plus fields. The sink decides on text or JSON; logs go to
// stderr and never carry secrets.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aeterna {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

using LogFields = std::vector<std::pair<std::string, std::string>>;

// Thread-safe. Never blocks on anything but the sink's own file descriptor.
class Log {
  public:
    virtual ~Log() = default;
    virtual void write(LogLevel level, std::string_view event, const LogFields& fields) = 0;

    void info(std::string_view event, const LogFields& fields = {}) { write(LogLevel::kInfo, event, fields); }
    void warning(std::string_view event, const LogFields& fields = {}) {
        write(LogLevel::kWarning, event, fields);
    }
    void error(std::string_view event, const LogFields& fields = {}) {
        write(LogLevel::kError, event, fields);
    }
};

// Drops everything.
class NullLog final : public Log {
  public:
    void write(LogLevel, std::string_view, const LogFields&) override {}
};

}  // namespace aeterna
