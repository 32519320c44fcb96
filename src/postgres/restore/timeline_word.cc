#include "postgres/restore/timeline_word.h"

#include <fmt/format.h>

#include <limits>

#include "base/strings.h"

namespace aeterna::postgres {

Result<Timeline> parse_timeline(const std::string& word) {
    const auto number = to_integer(word);
    if (number && *number > 0 && *number <= std::numeric_limits<Timeline>::max()) return static_cast<Timeline>(*number);
    return make_error(ErrorCode::kUsage, fmt::format("'{}' is no timeline", one_line(word)),
                      "Write its number, such as --timeline 2.");
}

}  // namespace aeterna::postgres
