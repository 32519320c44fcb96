// What is wrong in a pack's bytes: shared by check and copy.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "repository/pipeline/entry_reader.h"

namespace aeterna::repository {

inline constexpr std::uint64_t kMostPackBytes = 256ULL << 20;

struct PackFindings {
    std::optional<Error> frame;  // header, footer or table: what an index would be built from
    std::vector<Location> bad;   // rows that do not open, or whose content is not what they name
    [[nodiscard]] bool is_sound() const { return !frame && bad.empty(); }
};

// `rows` are the pack's, not empty; `bytes` are all of it.
[[nodiscard]] PackFindings examine_pack(EntryReader& reader, const std::vector<Location>& rows, const std::string& bytes);

}  // namespace aeterna::repository
