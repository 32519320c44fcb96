// Log lines on stderr, as text or JSON, each with one write(2) so that lines of several processes don't mix.
#include "base/log.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "base/json.h"
#include "env/posix/ports.h"

namespace aeterna::env {
namespace {

std::string_view level_name(LogLevel level) {
    switch (level) {
        case LogLevel::kDebug: return "debug";
        case LogLevel::kInfo: return "info";
        case LogLevel::kWarning: return "warn";
        case LogLevel::kError: return "error";
    }
    return "info";
}

// Bare words stay bare; anything else becomes a JSON string, so that a value can't forge a field or a line.
std::string quoted(const std::string& value) {
    constexpr std::string_view kBare =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:/+@%,";
    if (!value.empty() && value.find_first_not_of(kBare) == std::string::npos) return value;
    return dump_json(Json(value));
}

std::string text_line(WallTime time, LogLevel level, std::string_view event, const LogFields& fields) {
    std::string line = fmt::format("{} {:<5} {}", format_time(time), level_name(level), event);
    for (const auto& [key, value] : fields) line += fmt::format(" {}={}", key, quoted(value));
    line += '\n';
    return line;
}

std::string json_line(WallTime time, LogLevel level, std::string_view event, const LogFields& fields) {
    Json document = Json::object();
    for (const auto& [key, value] : fields) document[key] = value;
    document["time"] = format_time(time);
    document["level"] = level_name(level);
    document["event"] = event;
    return dump_json(document) + '\n';
}

class StderrLog final : public Log {
  public:
    StderrLog(LogFormat format, LogLevel level) : format_(format), level_(level) {}

    void write(LogLevel level, std::string_view event, const LogFields& fields) override {
        if (level < level_) return;
        const WallTime now = std::chrono::system_clock::now();
        const std::string line = format_ == LogFormat::kJson ? json_line(now, level, event, fields)
                                                             : text_line(now, level, event, fields);
        // A log that can't be written must not stop the work.
        while (::write(STDERR_FILENO, line.data(), line.size()) < 0 && errno == EINTR) {
        }
    }

  private:
    LogFormat format_;
    LogLevel level_;
};

}  // namespace

std::unique_ptr<Log> make_stderr_log(LogFormat format, LogLevel level) {
    return std::make_unique<StderrLog>(format, level);
}

}  // namespace aeterna::env
